"""The table of unfinished requests, each of which gets its end.

A request is finished when its idle has been published: by the remote kernel, or by this table's
kernel if the request does not reach the remote one, or dies with it.
"""

from __future__ import annotations

import json
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from .hidden import is_hidden, shows_outputs
from .request_state import Event, Heard, RequestState, Stage

# So many requests get a reply that comes after their idle.
_REMEMBERED = 1000


@dataclass
class Request:
    """A message from a front end.

    frames: header, parent header, metadata, content, buffers, as they came.
    idents: the ZMQ identities that its reply goes to.
    state: see request_state.py.
    place: its position in the relay's stream, once it has been sent.
    started: monotonic clock of its busy.
    is_hidden: a front end runs this code unasked (hidden.py).
    is_interrupted: the remote kernel was, or may have been, interrupted while it was busy with it.
    """

    channel: str
    idents: list[bytes]
    header: dict[str, Any]
    frames: list[bytes]
    state: RequestState = field(default_factory=RequestState)
    place: int = 0
    started: float = 0.0
    is_hidden: bool = False
    is_interrupted: bool = False
    content: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, channel: str, idents: list[bytes], frames: list[bytes], content: Any) -> Request:
        """Make a request of a message. Dates in its header stay text."""
        content = content if isinstance(content, dict) else {}
        # The text of a cell is in its frame already.
        kept = {key: value for key, value in content.items() if key != "code"}
        request = cls(channel, idents, json.loads(frames[0]), frames, content=kept)
        request.is_hidden = request.is_execute and is_hidden(content, str(content.get("code", "")))
        return request

    @property
    def code(self) -> str:
        """Its code, empty once it is finished."""
        return str(json.loads(self.frames[3]).get("code", "")) if self.frames else ""

    # -- its state -----------------------------------------------------------------

    @property
    def is_sent(self) -> bool:
        """Whether it is with the remote kernel, or on its way there."""
        return self.state.stage in (Stage.SENT, Stage.RUNNING)

    @property
    def is_running(self) -> bool:
        """Whether the remote kernel is known to be busy with it."""
        return self.state.stage is Stage.RUNNING

    @property
    def is_replied(self) -> bool:
        """Whether its reply has been sent."""
        return self.state.heard in (Heard.REPLIED, Heard.FINISHED)

    def queue(self) -> None:
        """Wait to be sent."""
        self.state.happens(Event.QUEUE)

    def send(self, place: int) -> None:
        """Be sent, at this position of the stream."""
        self.state.happens(Event.SEND)
        self.place = place

    def begin(self, now: float) -> None:
        """Note, once, that the remote kernel is busy with it."""
        if self.state.may(Event.BEGIN):
            self.state.happens(Event.BEGIN)
            self.started = now

    def put_back(self) -> None:
        """Wait to be sent once more: it has not run."""
        self.state.happens(Event.PUT_BACK)

    # -- what it is ----------------------------------------------------------------

    @property
    def msg_id(self) -> str:
        """The front end's id of this message."""
        return str(self.header["msg_id"])

    @property
    def msg_type(self) -> str:
        """The Jupyter message type."""
        return str(self.header["msg_type"])

    @property
    def is_execute(self) -> bool:
        """Whether it runs code."""
        return self.msg_type == "execute_request"

    @property
    def is_cell(self) -> bool:
        """Whether it is a cell whose outputs, and sentences, a user sees."""
        return self.is_execute and not self.is_hidden and shows_outputs(self.content)

    @property
    def asks_usage(self) -> bool:
        """Whether it asks for memory and processor time. ipykernel answers on this channel only."""
        return self.msg_type == "usage_request" and self.channel == "control"

    @property
    def only_looks(self) -> bool:
        """Whether a front end asks by itself, for instance as the user types."""
        looks = {"complete_request", "inspect_request"}
        return self.is_hidden or self.asks_usage or self.msg_type in looks

    @property
    def wants_reply(self) -> bool:
        """Whether its type has a reply."""
        return self.msg_type.endswith("_request")

    @property
    def reply_type(self) -> str:
        """The message type of its reply."""
        return self.msg_type.removesuffix("_request") + "_reply"

    @property
    def subshell_id(self) -> str | None:
        """The subshell it is for, None for the main shell."""
        value = self.header.get("subshell_id")
        return value if isinstance(value, str) else None

    @property
    def waits_in_turn(self) -> bool:
        """Whether ipykernel would leave it in the queue while the main shell runs a cell."""
        return self.is_in_main_thread and not self.msg_type.startswith("comm_")

    @property
    def is_in_main_thread(self) -> bool:
        """Whether it is done where an interrupt arrives."""
        return self.channel == "shell" and self.subshell_id is None

    @property
    def aborts_on_error(self) -> bool:
        """Whether an error in it aborts the cells that are queued behind it."""
        return (
            self.is_execute
            and not self.content.get("silent", False)
            and bool(self.content.get("stop_on_error", True))
        )


class RequestTable:
    """All unfinished requests, oldest first, and where late replies go."""

    def __init__(self) -> None:
        self._unfinished: OrderedDict[str, Request] = OrderedDict()
        self._finished: OrderedDict[str, Request] = OrderedDict()

    def __len__(self) -> int:
        return len(self._unfinished)

    def __iter__(self) -> Iterator[Request]:
        return iter(list(self._unfinished.values()))

    def add(self, request: Request) -> None:
        """Take a request in."""
        self._unfinished[request.msg_id] = request

    def oldest(self) -> Request | None:
        """Return the first of them."""
        return next(iter(self._unfinished.values()), None)

    def find(self, msg_id: str) -> Request | None:
        """Return an unfinished request."""
        return self._unfinished.get(msg_id)

    def find_any(self, msg_id: str) -> Request | None:
        """Return a request that is unfinished, or was lately."""
        return self._unfinished.get(msg_id) or self._finished.get(msg_id)

    def finish(self, request: Request) -> None:
        """Note that its idle has been published; it need not have been taken in."""
        # jupyter_client's manager and its client have one session, and each counts its messages: an
        # interrupt may have the id of the cell that it is for.
        if self._unfinished.get(request.msg_id) is not request:
            return
        del self._unfinished[request.msg_id]
        # They may be large, as the state of a widget, and are not needed any more.
        request.frames = []
        if not request.is_execute:
            request.content = {}
        self._finished[request.msg_id] = request
        while len(self._finished) > _REMEMBERED:
            self._finished.popitem(last=False)

    def is_urgent(self, request: Request) -> bool:
        """Tell whether the remote kernel would answer it at once."""
        return not request.waits_in_turn or not any(
            one.waits_in_turn and one.is_sent for one in self if one is not request
        )

    def running(self) -> Request | None:
        """Return the cell that the main shell is running, or will run next."""
        return next(
            (one for one in self._unfinished.values() if one.is_execute and one.is_sent), None
        )
