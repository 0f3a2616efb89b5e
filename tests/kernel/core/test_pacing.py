"""Whatever the other sides say or do not say, calls to the pool are few."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import pytest

from aca_kernel.checkpoint.carrier import CarryAsked
from aca_kernel.environment.page_size import FIRST_SENT_BYTES
from aca_kernel.kernel import commands as do
from aca_kernel.remote import wire

from .invariants import check
from .world import LATENCY, RemoteKernel, World

NewWorld = Callable[..., World]

HOUR = 3600.0


def test_an_idle_notebook_makes_no_calls(new_world: NewWorld) -> None:
    world = new_world()
    world.cell("a")
    world.settle()
    before = world.calls
    world.run(HOUR)
    assert world.calls == before


def test_what_may_still_print_is_looked_after_for_half_a_minute(new_world: NewWorld) -> None:
    world = new_world()
    world.cell("a")
    world.run(0.1)
    world.agent.background = True
    world.cell("b")
    world.settle()
    before = world.calls
    world.run(40.0)
    assert 5 < world.calls - before < 15
    before = world.calls
    world.run(HOUR)
    assert world.calls == before


@pytest.mark.parametrize("number", range(2, 6))
def test_a_final_error_while_output_is_fetched_makes_no_storm(
    new_world: NewWorld, number: int
) -> None:
    world = new_world(faults=dict.fromkeys(range(number, 100_000), "refused"))
    cell = world.cell(*("x" * 300_000 for _ in range(50)), seconds=0.5)
    world.run(HOUR)
    assert world.reply(cell)["ename"] == "AccessDenied"
    assert world.calls < number + 5
    # The next cell tries again, and says it again.
    again = world.cell("b")
    world.run(HOUR)
    assert world.reply(again)["ename"] == "AccessDenied"
    assert world.calls < number + 10
    check(world)


@pytest.mark.parametrize("channel", ["shell", "control", "stdin"])
@pytest.mark.parametrize(
    "msg_type", ["input_reply", "status", "comm_close", "execute_reply", "stream", "", "x_request"]
)
def test_an_odd_message_makes_no_storm(new_world: NewWorld, msg_type: str, channel: str) -> None:
    world = new_world()
    world.cell("a")
    world.settle()
    before = world.calls
    world.send(msg_type, channel=channel)
    world.send(msg_type, ["no", "object"], channel=channel)
    world.run(HOUR)
    assert world.calls - before < 8
    cell = world.cell("b")
    world.settle()
    assert world.text(cell) == "b"
    check(world)


def test_a_kernel_that_cannot_be_started_again_is_told_and_the_next_cell_gets_another(
    new_world: NewWorld,
) -> None:
    world = new_world()
    world.cell("a")
    world.settle()
    world.is_start_impossible = True
    death = world.cell(end="die")
    world.settle()
    assert world.reply(death)["ename"] == "RemoteKernelDied"
    queued = world.cell("b")
    world.settle()
    world.is_start_impossible = False
    cell = world.cell("c")
    world.settle()
    told = " ".join(
        str(one.content.get("text", "")) + str(one.content.get("evalue", ""))
        for one in world.heard(queued) + world.heard(cell)
    )
    assert "could not be started again: No space left on device" in told
    assert world.text(cell) == "c"
    before = world.calls
    world.run(HOUR)
    assert world.calls == before < 30
    check(world)


def test_kernels_that_always_die_at_their_start_are_given_up(new_world: NewWorld) -> None:
    world = new_world()
    for _ in range(4):
        world.cell("a")
        for _ in itertools.repeat(None, 50):
            world.run(0.05)
            for kernel in world.kernels:
                if kernel.running == "" and kernel.queue == []:
                    kernel.die(1)
    world.settle()
    before = world.calls
    world.run(HOUR)
    assert world.calls - before < 3
    check(world)


def test_a_request_that_the_environment_has_forgotten_is_ended(new_world: NewWorld) -> None:
    world = new_world()
    world.cell("a")
    world.settle()
    cell = world.cell(seconds=1000.0)
    world.run(5.0)
    world.agent.messages.open_requests.clear()
    world.settle()
    assert world.reply(cell)["ename"] == "RequestLost"
    before = world.calls
    world.run(HOUR)
    assert world.calls - before < 3
    check(world)


def test_a_comm_message_that_was_done_without_a_word_is_ended(new_world: NewWorld) -> None:
    """As ipykernel does it while a cell awaits something: no busy, no idle."""
    world = new_world()
    world.cell("a")
    world.settle()
    cell = world.cell(seconds=5.0)
    world.run(1.0)
    comm = world.send("comm_msg", {"comm_id": "1"})
    world.run(0.5)
    world.kernels[-1].queue.clear()
    world.settle()
    assert world.reply(cell)["status"] == "ok"
    assert [one.content for one in world.heard(comm)] == [
        {"execution_state": "busy"},
        {"execution_state": "idle"},
    ]
    before = world.calls
    world.run(HOUR)
    assert world.calls == before
    check(world)


def test_comm_messages_in_a_row_are_idle_when_they_have_been_done(new_world: NewWorld) -> None:
    """A probe behind the first ones tells nothing of those that come later."""
    world = new_world()
    world.cell("a")
    world.settle()
    comms = []
    for _ in range(30):
        comms.append(world.send("comm_msg", {"comm_id": "1", "seconds": 0.1}))
        world.run(0.05)
    world.settle()
    for done, comm in enumerate(comms, 1):
        states = [(one.content["execution_state"], one.at) for one in world.heard(comm)]
        assert [state for state, _ in states] == ["busy", "idle"]
        assert states[-1][1] - world.sent_at[comms[0]] > done * 0.1
    check(world)


def test_calls_of_the_remote_side_are_answered_with_the_next_exchange(new_world: NewWorld) -> None:
    world = new_world()
    world.cell(seconds=10.0)
    world.run(1.0)
    for number in range(20):
        world.asked.append(wire.Record({"kind": "call", "id": str(number), "op": "x"}))
        world.run(0.3)
    world.settle()
    assert [one.head["id"] for one in world.answers] == [str(n) for n in range(20)]
    check(world)


@pytest.mark.parametrize("latency", [0.0, 0.04])
def test_what_does_not_fit_into_a_call_follows_though_the_answer_ends_the_exchange(
    new_world: NewWorld, latency: float
) -> None:
    world = new_world(latency=latency)
    world.cell("a")
    world.settle()
    part = bytes(FIRST_SENT_BYTES * 3 // 4)
    for number in range(6):
        head = {"kind": "look", "id": str(number), "names": []}
        world.tell(CarryAsked(world.clock.now, wire.Record(head, (part,)), "", is_urgent=True))
    world.run(60.0)
    delivered = [
        command.record.head["id"]
        for _, commands in world.handled
        for command in commands
        if isinstance(command, do.Deliver)
    ]
    assert delivered == [str(number) for number in range(6)]
    check(world)


def test_text_waits_for_nothing_after_a_pause_in_a_cell_that_runs_for_long(
    new_world: NewWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    printed = []
    say = RemoteKernel._say

    def say_noted(self: RemoteKernel, channel: str, msg_type: str, *rest: Any) -> None:
        if msg_type == "stream":
            printed.append(self.world.clock.now)
        say(self, channel, msg_type, *rest)

    monkeypatch.setattr(RemoteKernel, "_say", say_noted)
    world = new_world()
    cell = world.cell("a", "b", "c", "d", seconds=1.0)
    world.settle()
    came = [one.at for one in world.heard(cell) if one.msg_type == "stream"]
    delays = [at - when for at, when in zip(came, printed, strict=True)]
    # The first may be that of a short cell, whose end is to come along with it.
    assert delays[1:] == pytest.approx([LATENCY] * 3)
