"""A panel that asks every 5 s what the remote kernel uses: it costs an idle notebook nothing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .invariants import check
from .world import COOLDOWN_SECONDS, LAUNCH_SECONDS, World

NewWorld = Callable[..., World]


def ask(world: World, times: int = 1) -> list[dict[str, Any]]:
    """Ask so often, 5 s apart; return the answers."""
    asked = []
    for _ in range(times):
        asked.append(world.send("usage_request", channel="control"))
        world.run(5.0)
    return [world.reply(one) for one in asked]


def test_without_an_environment_it_says_so_and_launches_none(new_world: NewWorld) -> None:
    world = new_world()
    answers = ask(world, 3)
    assert all("the next cell" in one["reason"] for one in answers)
    assert world.launches == 0
    check(world)


def test_an_idle_notebook_makes_no_calls_for_it(new_world: NewWorld) -> None:
    world = new_world()
    world.usage = {"kernel_cpu": 0.3, "kernel_memory": 50_000_000}
    world.cell("a")
    world.settle()
    # Two tell what the processor did since the cell.
    assert ask(world, 2) == [world.usage] * 2
    before = world.calls
    assert ask(world, 50) == [world.usage] * 50
    assert world.calls == before
    # After another cell there may be something new.
    world.usage = {"kernel_cpu": 0.0, "kernel_memory": 90_000_000}
    world.cell("b")
    world.settle()
    assert ask(world) == [world.usage]
    check(world)


def test_what_is_at_work_is_asked_each_time(new_world: NewWorld) -> None:
    world = new_world()
    world.cell("a")
    world.settle()
    world.usage = {"kernel_cpu": 99.0}
    ask(world, 5)
    world.usage = {"kernel_cpu": 55.0}
    assert ask(world) == [world.usage]
    check(world)


def test_it_is_told_while_a_cell_runs(new_world: NewWorld) -> None:
    world = new_world()
    world.cell("a", seconds=60.0)
    world.run(5.0)
    for percent in (98.0, 99.0):
        world.usage = {"kernel_cpu": percent}
        assert ask(world) == [world.usage]
    check(world, must_end=False)


def test_a_cell_that_rests_is_asked_each_time(new_world: NewWorld) -> None:
    world = new_world()
    world.cell("a", seconds=22.0)
    world.run(1.0)
    ask(world, 3)
    for percent in (98.0, 0.5):  # the second one after the cell
        world.usage = {"kernel_cpu": percent}
        assert ask(world) == [world.usage]
    check(world)


def test_a_thread_at_work_keeps_no_environment_for_ever(new_world: NewWorld) -> None:
    world = new_world()
    world.cell("a", seconds=1.5 * COOLDOWN_SECONDS)
    world.run(1.0)
    world.usage = {"kernel_cpu": 99.0}
    quarter = int(COOLDOWN_SECONDS / 5.0 / 4)
    assert ask(world, 9 * quarter) == [world.usage] * 9 * quarter  # the cell has ended meanwhile
    answers = ask(world, 6 * quarter)
    assert answers[0] == world.usage
    assert "may end" in answers[2 * quarter]["reason"]
    assert "the next cell" in answers[-1]["reason"]
    assert world.launches == 1
    check(world)


def test_a_launch_is_not_waited_for(new_world: NewWorld) -> None:
    world = new_world()
    world.cell("a")
    world.run(LAUNCH_SECONDS / 2)
    asked = world.send("usage_request", channel="control")
    assert "being started" in world.reply(asked)["reason"]
    world.settle()
    check(world)


def test_an_environment_that_has_cooled_down_is_not_asked(new_world: NewWorld) -> None:
    world = new_world()
    world.cell("a")
    world.settle()
    ask(world)
    world.run(COOLDOWN_SECONDS + 1)
    before = world.calls
    assert "the next cell" in ask(world)[0]["reason"]
    assert world.calls == before


def test_an_environment_found_gone_is_not_replaced_for_it(new_world: NewWorld) -> None:
    world = new_world(has_checkpoint=True)
    world.cell("a")
    world.settle()
    assert world.agent is not None
    world.agent.expire()
    ask(world, 2)
    assert world.launches == 1
    check(world)


def test_one_question_at_a_time_waits_for_a_pool_that_cannot_be_reached(
    new_world: NewWorld,
) -> None:
    world = new_world()
    world.cell("a")
    world.settle()
    world.faults = dict.fromkeys(range(world.calls + 1, 10_000), "unreachable")
    asked = []
    for _ in range(6):
        asked.append(world.send("usage_request", channel="control"))
        world.run(5.0)
        assert len(world.core.table) <= 1
    assert all("not answered" in world.reply(one)["reason"] for one in asked[1:])
    world.settle()
    check(world)


def test_what_is_no_answer_is_passed_on(new_world: NewWorld) -> None:
    world = new_world()
    world.cell("a")
    world.settle()
    for odd in ({"kernel_cpu": "much"}, {}, {"kernel_cpu": None}):
        world.usage = odd
        world.cell("b")
        world.settle()
        assert ask(world) == [odd]
    check(world)
