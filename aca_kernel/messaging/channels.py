"""The five sockets that front ends connect to.

Binds them as the connection file says, encrypted if it has keys for that. Checks signatures,
hands over messages as they came and sends messages as they are. What a message means is the
kernel's business.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import threading
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import zmq
from jupyter_client.session import DELIM, Session

from .inbox import Inbox, Received
from .outgoing import Forward, ForwardReply, Outgoing, Publish, Reply

_REQUEST_CHANNELS = ("shell", "control", "stdin")

# As numbers: an operator of zmq's enumerations takes longer than what it is about.
_MORE = int(zmq.SNDMORE)
_POLLIN = int(zmq.POLLIN)

# From one socket, before others get their turn.
_MESSAGES_AT_ONCE = 50

# A port that the front end has found free may be another connection's for a moment.
_BIND_SECONDS = 3.0

# Front ends of a kernel that is restarted come back one after the other: zmq tries it every
# 0.1 s. Whoever comes later than the second of these is not told that the kernel starts.
_GATHER_SECONDS = 0.1
_OLD_SECONDS = 10.0


def _bind_when_free(socket: zmq.Socket[Any], address: str) -> None:
    deadline = time.monotonic() + _BIND_SECONDS
    while True:
        try:
            socket.bind(address)
        except zmq.ZMQError as error:
            if error.errno != errno.EADDRINUSE or time.monotonic() > deadline:
                raise
            time.sleep(0.05)
        else:
            return


def _as_utf8(frame: bytes) -> bytes:
    """Return JSON with what is no UTF-8 replaced, as jupyter_client reads it."""
    return frame if frame.isascii() else frame.decode("utf-8", "replace").encode()


class Channels:
    """shell, control, stdin, iopub and the heartbeat of one kernel.

    info: the decoded connection file. is_restart: front ends were connected to a kernel before
    this one. Everything but the heartbeat belongs to the event loop that `bind` was called on.
    """

    def __init__(
        self,
        info: dict[str, Any],
        session: Session,
        log: logging.Logger,
        *,
        is_restart: bool = False,
    ) -> None:
        self._info = info
        # A first front end waits for iopub to be silent (`wait_for_ready` of jupyter_client).
        self._gather_seconds = _GATHER_SECONDS if is_restart else 0.0
        self._session = session
        self._log = log
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self._sockets: dict[str, zmq.Socket[bytes]] = {}
        self._receivers: dict[str, _Receiver] = {}
        # What was published before anybody could hear it: "starting".
        self._early: list[list[bytes]] = []
        self._has_subscriber = False
        self._timers: list[asyncio.TimerHandle] = []

    def bind(self) -> dict[str, int]:
        """Bind all sockets; return their ports, chosen where the connection file has 0."""
        ports: dict[str, int] = {}
        kinds = dict.fromkeys(_REQUEST_CHANNELS, zmq.ROUTER) | {"iopub": zmq.XPUB}
        for name, kind in kinds.items():
            socket = self._context.socket(kind)
            socket.linger = 1000
            # Without zmq's limit of 1000 messages, which an answer in one piece may exceed.
            socket.sndhwm = 0
            if kind == zmq.ROUTER:
                # A front end that reconnects under its old identity is let in again.
                socket.router_handover = 1
            ports[name + "_port"] = self._bind(socket, int(self._info.get(name + "_port", 0)))
            self._sockets[name] = socket
        ports["hb_port"] = self._start_heartbeat(int(self._info.get("hb_port", 0)))
        return ports

    def _bind(self, socket: zmq.Socket[Any], port: int) -> int:
        self._encrypt(socket)
        transport, ip = self._info.get("transport", "tcp"), self._info.get("ip", "127.0.0.1")
        if transport == "ipc":
            socket.bind(f"ipc://{ip}-{port}")
            return port
        if port:
            _bind_when_free(socket, f"{transport}://{ip}:{port}")
            return port
        return socket.bind_to_random_port(f"{transport}://{ip}")

    def _encrypt(self, socket: zmq.Socket[Any]) -> None:
        """Admit only clients that know the keys of the connection file, if it has keys."""
        public, secret = (self._info.get(f"curve_{kind}key") for kind in ("public", "secret"))
        if public and secret:
            socket.curve_publickey = public.encode("ascii")
            socket.curve_secretkey = secret.encode("ascii")
            socket.curve_server = True

    def _start_heartbeat(self, port: int) -> int:
        context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        socket = context.socket(zmq.ROUTER)
        socket.linger = 1000
        port = self._bind(socket, port)

        def echo() -> None:
            # In a thread, so that no work of the event loop delays it.
            try:
                zmq.proxy(socket, socket)
            except zmq.ZMQError:
                socket.close()

        threading.Thread(target=echo, name="heartbeat", daemon=True).start()
        return port

    def listen(self, inbox: Inbox[Received]) -> None:
        """Start to put messages into the inbox."""
        for name, socket in self._sockets.items():
            take = self._welcome if name == "iopub" else partial(self._receive, name, inbox)
            self._receivers[name] = _Receiver(socket, take)
        self._after(_OLD_SECONDS, self._early.clear)

    def _receive(self, channel: str, inbox: Inbox[Received], frames: list[bytes]) -> None:
        try:
            idents, rest = self._session.feed_identities(frames)
            # As ipykernel reads it: on shell, messages of protocols before 5 are refused for their
            # content. It would drop them without a word, and they were waited for.
            message = self._session.deserialize(rest, content=channel != "shell")
            content = message["content"]
            if channel == "shell":
                content = self._session.unpack(content)
        except Exception as error:  # noqa: BLE001 - any broken message is dropped
            self._log.warning("dropped an invalid message on %s: %s", channel, error)
            return
        # Without the signature. Behind the four parts of a message are its buffers.
        body = [frame for frame in rest[1:] if isinstance(frame, bytes)]
        body[:4] = map(_as_utf8, body[:4])
        received = Received(time.monotonic(), channel, idents, body, content)
        if channel == "control":
            # Earlier messages of the other socket first: an interrupt is for the cell before it.
            self._receivers["shell"].look_again()
            asyncio.get_running_loop().call_soon(inbox.put_nowait, received)
        else:
            inbox.put_nowait(received)

    def _welcome(self, frames: list[bytes]) -> None:
        """Answer each subscription with iopub_welcome (JEP 65), as ipykernel does."""
        event = frames[0]
        if event[:1] == b"\x01":
            topic = event[1:].decode("utf-8", "replace")
            message = self._session.msg("iopub_welcome", {"subscription": topic})
            answer = self._session.serialize(message)
            self._send("iopub", [event[1:], *answer] if topic else answer)
            self._has_subscriber = True
            self._after(self._gather_seconds, self._send_early)

    def send(self, message: Outgoing) -> None:
        """Send a message to front ends."""
        match message:
            case Forward():
                self._publish(message.topic, message.frames)
            case ForwardReply():
                self._reply(message.channel, message.idents, message.frames)
            case Publish():
                is_stream = message.msg_type == "stream"
                topic = f"stream.{message.content['name']}" if is_stream else message.msg_type
                self._publish(f"kernel.{topic}", self._frames_of(message))
            case Reply():
                self._reply(message.channel, message.idents, self._frames_of(message))

    def _publish(self, topic: str, frames: list[bytes]) -> None:
        """Send a message on iopub; before `listen`, when somebody has subscribed."""
        message = [topic.encode("ascii", "replace"), *self._signed(frames)]
        if not self._receivers:
            self._early.append(message)
            return
        if self._has_subscriber:
            self._send_early()
        self._send("iopub", message)

    def _send_early(self) -> None:
        for message in self._early:
            self._send("iopub", message)
        self._early.clear()

    def _after(self, seconds: float, act: Callable[[], None]) -> None:
        self._timers.append(asyncio.get_running_loop().call_later(seconds, act))

    def _reply(self, channel: str, idents: list[bytes], frames: list[bytes]) -> None:
        self._send(channel, [*idents, *self._signed(frames)])

    def _frames_of(self, message: Publish | Reply) -> list[bytes]:
        about = {"header": message.parent} if message.parent is not None else {}
        made = self._session.msg(
            message.msg_type, message.content, parent=about, metadata=message.metadata
        )
        # Delimiter and signature come first; they are made again when it is sent.
        return self._session.serialize(made)[2:]

    def _signed(self, frames: list[bytes]) -> list[bytes]:
        return [DELIM, self._session.sign(frames[:4]), *frames]

    def _send(self, channel: str, frames: list[bytes]) -> None:
        # Never waits: neither a ROUTER nor an XPUB waits for its peers. send_multipart would check
        # each frame, and make its flags anew.
        socket = self._sockets[channel]
        for frame in frames[:-1]:
            socket.send(frame, _MORE)
        socket.send(frames[-1])
        if channel in self._receivers:
            self._receivers[channel].look_again()

    async def close(self) -> None:
        """Close the sockets after their last messages, within a second."""
        for timer in self._timers:
            timer.cancel()
        for receiver in self._receivers.values():
            receiver.stop()
        for socket in self._sockets.values():
            socket.close()
        await asyncio.get_running_loop().run_in_executor(None, self._context.term)


class _Receiver:
    """Reads a socket on the event loop that it is made on, and calls `take`."""

    def __init__(self, socket: zmq.Socket[bytes], take: Callable[[list[bytes]], None]) -> None:
        self._socket = socket
        self._take = take
        self._loop = asyncio.get_running_loop()
        self._descriptor = int(socket.getsockopt(zmq.FD))
        self._is_stopped = self._is_due = False
        self._loop.add_reader(self._descriptor, self._read)
        # The descriptor shows changes only: messages may be there already.
        self.look_again()

    def look_again(self) -> None:
        """Read soon: any use of the socket may reset its descriptor."""
        if not self._is_due:
            self._is_due = True
            self._loop.call_soon(self._read)

    def stop(self) -> None:
        """Take no more."""
        self._is_stopped = True
        self._loop.remove_reader(self._descriptor)

    def _read(self) -> None:
        self._is_due = False
        for _ in range(_MESSAGES_AT_ONCE):
            if self._is_stopped:
                return
            if not int(self._socket.getsockopt(zmq.EVENTS)) & _POLLIN:
                return
            frames = self._socket.recv_multipart(zmq.NOBLOCK)
            try:
                self._take(frames)
            except BaseException:  # the event loop reports it: what came behind it need not wait
                self.look_again()
                raise
        self.look_again()
