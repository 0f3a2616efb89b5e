"""The invariants can fail: each defect, made on purpose, is noticed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from aca_kernel.environment.exchange import Exchange
from aca_kernel.kernel import core as core_module
from aca_kernel.kernel import exchange_loop
from aca_kernel.kernel.core import Core
from aca_kernel.kernel.interrupt import Interrupter
from aca_kernel.kernel.outputs import Forwarder
from aca_kernel.messaging import outgoing
from aca_kernel.messaging.publisher import Publisher

from .invariants import check
from .world import World

NewWorld = Callable[..., World]


def answer_twice(patch: pytest.MonkeyPatch) -> None:
    reply = Publisher.reply

    def twice(self: Any, request: Any, content: Any, metadata: Any = None) -> None:
        reply(self, request, content, metadata)
        self._out.append(
            outgoing.Reply(
                request.channel, request.idents, request.reply_type, content, request.header
            )
        )

    patch.setattr(Publisher, "reply", twice)


def drop_a_reply(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Publisher, "forward_reply", lambda *_: None)


def drop_an_idle(patch: pytest.MonkeyPatch) -> None:
    forward = Publisher.forward

    def forward_but_idle(self: Any, topic: str, frames: list[bytes]) -> None:
        if b'"idle"' not in frames[3]:
            forward(self, topic, frames)

    patch.setattr(Publisher, "forward", forward_but_idle)


def forget_who_waits(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(core_module.SendQueue, "end_sent", lambda *_: False)


def spin(patch: pytest.MonkeyPatch) -> None:
    """As it was: whatever is believed to be unfinished is asked about at once, and for ever."""
    patch.setattr(exchange_loop, "FIRST_PAUSE_SECONDS", 0.0)
    patch.setattr(core_module.SendQueue, "end_unknown", lambda *_: None)


def try_again_after_a_final_error(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(exchange_loop.ExchangeLoop, "failed", lambda self: self.exchange.end())


def send_again_what_has_run(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Exchange, "is_safe_to_repeat", lambda *_: True)


def lose_a_record(patch: pytest.MonkeyPatch) -> None:
    see, seen = Core._see, []

    def see_most(self: Any, record: Any) -> None:
        seen.append(record)
        if len(seen) % 5:
            see(self, record)

    patch.setattr(Core, "_see", see_most)


def interrupt_what_is_queued(patch: pytest.MonkeyPatch) -> None:
    def ask_for_the_last(self: Any, _: Any) -> Any:
        self._targets = [[one.msg_id for one in self._table][-1]]
        return None

    patch.setattr(Interrupter, "ask", ask_for_the_last)


def take_late_replies_for_new_ones(patch: pytest.MonkeyPatch) -> None:
    def forward_always(self: Any, _: str, frames: list[bytes], request: Any) -> None:
        self._shared.publisher.forward_reply(request.channel, request, frames)

    patch.setattr(Forwarder, "_forward_late", forward_always)


def run_a_few_cells(new_world: NewWorld) -> None:
    world = new_world()
    for _ in range(4):
        world.cell("a", "b")
    world.settle()
    check(world)


def lose_an_environment(new_world: NewWorld) -> None:
    world = new_world()
    world.cell("a")
    world.cell("b", seconds=20.0)
    world.cell("c")
    world.run(2.0)
    world.agent.expire()
    world.settle()
    check(world)


def launch_in_vain(new_world: NewWorld) -> None:
    world = new_world()
    world.is_start_impossible = True
    world.cell("a")
    world.settle()
    check(world)


def lose_track_of_a_cell(new_world: NewWorld) -> None:
    world = new_world()
    world.cell(seconds=1000.0)
    world.run(3.0)
    world.agent.messages.open_requests.clear()
    world.run(25.0)
    check(world, must_end=False)


def be_refused_while_output_comes(new_world: NewWorld) -> None:
    world = new_world(faults=dict.fromkeys(range(4, 100_000), "refused"))
    world.cell(*("x" * 300_000 for _ in range(50)), seconds=0.05)
    world.run(1.0)
    if world.exchange is not None:
        world.exchange.has_more = True
    world.run(0.5)
    check(world, must_end=False)


def interrupt_a_widget(new_world: NewWorld) -> None:
    world = new_world()
    world.cell("a")
    world.settle()
    widget = world.send("comm_msg", {"comm_id": "1", "seconds": 12.0})
    world.cell("b", seconds=1.0)
    world.run(2.0)
    world.interrupt()
    world.settle()
    assert world.signals == [widget]
    check(world)


def be_restarted_while_a_reply_is_late(new_world: NewWorld) -> None:
    world = new_world()
    cell = world.cell("a")
    world.settle()
    request = world.core.table.find_any(cell)
    assert request is not None
    frames = [one.encode() for one in ("{}", f'{{"msg_id": "{cell}"}}', "{}", "{}")]
    frames[0] = b'{"msg_type": "execute_reply"}'
    kernel = world.kernels[-1]
    kernel.out["shell"].append(frames)
    world.cell("b")
    world.settle()
    check(world)


PAIRS = [
    (answer_twice, launch_in_vain),
    (drop_a_reply, run_a_few_cells),
    (drop_an_idle, run_a_few_cells),
    (forget_who_waits, lose_an_environment),
    (spin, lose_track_of_a_cell),
    (try_again_after_a_final_error, be_refused_while_output_comes),
    (send_again_what_has_run, lose_an_environment),
    (lose_a_record, run_a_few_cells),
    (interrupt_what_is_queued, interrupt_a_widget),
    (take_late_replies_for_new_ones, be_restarted_while_a_reply_is_late),
]


@pytest.mark.parametrize(("mutate", "scenario"), PAIRS, ids=lambda one: one.__name__)
def test_a_defect_is_noticed(
    new_world: NewWorld,
    monkeypatch: pytest.MonkeyPatch,
    mutate: Callable[[pytest.MonkeyPatch], None],
    scenario: Callable[[NewWorld], None],
) -> None:
    scenario(new_world)
    mutate(monkeypatch)
    with pytest.raises(AssertionError):
        scenario(new_world)
