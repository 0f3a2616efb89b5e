"""An interrupt hits what runs, and nothing else."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from aca_kernel.kernel import commands as do

from .invariants import check
from .world import World

NewWorld = Callable[..., World]

COMM = ("comm_msg", {"comm_id": "1", "seconds": 12.0})
COMPLETION = ("complete_request", {"code": "", "cursor_pos": 0, "seconds": 12.0})


@pytest.fixture
def world(new_world: NewWorld) -> World:
    made = new_world()
    made.cell("first")
    made.settle()
    return made


@pytest.mark.parametrize("seconds", [0.0, 0.001, 0.1, 0.3, 1.0, 5.0])
@pytest.mark.parametrize("what", [COMM, COMPLETION], ids=["widget", "completion"])
def test_it_reaches_what_is_no_cell_and_the_queued_cell_runs(
    world: World, what: tuple[str, dict[str, object]], seconds: float
) -> None:
    slow = world.send(*what)
    cell = world.cell("ran")
    world.run(seconds)
    world.interrupt()
    world.run(1.5)
    world.settle()
    assert world.signals == [slow]
    assert world.text(cell) == "ran"
    assert world.reply(cell)["status"] == "ok"
    assert world.clock.now < 110
    check(world)


@pytest.mark.parametrize("seconds", [0.0, 0.001, 0.1, 0.3, 1.0, 5.0])
def test_it_reaches_a_cell_however_early_it_comes(world: World, seconds: float) -> None:
    cell, queued = world.cell(seconds=60.0), world.cell("never")
    world.run(seconds)
    world.interrupt()
    world.settle()
    assert world.signals == [cell]
    assert world.reply(cell)["status"] == "error"
    assert world.reply(queued)["status"] == "aborted"
    assert world.clock.now < 115
    check(world)


def test_what_is_hit_in_place_of_a_cell_that_has_ended_is_replied_to(new_world: NewWorld) -> None:
    # The signal finds the cell ended, of which nobody knows here, and the next request running.
    world = new_world(latency=0.002)
    world.cell(seconds=0.0)
    world.run(0.3)
    world.cell(seconds=0.0)
    world.interrupt()
    hit = world.send("complete_request", {"code": "", "cursor_pos": 0, "seconds": 0.5})
    # It goes at once, and takes the one before it along.
    world.send("complete_request", channel="control")
    world.settle()
    assert world.signals == [hit]
    assert world.reply(hit)["ename"] == "KeyboardInterrupt"
    check(world)


def test_a_cell_is_reached_though_something_quick_was_ahead_of_it(world: World) -> None:
    world.send("complete_request", {"code": "", "cursor_pos": 0})
    world.send("comm_msg", {"comm_id": "1"})
    cell = world.cell(seconds=60.0)
    world.interrupt()
    world.settle()
    assert world.signals == [cell]
    check(world)


# As VS Code sends what is to run ahead of the cells.
SETUP = {
    "lines": "__vsc_ipynb_file__",
    "store_history": False,
    "stop_on_error": False,
    "allow_stdin": True,
}


@pytest.mark.parametrize("seconds", [0.051, 0.055, 0.06, 0.1, 1.0, 5.0])
def test_it_reaches_set_up_code_that_a_cell_waits_for(new_world: NewWorld, seconds: float) -> None:
    world = new_world()
    world.cell(seconds=60.0, **SETUP)
    cell = world.cell(seconds=60.0, stop_on_error=False)
    world.run(seconds)
    assert world.launches == 1
    world.interrupt()
    world.settle()
    assert len(world.signals) == 2
    assert world.signals[-1] == cell
    assert world.reply(cell)["status"] == "error"
    assert world.clock.now < 115
    check(world)


def test_an_interrupted_launch_leaves_set_up_code_to_the_next_cell(new_world: NewWorld) -> None:
    world = new_world()
    world.cell("set up", **SETUP)
    cell = world.cell("never")
    world.run(0.01)
    world.interrupt()
    world.settle()
    assert world.reply(cell)["ename"] == "KeyboardInterrupt"
    assert world.ran == []
    later = world.cell("ran")
    world.settle()
    assert world.text(later) == "ran"
    check(world)


def test_what_has_ended_before_it_could_be_reached_leaves_the_next_alone(world: World) -> None:
    first = world.cell("a", seconds=0.0)
    world.interrupt()
    world.settle()
    world.run(1.0)
    second = world.cell("b", seconds=2.0)
    world.settle()
    assert set(world.signals) <= {"", first}
    assert world.reply(second)["status"] == "ok"
    check(world)


def test_nothing_is_interrupted_if_nothing_runs(world: World) -> None:
    world.interrupt()
    world.run(5.0)
    cell = world.cell("a", seconds=1.0)
    world.settle()
    assert world.reply(cell)["status"] == "ok"
    assert world.signals == []


def test_a_request_on_control_is_not_what_an_interrupt_is_for(world: World) -> None:
    cell = world.cell(seconds=60.0)
    world.run(1.0)
    world.send("debug_request", {"command": "x"}, channel="control")
    world.interrupt()
    world.settle()
    assert world.signals == [cell]
    check(world)


def test_launching_is_interrupted(new_world: NewWorld) -> None:
    world = new_world()
    cell = world.cell("never")
    world.run(0.01)
    world.interrupt()
    world.settle()
    assert world.reply(cell)["ename"] == "KeyboardInterrupt"
    assert world.launches == 0
    check(world)


@pytest.mark.parametrize("seconds", [0.0, 0.003, 0.01, 0.2])
def test_a_restore_is_interrupted_and_what_waits_for_it_does_not_run(
    new_world: NewWorld, seconds: float
) -> None:
    world = new_world(has_checkpoint=True)
    world.cell("a")
    world.settle()
    world.agent.expire()
    cell = world.cell("b")
    world.run(0.06 + seconds)
    world.interrupt()
    world.settle()
    assert world.reply(cell)["ename"] == "KeyboardInterrupt"
    assert world.text(cell) == ""
    check(world)
    again = world.cell("c")
    world.settle()
    assert world.text(again) == "c"


def test_a_wait_for_the_pool_is_interrupted(new_world: NewWorld) -> None:
    world = new_world(faults=dict.fromkeys(range(1, 1000), "unreachable"))
    cell = world.cell("a")
    world.run(5.0)
    world.interrupt()
    world.settle()
    assert world.reply(cell)["ename"] == "KeyboardInterrupt"
    assert world.ran == []
    assert world.clock.now < 110
    check(world)


@pytest.mark.parametrize("is_over", [False, True])
def test_an_interrupt_of_a_launch_is_for_what_waits_and_nothing_later(
    new_world: NewWorld, monkeypatch: pytest.MonkeyPatch, is_over: bool
) -> None:
    """It may also come when the launch is over, and nobody has been told yet."""
    world = new_world()
    if is_over:
        carry_out = world._do
        too_late = {do.GiveUp}
        monkeypatch.setattr(world, "_do", lambda x: None if type(x) in too_late else carry_out(x))
    first = world.cell("a")
    world.interrupt()
    second = world.cell("b")
    world.settle()
    assert world.reply(first)["ename"] == "KeyboardInterrupt"
    assert (world.text(first), world.text(second)) == ("", "b")
    check(world)


@pytest.mark.parametrize("restart", [False, True])
def test_a_shutdown_waits_for_the_cell_that_was_interrupted_before_it(
    new_world: NewWorld, *, restart: bool
) -> None:
    """As jupyter_client shuts down; a notebook that is run shows where its cell was."""
    world = new_world()
    cell = world.cell("begun", seconds=60)
    world.run(1)
    world.interrupt()
    shutdown = world.send("shutdown_request", {"restart": restart}, channel="control")
    assert "idle" in [one.content.get("execution_state") for one in world.heard(shutdown)]
    assert not world.has_exited
    world.run(0.4)
    assert world.has_exited
    assert world.reply(cell)["status"] == "error"
    assert world.heard(cell)[-1].content["execution_state"] == "idle"


def test_a_shutdown_waits_for_no_cell_that_goes_on(new_world: NewWorld) -> None:
    world = new_world()
    world.cell(seconds=60)
    world.run(1)
    world.send("shutdown_request", channel="control")
    assert world.has_exited
    far = new_world(latency=2.0)
    far.cell(seconds=60)
    far.run(10)
    far.interrupt()
    far.send("shutdown_request", channel="control")
    assert not far.has_exited
    far.run(1)
    assert far.has_exited


def test_an_interrupt_may_have_the_id_of_its_cell(new_world: NewWorld) -> None:
    """A manager and a client of jupyter_client have one session, and count for themselves."""
    world = new_world()
    cell = world.cell(seconds=60)
    world.run(1)
    world.send("interrupt_request", channel="control", msg_id=cell)
    assert world.core.table.find(cell) is not None
    world.settle()
    replies = [one for one in world.heard(cell) if one.msg_type == "execute_reply"]
    assert [one.content["status"] for one in replies] == ["error"]
