"""One request's states: each transition is in the table, and nothing is told twice."""

from __future__ import annotations

import itertools

import pytest

from aca_kernel.errors import LocalProtocolError
from aca_kernel.messaging.request_state import TRANSITIONS, Event, Heard, RequestState, Stage

TELLING = (Event.TELL_BUSY, Event.TELL_REPLY, Event.TELL_IDLE)


def state_after(*events: Event) -> RequestState:
    state = RequestState()
    for event in events:
        state.happens(event)
    return state


def reachable() -> dict[tuple[Stage, Heard], tuple[Event, ...]]:
    """Every state that there is, and one way to it."""
    start = RequestState()
    found: dict[tuple[Stage, Heard], tuple[Event, ...]] = {(start.stage, start.heard): ()}
    new = list(found.values())
    while new:
        way = new.pop()
        for event in Event:
            if state_after(*way).may(event):
                after = state_after(*way, event)
                key = (after.stage, after.heard)
                if key not in found:
                    found[key] = (*way, event)
                    new.append(found[key])
    return found


@pytest.mark.parametrize("event", Event)
@pytest.mark.parametrize("way", reachable().values(), ids=lambda way: "-".join(e.name for e in way))
def test_what_is_not_in_the_table_raises_and_changes_nothing(
    way: tuple[Event, ...], event: Event
) -> None:
    state = state_after(*way)
    before = (state.stage, state.heard)
    if state.may(event):
        state.happens(event)
        assert (state.stage, state.heard) != before
    else:
        with pytest.raises(LocalProtocolError) as raised:
            state.happens(event)
        assert event.name in raised.value.detail
        assert (state.stage, state.heard) == before


@pytest.mark.parametrize("length", range(1, 7))
def test_whatever_happens_one_busy_one_reply_and_one_idle_are_told(length: int) -> None:
    for events in itertools.product(Event, repeat=length):
        state, told = RequestState(), []
        for event in events:
            if state.may(event):
                state.happens(event)
                told += [event] * (event in TELLING)
        assert len(set(told)) == len(told)
        assert told[:1] in ([], [Event.TELL_BUSY])


def test_every_state_is_in_the_table_and_can_be_reached() -> None:
    assert set(TRANSITIONS) == {*Stage, *Heard}
    assert {stage for stage, _ in reachable()} == set(Stage)
    assert {heard for _, heard in reachable()} == set(Heard)


@pytest.mark.parametrize("last", [(), (Event.BEGIN,)])
def test_what_has_been_replied_to_is_never_sent_again(last: tuple[Event, ...]) -> None:
    state = state_after(Event.QUEUE, Event.SEND, *last, Event.TELL_BUSY)
    assert state.may(Event.PUT_BACK)
    state.happens(Event.TELL_REPLY)
    assert not state.may(Event.PUT_BACK)


def test_who_has_heard_the_idle_has_nothing_in_progress() -> None:
    for stage, heard in reachable():
        assert (stage is Stage.ENDED) == (heard in (Heard.IDLE, Heard.FINISHED))
