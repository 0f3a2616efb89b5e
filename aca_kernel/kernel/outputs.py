"""Messages of the remote kernel, forwarded to the front end that asked for them.

They keep their frames. A few of them say that their request has begun, failed or ended.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, NamedTuple

from ..checkpoint.carrier import is_own
from ..messaging.request_state import Event, Heard
from ..messaging.requests import Request
from ..remote.wire import Record
from .shared import Shared
from .usage import Usage

# What a cell takes whose busy and idle come together.
_SHORTEST_SECONDS = 1e-6

_ENDED = (Heard.IDLE, Heard.FINISHED)

# What a front end hears of a completion, for instance, that was interrupted.
_INTERRUPTED: dict[str, Any] = {
    "status": "error",
    "ename": "KeyboardInterrupt",
    "evalue": "",
    "traceback": [],
}


class Began(NamedTuple):
    """The remote kernel is busy with a request."""

    request: Request


class Failed(NamedTuple):
    """A cell has failed whose error aborts the cells behind it."""

    request: Request


class Ended(NamedTuple):
    """The remote kernel is idle again, so many seconds later, and the request is finished."""

    request: Request
    seconds: float


class Serving(NamedTuple):
    """An output that a user sees names servers in the environment, as if on the user's machine.

    network: that of the environment, as `remote.servers` tells it.
    """

    request: Request
    ports: set[int]
    network: str


@dataclass(frozen=True, slots=True)
class SetupBegan:
    """The remote kernel is busy with set-up code, which a cell waits for."""


# What a message says of its request.
Seen = Began | Failed | Ended | Serving | SetupBegan | None


class Forwarder:
    """Forwards, and tells what it sees.

    asks_exit: whether the user's code asked the kernel to quit.
    """

    def __init__(self, shared: Shared, usage: Usage) -> None:
        self.asks_exit = False
        self._shared = shared
        self._usage = usage
        # The parent header of what threads say, and its id: of the request that began last.
        self._latest = (b"{}", "")

    def forward(self, record: Record, now: float) -> Seen:
        """Forward one message of the remote kernel; return what it says of its request."""
        head = record.head
        channel, msg_type, parent = str(head["channel"]), str(head["type"]), str(head["parent"])
        frames = list(record.parts)
        if is_own(parent):
            # What a thread says while state is stored is of the cell before that.
            frames[1], parent = self._latest
        if parent in self._shared.setup.muted:
            return SetupBegan() if self._shared.setup.note(parent, head.get("state")) else None
        request = self._shared.table.find_any(parent)
        if channel == "iopub":
            seen = self._forward_iopub(msg_type, head.get("state"), frames, request, now)
            return _serving(head["serves"], request) if "serves" in head else seen
        if request is None:
            self._shared.log.warning("a %s belongs to no request and is dropped", msg_type)
        elif channel == "stdin":
            self._shared.publisher.forward_reply("stdin", request, frames)
        elif request.state.heard in _ENDED or request.is_replied:
            self._forward_late(msg_type, frames, request)
        else:
            return self._forward_reply(msg_type, frames, request)
        return None

    def _forward_late(self, msg_type: str, frames: list[bytes], request: Request) -> None:
        """Forward a reply that comes behind its idle, once."""
        if request.state.may(Event.TELL_REPLY):
            request.state.happens(Event.TELL_REPLY)
            self._shared.publisher.forward_reply(request.channel, request, frames)
        else:
            self._shared.log.warning("a second %s is dropped", msg_type)

    def _forward_reply(self, msg_type: str, frames: list[bytes], request: Request) -> Failed | None:
        self._shared.publisher.begin(request)
        request.state.happens(Event.TELL_REPLY)
        failed = None
        if msg_type == "execute_reply":
            failed = self._look_at_reply(request, frames)
        elif msg_type == "create_subshell_reply":
            self._shared.subshells.created(frames)
        elif msg_type == "usage_reply":
            self._usage.heard(frames)
        self._shared.publisher.forward_reply(request.channel, request, frames)
        return failed

    def _forward_iopub(
        self, msg_type: str, state: Any, frames: list[bytes], request: Request | None, now: float
    ) -> Began | Ended | None:
        if request is not None and state == "busy":
            return self._forward_busy(frames, request, now)
        if request is not None and state == "idle":
            return self._forward_idle(frames, request, now)
        if msg_type == "execute_input" and self._shared.announcer.is_told(request, frames):
            return None
        if msg_type == "comm_open":
            self._shared.widgets.opened(frames, request)
        self._shared.publisher.forward(f"kernel.{msg_type}", frames)
        return None

    def _forward_busy(self, frames: list[bytes], request: Request, now: float) -> Began | None:
        self._latest = (frames[1], request.msg_id)
        has_begun = request.state.may(Event.BEGIN)
        request.begin(now)
        if request.state.may(Event.TELL_BUSY):
            request.state.happens(Event.TELL_BUSY)
            self._shared.publisher.forward("kernel.status", frames)
        return Began(request) if has_begun else None

    def _forward_idle(self, frames: list[bytes], request: Request, now: float) -> Ended | None:
        if request.state.heard in _ENDED:
            return None
        self._shared.publisher.begin(request)
        is_owed = request.wants_reply and not request.is_replied
        if is_owed and request.is_interrupted:
            # ipykernel replies to none but cells then.
            self._shared.publisher.reply(request, _INTERRUPTED)
        request.state.happens(Event.TELL_IDLE)
        self._shared.publisher.forward("kernel.status", frames)
        self._shared.table.finish(request)
        seconds = now - request.started if request.started else 0.0
        return Ended(request, max(seconds, _SHORTEST_SECONDS))

    def _look_at_reply(self, request: Request, frames: list[bytes]) -> Failed | None:
        """Do what ipykernel does after a cell, as far as it concerns what is still here."""
        content = json.loads(frames[3])
        self._shared.announcer.replied(content.get("execution_count"))
        if b'"ask_exit"' in frames[3]:
            payload = content.get("payload", [])
            self.asks_exit = any(
                one.get("source") == "ask_exit" and not one.get("keepkernel") for one in payload
            )
        if json.loads(frames[2]).get("status") == "error" and request.aborts_on_error:
            return Failed(request)
        return None


def unreachable_servers(ports: list[int]) -> str:
    """Return a sentence on servers that no browser reaches."""
    listed = ", ".join(map(str, ports))
    return (
        f"The server at port {listed} is in the session environment. No browser on your machine "
        "reaches it, unless the kernel runs on the embedded pool with egress "
        "(`aca-kernel help clients`)."
    )


def _serving(said: Any, request: Request | None) -> Serving | None:
    if request is None or (request.is_execute and not request.is_cell):
        return None
    return Serving(request, set(map(int, said["ports"])), str(said["network"]))
