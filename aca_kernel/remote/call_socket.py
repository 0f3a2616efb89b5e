"""The socket between the agent and its callers in the remote kernel.

It carries records (wire.py). A record with an `id` is a call; its answer has the same `id` and
comes by the same connection.
"""

from __future__ import annotations

import os
import select
import socket
import time
from collections import deque
from typing import Any

from . import wire

_RECEIVED_BYTES = 1 << 20

# Code may put another class into the module, as it does for proxies (PySocks, gevent).
_Socket = socket.socket

# Descriptors of sockets that were kept open, by their paths.
_KEPT: dict[str, int] = {}


def keep_open(path: str) -> None:
    """Let this process and its forks connect to a socket when code has removed its path.

    Linux only; elsewhere they can once the agent has made the path again.
    """
    if hasattr(os, "O_PATH"):
        _KEPT[path] = os.open(path, os.O_PATH | os.O_CLOEXEC)


def is_readable(descriptor: Any, seconds: float | None) -> bool:
    """Wait for data or an end; seconds: None for no limit.

    descriptor: a number, or an object with a fileno. select.select fails beyond 1023.
    """
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    return bool(poll.poll(None if seconds is None else int(seconds * 1000)))


class Connection:
    """The caller's end. It blocks, and `is_readable` can wait for it."""

    def __init__(self, path: str) -> None:
        self._socket = _Socket(socket.AF_UNIX, socket.SOCK_STREAM)
        # Whatever code has set by `socket.setdefaulttimeout`: a checkpoint takes its time.
        self._socket.settimeout(None)
        self._incoming = wire.ReceiveLog()
        try:
            self._connect(path)
        except OSError:
            self._socket.close()
            raise

    def _connect(self, path: str) -> None:
        try:
            self._socket.connect(path)
        except OSError as error:  # removed, replaced, or without permission
            try:
                self._socket.connect(f"/proc/self/fd/{_KEPT[path]}")
            except (KeyError, OSError):  # code has closed it
                raise error from None

    def fileno(self) -> int:
        """Return the socket's descriptor."""
        return self._socket.fileno()

    def send(self, head: dict[str, Any], parts: tuple[bytes, ...] = ()) -> None:
        """Send the agent a record that needs no answer."""
        self._socket.sendall(wire.encode_record(wire.Record(head, parts)))

    def call(self, op: str, parts: tuple[bytes, ...] = (), **arguments: Any) -> str:
        """Send a call and return its id, which the answer has, too."""
        call_id = os.urandom(16).hex()
        self.send({"id": call_id, "op": op, **arguments}, parts)
        return call_id

    def receive(self) -> list[wire.Record]:
        """Wait for data and return the complete records. Raises OSError: the agent has gone."""
        data = self._socket.recv(_RECEIVED_BYTES)
        if not data:
            raise OSError("the connection to the kernel was lost")
        return self._incoming.feed(self._incoming.received, data)

    def close(self) -> None:
        """Give up unanswered calls."""
        self._socket.close()


class _Caller:
    """The agent's end of a connection, with its buffers."""

    def __init__(self, connection: socket.socket) -> None:
        self.socket = connection
        self.incoming = wire.ReceiveLog()
        self.outgoing: deque[memoryview] = deque()


class CallSocket:
    """The agent's end: takes calls and sends answers while an exchange is pending."""

    def __init__(self, path: str) -> None:
        self.path = path
        # The remote kernel keeps the first one open; the last one has the path.
        self.listeners = [self._listen()]
        self.callers: dict[int, _Caller] = {}
        self.waiting: dict[str, int] = {}
        self._poller: Any = None
        # The same descriptors: zmq's poller takes longer to tell that there is nothing.
        self._quick_poll = select.poll()

    def _listen(self) -> socket.socket:
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            listener.bind(self.path)
        except OSError:
            listener.close()
            raise
        listener.listen(64)
        listener.setblocking(False)
        return listener

    def listen_again(self) -> None:
        """Listen again at the path, which code has removed. Raises OSError."""
        listener = self._listen()
        for superseded in self.listeners[1:]:
            self._close(superseded)
        self.listeners[1:] = [listener]
        self._watch(listener.fileno())

    def forget_first(self) -> None:
        """Close the listener of a remote kernel that has ended; the next knows the path only."""
        for superseded in self.listeners[:-1]:
            self._close(superseded)
        self.listeners[:-1] = []

    def _close(self, listener: socket.socket) -> None:
        self._unwatch(listener.fileno())
        listener.close()

    def _watch(self, descriptor: int, *, is_full: bool = False) -> None:
        """Be told of what comes from there; is_full: and of room there."""
        if self._poller is not None:
            self._poller.register(descriptor, self._pollin | (self._pollout if is_full else 0))
            self._quick_poll.register(
                descriptor, select.POLLIN | (select.POLLOUT if is_full else 0)
            )

    def _unwatch(self, descriptor: int) -> None:
        if self._poller is not None:
            self._poller.unregister(descriptor)
            self._quick_poll.unregister(descriptor)

    def register(self, poller: Any, pollin: int, pollout: int) -> None:
        """Make a poller wake up for callers, new and known."""
        self._poller, self._pollin, self._pollout = poller, pollin, pollout
        for listener in self.listeners:
            self._watch(listener.fileno())
        for descriptor, caller in self.callers.items():
            self._watch(descriptor, is_full=bool(caller.outgoing))

    def read(self) -> list[wire.Record]:
        """Read new records of callers; send answers that did not fit before."""
        if not self._quick_poll.poll(0):
            return []
        for listener in self.listeners:
            self._accept_from(listener)
        records: list[wire.Record] = []
        for descriptor in list(self.callers):
            self._send(descriptor)
            records.extend(self._read_from(descriptor))
        return records

    def _accept_from(self, listener: socket.socket) -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except BlockingIOError:
                return
            connection.setblocking(False)
            self.callers[connection.fileno()] = _Caller(connection)
            self._watch(connection.fileno())

    def _read_from(self, descriptor: int) -> list[wire.Record]:
        caller = self.callers.get(descriptor)
        records: list[wire.Record] = []
        while caller is not None:
            try:
                data = caller.socket.recv(_RECEIVED_BYTES)
                received = caller.incoming.feed(caller.incoming.received, data) if data else None
            except BlockingIOError:
                break
            except (OSError, ValueError, TypeError, AttributeError):  # gone, or not our form
                received = None
            if received is None:
                self._drop(descriptor)
                break
            records.extend(received)
        for record in records:
            if "id" in record.head and descriptor in self.callers:
                self.waiting[str(record.head["id"])] = descriptor
        return records

    def answer(self, record: wire.Record) -> None:
        """Send an answer to its caller, if that still waits."""
        descriptor = self.waiting.pop(str(record.head.get("id")), None)
        if descriptor is not None:
            data = memoryview(wire.encode_record(record))
            self.callers[descriptor].outgoing.append(data)
            self._send(descriptor)

    def _send(self, descriptor: int) -> None:
        """Send as much as the caller has room for; the poller tells when there is more."""
        outgoing = self.callers[descriptor].outgoing
        if not outgoing:
            return
        try:
            while outgoing:
                sent = self.callers[descriptor].socket.send(outgoing[0])
                outgoing[0] = outgoing[0][sent:]
                if not outgoing[0]:
                    outgoing.popleft()
        except BlockingIOError:
            pass
        except OSError:  # the caller has gone
            self._drop(descriptor)
            return
        self._watch(descriptor, is_full=bool(outgoing))

    def drain(self, seconds: float) -> None:
        """Wait for callers to take their answers."""
        deadline = time.monotonic() + seconds
        while any(caller.outgoing for caller in self.callers.values()):
            left = deadline - time.monotonic()
            if left <= 0:
                return
            poll = select.poll()
            for descriptor, caller in self.callers.items():
                if caller.outgoing:
                    poll.register(descriptor, select.POLLOUT)
            for descriptor, _ in poll.poll(1 + int(left * 1000)):
                self._send(descriptor)

    def close(self) -> None:
        """Close all sockets; callers see the end of their connections."""
        for caller in self.callers.values():
            caller.socket.close()
        self.callers.clear()
        for listener in self.listeners:
            listener.close()

    def _drop(self, descriptor: int) -> None:
        self._unwatch(descriptor)
        self.callers.pop(descriptor).socket.close()
        self.waiting = {key: one for key, one in self.waiting.items() if one != descriptor}
