"""Over a distance, exchanges overlap: what follows meets a call that waits for it over there."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from aca_kernel.environment.windows import SETTLE_FAR_SECONDS, WINDOW_CONCURRENT_SECONDS
from aca_kernel.kernel import commands as do
from aca_kernel.pool.round_trip import KEPT_CALLS

from .invariants import check
from .test_faults import SCENARIOS
from .world import COOLDOWN_SECONDS, FAULTS, LAUNCH_SECONDS, RESTORE_SECONDS, World

NewWorld = Callable[..., World]

# Forty milliseconds each way, as a region of Azure on the same continent.
FAR = 0.04
ROUND_TRIP = 2 * FAR

# What the product may add to what physics takes.
ROOM = 0.04

CALLS = 16


def warm(new_world: NewWorld, **options: object) -> World:
    """Return a world whose kernel knows that its environment is far, and its tools overlap."""
    world = new_world(latency=FAR, **options)
    world.cell("a")
    world.settle()
    world.exchange.windows.tools_overlap = True
    world.run(1.0)
    return world


def took(world: World, msg_id: str) -> float:
    """Return from the cell to its idle, in seconds."""
    return world.heard(msg_id)[-1].at - world.sent_at[msg_id]


def test_a_short_cell_is_one_call(new_world: NewWorld) -> None:
    world = warm(new_world)
    before = world.calls
    cell = world.cell("a")
    world.settle()
    assert world.calls == before + 1
    assert took(world, cell) < ROUND_TRIP + ROOM


@pytest.mark.parametrize(("pauses", "out"), [(0.05, "ab"), (0.25, "a"), (0.25, "ab"), (0.1, "abc")])
def test_a_cell_takes_one_round_trip_more_than_its_own_time(
    new_world: NewWorld, pauses: float, out: str
) -> None:
    world = warm(new_world)
    cell = world.cell(*out, seconds=pauses)
    world.settle()
    assert world.text(cell) == out
    assert took(world, cell) < ROUND_TRIP + pauses * len(out) + ROOM


@pytest.mark.parametrize(("before", "after"), [(0.001, FAR), (FAR, 0.001)])
def test_a_way_that_changes_is_noticed(new_world: NewWorld, before: float, after: float) -> None:
    world = warm(new_world)
    world.latency = before
    for latency in (before, after):
        world.latency = latency
        for _ in range(KEPT_CALLS):
            world.cell("a")
            world.settle()
        assert world.exchange.windows.round_trip_seconds == pytest.approx(2 * latency, abs=0.01)
        ahead = world.calls_ahead
        cell = world.cell("a", seconds=0.25)
        world.settle()
        assert took(world, cell) < 2 * latency + 0.25 + ROOM
        assert (world.calls_ahead > ahead) is (latency == FAR)


def test_what_a_long_cell_takes_is_no_distance(new_world: NewWorld) -> None:
    world = warm(new_world)
    for _ in range(2 * KEPT_CALLS):
        world.cell("a", seconds=3.0)
        world.settle()
    assert world.exchange.windows.round_trip_seconds < ROUND_TRIP + 0.01


def test_each_line_of_a_loop_arrives_half_a_round_trip_later(new_world: NewWorld) -> None:
    world = warm(new_world)
    cell = world.cell(*(f"{n}\n" for n in range(50)), seconds=0.1)
    world.settle()
    times = [one.at for one in world.heard(cell) if one.msg_type == "stream"]
    began = times[0]
    printed = [began + 0.1 * n for n in range(len(times))]
    late = [at - when for at, when in zip(times, printed, strict=True)]
    assert max(late) - min(late) <= SETTLE_FAR_SECONDS
    assert world.calls <= 55


def test_a_slider_is_one_round_trip_while_a_cell_runs(new_world: NewWorld) -> None:
    world = warm(new_world)
    world.cell("a", seconds=30.0)
    world.run(3.0)
    asked = world.clock.now
    msg = world.send("debug_request", {"command": "x"}, channel="control")
    world.run(1.0)
    assert world.heard(msg)[-1].at - asked < ROUND_TRIP + ROOM


def test_cells_that_come_while_one_runs_follow_without_a_round_trip(new_world: NewWorld) -> None:
    world = warm(new_world)
    first = world.cell("a", seconds=1.0)
    world.run(0.5)
    second = world.cell("b", seconds=0.2)
    world.settle()
    between = world.heard(second)[-1].at - world.heard(first)[-1].at
    assert between < 0.2 + ROOM
    check(world)


def test_short_cells_behind_a_long_one_are_one_call_each(new_world: NewWorld) -> None:
    world = warm(new_world)
    before = world.calls
    world.cell(*"abcde", seconds=0.1)
    for _ in range(10):
        while len(world.core.table):
            world.run(0.001)
        last = world.cell("b")
    world.settle()
    assert world.text(last) == "b"
    assert world.calls - before <= 20


def test_a_pool_that_takes_one_call_at_a_time_is_given_one(new_world: NewWorld) -> None:
    world = warm(new_world)
    ahead = world.calls + 2
    world.faults[ahead] = "busy"
    cell = world.cell("a", "b", seconds=0.5)
    world.settle()
    assert not world.exchange.windows.queues_calls
    assert world.text(cell) == "ab"
    before = world.calls_ahead
    world.cell("a", "b", seconds=0.5)
    world.settle()
    assert world.calls_ahead == before
    check(world)


def test_an_idle_notebook_makes_no_calls(new_world: NewWorld) -> None:
    world = warm(new_world)
    world.cell("a", seconds=5.0)
    world.settle()
    before = world.calls
    world.run(3600.0)
    assert world.calls == before


def test_a_restore_is_one_exchange_and_the_cell_another(new_world: NewWorld) -> None:
    world = new_world(latency=FAR, has_checkpoint=True)
    world.cell("a")
    world.settle()
    world.agent.expire()
    cell = world.cell("b")
    world.settle()
    # The first exchange finds out that the environment is gone.
    assert took(world, cell) < LAUNCH_SECONDS + RESTORE_SECONDS + 3 * ROUND_TRIP + ROOM
    check(world)


def test_the_next_environment_is_prepared_when_this_one_has_most_likely_cooled_down(
    new_world: NewWorld,
) -> None:
    def prepared(world: World) -> int:
        return sum(isinstance(one, do.Prepare) for _, made in world.handled for one in made)

    world = warm(new_world)
    world.run(COOLDOWN_SECONDS - 10)
    world.cell("a")
    world.settle()
    assert prepared(world) == 0
    world.run(COOLDOWN_SECONDS + 10)
    world.cell("a")
    world.settle()
    assert prepared(world) == 1


def starters(world: World) -> list[do.StartAhead]:
    """Return the starters that were sent ahead of `!` commands."""
    made = (one for _, commands in world.handled for one in commands)
    return [one for one in made if isinstance(one, do.StartAhead)]


def test_a_starter_goes_along_with_a_cell_that_has_shell_lines(new_world: NewWorld) -> None:
    world = warm(new_world)
    world.cell("a")
    world.settle()
    assert starters(world) == []
    cell = world.cell("a", lines="!echo 1\nx = !ls -l\nprint('!no')")
    world.settle()
    assert starters(world) == [do.StartAhead(cell, ("echo 1", "ls -l"))]
    check(world)


def test_names_in_shell_lines_are_looked_at_for_a_cell_that_begins_at_once(
    new_world: NewWorld,
) -> None:
    def looks(world: World) -> list[do.LookAhead]:
        made = (one for _, commands in world.handled for one in commands)
        return [one for one in made if isinstance(one, do.LookAhead)]

    world = new_world()  # near or far
    world.cell("a")
    world.settle()
    assert looks(world) == []
    world.cell("a", lines="!cat a.txt")
    world.cell("b", lines="!cat b.txt")  # what is found now may be out of date when it begins
    world.settle()
    assert looks(world) == [do.LookAhead(("cat a.txt",))]
    check(world)


def test_no_starter_is_sent_where_it_saves_nothing(new_world: NewWorld) -> None:
    def has_one(world: World) -> bool:
        before = len(starters(world))
        world.cell("a", lines="!echo 1")
        world.settle()
        return len(starters(world)) > before

    near = new_world()
    near.cell("a")
    near.settle()
    near.exchange.windows.tools_overlap = True
    assert not has_one(near)
    world = warm(new_world)
    assert has_one(world)
    world.exchange.windows.takes_starters = False
    assert not has_one(world)
    world.exchange.windows.takes_starters = True
    # The shell tool waits for the cell that waits for it.
    world.exchange.windows.tools_overlap = False
    assert not has_one(world)


def test_a_cell_that_waits_for_another_gets_no_starter(new_world: NewWorld) -> None:
    """Its starter would wait for as long as the other one takes."""
    world = warm(new_world)
    world.cell("a", seconds=2.0)
    world.run(0.5)
    world.cell("a", lines="!echo 1")
    world.settle()
    assert starters(world) == []


def test_no_call_waits_longer_than_the_service_lets_it(new_world: NewWorld) -> None:
    world = warm(new_world)
    world.cell("a", seconds=200.0)
    world.settle()
    # Of two that are held one after the other, the second waits for both.
    assert 2 * WINDOW_CONCURRENT_SECONDS < 220
    assert world.calls < 15


@pytest.mark.parametrize("number", range(1, CALLS + 1))
@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("scenario", SCENARIOS[2:], ids=lambda one: one.__name__)
def test_each_request_is_answered_once(
    new_world: NewWorld, scenario: Callable[[World], None], fault: str, number: int
) -> None:
    world = new_world(latency=FAR, faults={number: fault})
    scenario(world)
    world.settle()
    check(world)
    before = world.calls
    world.run(3600.0)
    assert world.calls - before <= 1
