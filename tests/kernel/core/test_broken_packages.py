"""Packages that end a remote kernel when it starts: another environment, no endless launching."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from aca_kernel.kernel import commands as do

from .invariants import check
from .world import FAULTS, World

NewWorld = Callable[..., World]

LOG = """[IPKernelApp] WARNING | something else
Traceback (most recent call last):
  File "/tmp/aca/_aca_remote/launcher.py", line 31, in main
    from ipykernel.kernelapp import IPKernelApp
ImportError: cannot import name 'Foo' from 'traitlets'
  with more lines
"""
ERROR = "ImportError: cannot import name 'Foo' from 'traitlets'"


def told(world: World, cell: str) -> str:
    """Return what the kernel says in a cell, on one line."""
    said = (
        str(one.content.get("evalue", "")) + str(one.content.get("text", ""))
        for one in world.heard(cell)
        if one.msg_type == "error" or one.content.get("name") == "stderr"
    )
    return " ".join(" ".join(said).split())


def break_from(world: World, launch: int, number: int, until: int | None = None) -> None:
    """Let remote kernels from this number on end in an environment, up to that of a number."""
    last = launch if until is None else until

    def failure(this: int, start: int) -> str:
        is_broken = launch <= this <= last and (this > launch or start >= number)
        return LOG if is_broken else ""

    world.start_failure = failure


def test_an_environment_that_cells_have_broken_is_left_and_the_cell_runs_in_another(
    new_world: NewWorld,
) -> None:
    world = new_world()
    world.cell("a")
    world.settle()
    break_from(world, 1, 2)
    death = world.cell(end="die")
    world.settle()
    cells = [world.cell("b"), world.cell("c")]
    world.settle()
    assert "its files are still there" in told(world, death)
    assert [world.text(cell) for cell in cells] == ["b", "c"]
    assert ERROR in told(world, cells[0])
    assert "variables and files are lost. This cell runs in a new one." in told(world, cells[0])
    assert told(world, cells[1]) == ""
    assert world.launches == 2
    check(world)


def test_what_was_stored_comes_back_there(new_world: NewWorld) -> None:
    world = new_world(has_checkpoint=True)
    world.cell("a")
    world.settle()
    break_from(world, 1, 2)
    world.cell(end="die")
    world.settle()
    cell = world.cell("b")
    world.settle()
    assert world.text(cell) == "b"
    # Begun in the broken one, and once more in the next.
    numbers = [
        one.number
        for _, commands in world.handled
        for one in commands
        if type(one).__name__ == "Restore"
    ]
    assert len(numbers) > 1
    assert world.launches == 2
    assert ERROR in told(world, cell)
    check(world)


@pytest.mark.parametrize("count", [1, 3])
def test_what_earlier_kernels_have_broken_is_left_too(new_world: NewWorld, count: int) -> None:
    world = new_world()
    world.taken_over = set(range(1, count + 1))
    break_from(world, 1, 1, until=count)
    cells = [world.cell("a"), world.cell("b")]
    world.settle()
    assert [world.text(cell) for cell in cells] == ["a", "b"]
    assert ERROR in told(world, cells[0])
    assert "that an earlier kernel has left" in told(world, cells[0])
    assert "lost" not in told(world, cells[0])
    assert world.launches == count + 1
    check(world)


def test_new_environments_that_are_broken_end_in_a_sentence(new_world: NewWorld) -> None:
    world = new_world()
    world.start_failure = lambda _launch, _number: LOG
    for count in range(1, 4):
        cells = [world.cell("a"), world.cell("b")]
        world.settle()
        for cell in cells:
            assert world.reply(cell)["ename"] == "RemoteKernelNotStarted"
            assert f"does not start in a new session environment: {ERROR}." in told(world, cell)
        assert world.launches == count
        before = world.calls
        world.run(3600.0)
        assert world.calls == before
    world.start_failure = lambda _launch, _number: ""
    cell = world.cell("c")
    world.settle()
    assert world.text(cell) == "c"
    check(world)


def test_a_broken_environment_is_followed_by_one_launch_if_the_next_is_broken_too(
    new_world: NewWorld,
) -> None:
    world = new_world()
    world.cell("a")
    world.settle()
    break_from(world, 1, 2, until=100)
    world.cell(end="die")
    world.settle()
    cell = world.cell("b")
    world.settle()
    assert "does not start in a new session environment" in told(world, cell)
    assert world.launches == 2
    check(world)


def test_a_start_that_fails_once_costs_nothing(new_world: NewWorld) -> None:
    world = new_world()
    world.start_failure = lambda _launch, number: LOG * (number == 1)
    cell = world.cell("a")
    comm = world.send("comm_msg", {"comm_id": "1"})
    world.settle()
    assert world.text(cell) == "a"
    assert told(world, cell) == ""
    assert [one.msg_type for one in world.heard(comm)] == ["status", "status"]
    assert world.launches == 1
    check(world)


def test_an_environment_in_which_a_start_has_failed_is_left_to_nobody(new_world: NewWorld) -> None:
    world = new_world()
    world.cell("a")
    world.settle()
    break_from(world, 1, 2)
    world.cell(end="die")
    world.settle()
    world.cell("b")
    # One start has failed, and another is being tried.
    while len(world.kernels) < 3:
        world.run(0.001)
    world.send("shutdown_request", {"restart": True}, channel="control")
    _, commands = world.handled[-1]
    assert [type(one) for one in commands][-2:] == [do.Forget, do.Exit]


@pytest.mark.parametrize("milliseconds", range(0, 200, 5))
@pytest.mark.parametrize("has_checkpoint", [False, True])
def test_a_cell_that_is_interrupted_meanwhile_does_not_run(
    new_world: NewWorld, milliseconds: int, has_checkpoint: bool
) -> None:
    world = new_world(has_checkpoint=has_checkpoint)
    world.cell("a")
    world.settle()
    break_from(world, 1, 2)
    world.cell(end="die")
    world.settle()
    ran = len(world.ran)
    cell = world.cell("b", seconds=2.0)
    world.run(milliseconds / 1000)
    world.interrupt()
    world.settle()
    assert world.reply(cell)["status"] == "error"
    assert len(world.ran) <= ran + 1
    check(world)


@pytest.mark.parametrize("number", range(1, 16))
@pytest.mark.parametrize("fault", FAULTS)
def test_whatever_happens_to_a_call_each_request_is_answered_once(
    new_world: NewWorld, fault: str, number: int
) -> None:
    world = new_world(faults={number: fault})
    world.taken_over = {1}
    world.start_failure = lambda launch, start: LOG * (launch == 1 or (launch == 2 and start == 2))
    world.cell("a")
    world.cell("b", end="die")
    world.settle()
    world.cell("c")
    world.send("complete_request", {"code": "", "cursor_pos": 0})
    world.settle()
    check(world)
    assert world.launches <= 4
