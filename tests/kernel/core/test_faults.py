"""Whatever happens to any call, each request is answered once and nothing runs twice."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from .invariants import check
from .world import FAULTS, PASSING, World

NewWorld = Callable[..., World]

# The calls that a scenario makes, and some more that what goes wrong adds.
CALLS = 12


def a_cell(world: World) -> None:
    world.cell("a", "b")


def several_cells(world: World) -> None:
    for _ in range(4):
        world.cell("a")
    world.run(0.5)
    world.cell("b")


def a_long_cell_with_a_queue(world: World) -> None:
    world.cell(*"abcdefgh", seconds=0.6)
    world.cell("x")
    world.run(1.5)
    world.send("comm_msg", {"comm_id": "1"})
    world.send("complete_request", {"code": "", "cursor_pos": 0})
    world.run(1.0)
    world.send("debug_request", {"command": "x"}, channel="control")


def cells_that_fail(world: World) -> None:
    world.cell("a", end="ZeroDivisionError")
    world.cell("b")
    world.cell("c", stop_on_error=False)
    world.settle()
    world.cell("d")


def a_cell_that_kills_its_kernel(world: World) -> None:
    world.cell("a", end="die")
    world.cell("b")
    world.settle()
    world.cell("c")


def large_output(world: World) -> None:
    world.cell(*(chr(97 + n % 26) * 100_000 for n in range(30)), seconds=0.0)
    world.run(0.2)
    world.cell("z")


SCENARIOS = [
    a_cell,
    several_cells,
    a_long_cell_with_a_queue,
    cells_that_fail,
    a_cell_that_kills_its_kernel,
    large_output,
]


@pytest.mark.parametrize("number", range(1, CALLS + 1))
@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda one: one.__name__)
def test_each_request_is_answered_once(
    new_world: NewWorld, scenario: Callable[[World], None], fault: str, number: int
) -> None:
    world = new_world(faults={number: fault})
    scenario(world)
    world.settle()
    check(world)


@pytest.mark.parametrize("fault", PASSING)
@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda one: one.__name__)
def test_what_passes_by_itself_loses_nothing(
    new_world: NewWorld, scenario: Callable[[World], None], fault: str
) -> None:
    plain = new_world()
    scenario(plain)
    plain.settle()
    check(plain)
    world = new_world(faults=dict.fromkeys(range(1, 60, 2), fault))
    scenario(world)
    world.settle(3600.0)
    check(world)
    for msg_id, (msg_type, _) in world.sent.items():
        if msg_type == "execute_request":
            assert world.text(msg_id) == plain.text(msg_id)
            assert world.reply(msg_id)["status"] == plain.reply(msg_id)["status"]


@pytest.mark.parametrize("fault", ["refused", "gone", "died"])
def test_nothing_ends_though_every_call_fails(new_world: NewWorld, fault: str) -> None:
    world = new_world(faults=dict.fromkeys(range(1, 10_000), fault))
    for _ in range(5):
        world.cell("a")
        world.run(5.0)
    world.settle()
    check(world)
    # A cell costs a few calls, and time costs none.
    assert world.calls < 60
    before = world.calls
    world.run(3600.0)
    assert world.calls == before
