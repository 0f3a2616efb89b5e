"""The channels of a front end in the kernel's own process: values in queues.

A message is what `jupyter_client` makes of one: a dict with `header`, `parent_header`, `metadata`,
`content` and `buffers`. Nothing is signed, because nothing leaves the process. Contents travel as
JSON all the same: neither side sees the other change a value.
"""

from __future__ import annotations

import asyncio
import json
import queue
import time
import uuid
from collections.abc import Callable
from datetime import datetime, timezone
from typing import Any

from .inbox import Inbox, Received
from .outgoing import Forward, ForwardReply, Outgoing, Publish, Reply

Message = dict[str, Any]

# Of the Jupyter messaging protocol, as jupyter_client writes it.
_VERSION = "5.3"


class MemoryChannel:
    """One direction of one channel, with the interface of jupyter_client's channels.

    take: called with what the front end sends.
    """

    def __init__(self, take: Callable[[Message], None]) -> None:
        self._take = take
        self._messages: asyncio.Queue[Message] = asyncio.Queue()

    def put(self, message: Message) -> None:
        """Let the front end have a message of the kernel's."""
        self._messages.put_nowait(message)

    def send(self, message: Message) -> None:
        """Let the kernel have a message of the front end's."""
        self._take(message)

    def take_all(self) -> list[Message]:
        """Return what has come."""
        return [self._messages.get_nowait() for _ in range(self._messages.qsize())]

    async def get_msg(self, timeout: float | None = None) -> Message:
        """Return the next message. timeout: in seconds. Raises queue.Empty: none has come."""
        if not self._messages.empty():
            return self._messages.get_nowait()
        try:
            return await asyncio.wait_for(self._messages.get(), timeout)
        except asyncio.TimeoutError:
            raise queue.Empty from None


class MemoryChannels:
    """The channels of one kernel and its one front end, both in this process.

    session, username: of all messages, in both directions.
    """

    def __init__(self, session: str, username: str) -> None:
        self._session = session
        self._username = username
        self._inbox: Inbox[Received] | None = None
        self._early: list[Received] = []
        self._is_closed = False
        self.shell = MemoryChannel(lambda message: self._receive("shell", message))
        self.control = MemoryChannel(lambda message: self._receive("control", message))
        self.stdin = MemoryChannel(lambda message: self._receive("stdin", message))
        self.iopub = MemoryChannel(lambda message: self._receive("iopub", message))
        self._channels = {"shell": self.shell, "control": self.control, "stdin": self.stdin}

    def msg(
        self,
        msg_type: str,
        content: dict[str, Any] | None = None,
        parent: dict[str, Any] | None = None,
        header: dict[str, Any] | None = None,
        metadata: dict[str, Any] | None = None,
    ) -> Message:
        """Return a new message; parent: a message or its header. As jupyter_client's Session."""
        head = header or {
            "msg_id": uuid.uuid4().hex,
            "msg_type": msg_type,
            "username": self._username,
            "session": self._session,
            "date": datetime.now(timezone.utc),
            "version": _VERSION,
        }
        return {
            "header": head,
            "msg_id": head["msg_id"],
            "msg_type": msg_type,
            "parent_header": (parent or {}).get("header", parent or {}),
            "metadata": metadata or {},
            "content": content or {},
            "buffers": [],
        }

    # -- the kernel's side ---------------------------------------------------------

    def listen(self, inbox: Inbox[Received]) -> None:
        """Start to put messages into the inbox."""
        self._inbox = inbox
        for received in self._early:
            inbox.put_nowait(received)
        self._early.clear()

    def send(self, message: Outgoing) -> None:
        """Send a message to the front end."""
        if self._is_closed:
            return
        match message:
            case Forward():
                self.deliver("iopub", _message_of(message.frames))
            case ForwardReply():
                self.deliver(message.channel, _message_of(message.frames))
            case Publish():
                self.deliver("iopub", self._own(message))
            case Reply():
                self.deliver(message.channel, self._own(message))

    def deliver(self, channel: str, message: Message) -> None:
        """Hand a message over to the front end."""
        (self.iopub if channel == "iopub" else self._channels[channel]).put(message)

    def _own(self, message: Publish | Reply) -> Message:
        content, parent, metadata = json.loads(
            json.dumps([message.content, message.parent or {}, message.metadata or {}])
        )
        made = self.msg(message.msg_type, content, metadata=metadata)
        return {**made, "parent_header": parent}

    async def close(self) -> None:
        """Drop what comes from now on."""
        self._is_closed, self._inbox = True, None

    # -- the front end's side --------------------------------------------------------

    def _receive(self, channel: str, message: Message) -> None:
        if self._is_closed or channel == "iopub":
            return
        content = message["content"]
        parts = (message["header"], message["parent_header"], message["metadata"], content)
        frames = [json.dumps(part, default=_date_text).encode() for part in parts]
        frames += [bytes(one) for one in message.get("buffers") or ()]
        received = Received(time.monotonic(), channel, [], frames, content)
        if self._inbox is None:
            self._early.append(received)
        else:
            self._inbox.put_nowait(received)


def _message_of(frames: list[bytes]) -> Message:
    header, parent, metadata, content = (json.loads(frame) for frame in frames[:4])
    header["date"] = _date(header.get("date"))
    return {
        "header": header,
        "msg_id": header.get("msg_id"),
        "msg_type": header.get("msg_type"),
        "parent_header": parent,
        "metadata": metadata,
        "content": content,
        "buffers": frames[4:],
    }


def _date(text: Any) -> Any:
    """Return a header's date as jupyter_client does, what is none as it is."""
    try:
        return datetime.fromisoformat(text.replace("Z", "+00:00"))
    except (AttributeError, ValueError):
        return text


def _date_text(value: Any) -> str:
    return value.isoformat() if isinstance(value, datetime) else str(value)
