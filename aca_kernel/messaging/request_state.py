"""The states of one request, and every transition between them.

Theory. A request has two sides, each a small state machine:

- *stage*: the place of the request, on its way to the remote kernel and in it.
- *heard*: the messages that the front end has received: one busy, at most one reply and one idle,
  in this order. Only a late reply of the remote kernel comes behind the idle.

`TRANSITIONS` has the effect of each `Event`. An event that is not in the table raises
LocalProtocolError before anything is sent. `COUPLED` connects the sides: after its idle a request
has ended, and after its reply it is never sent again.

                 queue          send           begin
    RECEIVED ───────────► QUEUED ──────► SENT ────────► RUNNING
                             ▲             │               │
                             └─────────────┴───────────────┘ put back
              tell busy        tell reply           tell idle
    NOTHING ────────────► BUSY ──────────► REPLIED ───────────► FINISHED
                            │     tell idle           tell reply    ▲
                            └───────────────► IDLE ────────────────┘
"""

from __future__ import annotations

from enum import Enum, auto

from ..errors import LocalProtocolError


class Stage(Enum):
    """Place of a request."""

    RECEIVED = auto()
    QUEUED = auto()
    SENT = auto()
    RUNNING = auto()
    ENDED = auto()


class Heard(Enum):
    """Messages that the front end has received. IDLE: without a reply, which may come late."""

    NOTHING = auto()
    BUSY = auto()
    REPLIED = auto()
    IDLE = auto()
    FINISHED = auto()


class Event(Enum):
    """An event in the life of a request."""

    QUEUE = auto()
    SEND = auto()
    BEGIN = auto()
    PUT_BACK = auto()
    TELL_BUSY = auto()
    TELL_REPLY = auto()
    TELL_IDLE = auto()


_State = Stage | Heard

TRANSITIONS: dict[_State, dict[Event, _State]] = {
    Stage.RECEIVED: {Event.QUEUE: Stage.QUEUED},
    Stage.QUEUED: {Event.SEND: Stage.SENT},
    Stage.SENT: {Event.BEGIN: Stage.RUNNING, Event.PUT_BACK: Stage.QUEUED},
    Stage.RUNNING: {Event.PUT_BACK: Stage.QUEUED},
    Stage.ENDED: {},
    Heard.NOTHING: {Event.TELL_BUSY: Heard.BUSY},
    Heard.BUSY: {Event.TELL_REPLY: Heard.REPLIED, Event.TELL_IDLE: Heard.IDLE},
    Heard.REPLIED: {Event.TELL_IDLE: Heard.FINISHED},
    Heard.IDLE: {Event.TELL_REPLY: Heard.FINISHED},
    Heard.FINISHED: {},
}

# States of the other side that allow an event.
_NOT_REPLIED = frozenset({Heard.NOTHING, Heard.BUSY})
COUPLED: dict[Event, frozenset[Heard]] = {
    Event.QUEUE: _NOT_REPLIED,
    Event.SEND: _NOT_REPLIED,
    Event.PUT_BACK: _NOT_REPLIED,
}

_OF_FRONT_END = frozenset({Event.TELL_BUSY, Event.TELL_REPLY, Event.TELL_IDLE})


class RequestState:
    """The state of one request."""

    __slots__ = ("heard", "stage")

    def __init__(self) -> None:
        self.stage = Stage.RECEIVED
        self.heard = Heard.NOTHING

    def __repr__(self) -> str:
        return f"{self.stage.name}/{self.heard.name}"

    def may(self, event: Event) -> bool:
        """Tell whether an event is allowed now."""
        return self._next(event) is not None

    def happens(self, event: Event) -> None:
        """Change the state. Raises LocalProtocolError: the event is not allowed now."""
        after = self._next(event)
        if after is None:
            raise LocalProtocolError(
                "The kernel lost track of a request. Restart it.", detail=f"{event.name} in {self}"
            )
        if isinstance(after, Stage):
            self.stage = after
        else:
            self.heard = after
            if after in (Heard.IDLE, Heard.FINISHED):
                self.stage = Stage.ENDED

    def _next(self, event: Event) -> _State | None:
        if self.heard not in COUPLED.get(event, Heard):
            return None
        side = self.heard if event in _OF_FRONT_END else self.stage
        return TRANSITIONS[side].get(event)
