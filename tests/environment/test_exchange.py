"""What one end of the exchanges knows about the other."""

from __future__ import annotations

import logging

import pytest

from aca_kernel.environment.exchange import Exchange
from aca_kernel.remote import wire


@pytest.mark.parametrize("answer", ["", "Traceback: the interpreter has ended", "cut"])
def test_what_an_answer_without_a_frame_belongs_to_may_have_arrived(answer: str) -> None:
    exchange = Exchange(logging.getLogger("test"))
    place = exchange.send(wire.Record({"kind": "message"}, (b"a cell",)))
    exchange.begin(1.0, 0.0)
    call = exchange.next_call(0.0)
    assert call is not None
    assert exchange.is_safe_to_repeat(place)
    if answer == "cut":
        frame = wire.encode_frame(exchange.nonce, wire.Page({"off": 0}, b"x" * 5000))
        answer = frame[: len(frame) // 2]
    assert exchange.answered(call, answer, 0.1) is None
    assert not exchange.is_safe_to_repeat(place)
    # It is asked again, with the same.
    again = exchange.next_call(0.2)
    assert again is not None
    assert again.end == call.end


@pytest.mark.parametrize(("seconds", "overlap"), [(1.6, None), (3.0, False)])
def test_a_slow_way_is_no_queue_of_tools(seconds: float, overlap: bool | None) -> None:
    exchange = Exchange(logging.getLogger("test"))
    exchange.windows.round_trip.took(1.5)
    exchange.went_round(1, seconds)
    assert exchange.windows.tools_overlap is overlap


def test_nothing_is_sent_ahead_of_a_call_that_waits_to_be_repeated() -> None:
    exchange = Exchange(logging.getLogger("test"))
    exchange.windows.round_trip.took(0.1)
    exchange.begin(1.0, 5.0)
    call = exchange.next_call(5.0)
    assert call is not None
    ahead_after = exchange.windows.ahead_after_seconds
    assert exchange.ahead_at() == 5.0 + ahead_after
    exchange.waits(call)
    assert exchange.ahead_at() is None
    exchange.made_again(call, 7.0)
    assert exchange.ahead_at() == 7.0 + ahead_after
