"""The channels of a front end in the kernel's own process: values in queues.

A message is what `jupyter_client` makes of one: a dict with `header`, `parent_header`, `metadata`,
`content` and `buffers`. Nothing is signed, because nothing leaves the process. All travel as JSON
all the same: neither side sees the other change a value.
"""

from __future__ import annotations

import asyncio
import queue
import time
from collections.abc import Callable
from typing import Any

from jupyter_client.session import Session

from .inbox import Inbox, Received
from .outgoing import Forward, ForwardReply, Outgoing, Publish, Reply

Message = dict[str, Any]


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

    session: makes the messages of both.
    """

    def __init__(self, session: str, username: str) -> None:
        self.session = Session(session=session, username=username, key=b"")
        self._inbox: Inbox[Received] | None = None
        self._early: list[Received] = []
        self._is_closed = False
        self.shell = MemoryChannel(lambda message: self._receive("shell", message))
        self.control = MemoryChannel(lambda message: self._receive("control", message))
        self.stdin = MemoryChannel(lambda message: self._receive("stdin", message))
        self.iopub = MemoryChannel(lambda _: None)
        self._channels = {"shell": self.shell, "control": self.control, "stdin": self.stdin}

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
                self._deliver(self.iopub, message.frames)
            case ForwardReply():
                self._deliver(self._channels[message.channel], message.frames)
            case Publish():
                self._deliver(self.iopub, self._frames_of(message))
            case Reply():
                self._deliver(self._channels[message.channel], self._frames_of(message))

    def _deliver(self, channel: MemoryChannel, frames: list[bytes]) -> None:
        # The first of them is the signature.
        channel.put(self.session.deserialize([b"", *frames]))

    def _frames_of(self, message: Publish | Reply) -> list[bytes]:
        made = self.session.msg(message.msg_type, message.content, metadata=message.metadata)
        return self._serialized({**made, "parent_header": message.parent or {}})

    def _serialized(self, message: Message) -> list[bytes]:
        # Without delimiter and signature.
        return self.session.serialize(message)[2:]

    async def close(self) -> None:
        """Drop what comes from now on."""
        self._is_closed, self._inbox = True, None

    # -- the front end's side --------------------------------------------------------

    def _receive(self, channel: str, message: Message) -> None:
        if self._is_closed:
            return
        frames = self._serialized(message)
        frames += [bytes(one) for one in message.get("buffers") or ()]
        received = Received(time.monotonic(), channel, [], frames, message["content"])
        if self._inbox is None:
            self._early.append(received)
        else:
            self._inbox.put_nowait(received)
