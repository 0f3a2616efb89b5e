"""Frames over a socket that must not block the pool's event loop."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING

from .inside import frames

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable

_RECEIVE_BYTES = 1 << 18


class Channel:
    """Both directions of one non-blocking socket.

    on_frame: called with each frame. on_close: called once, when the other end closed;
    its argument tells whether that end sent what is no frame, and may be alive.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        sock: socket.socket,
        on_frame: Callable[[frames.Frame], None],
        on_close: Callable[[bool], None],
    ) -> None:
        self._loop = loop
        self._socket = sock
        self._on_frame = on_frame
        self._on_close = on_close
        self._reader = frames.FrameReader()
        self._unsent: deque[memoryview] = deque()
        self._all_sent: asyncio.Future[None] | None = None
        loop.add_reader(sock.fileno(), self._receive)

    async def sent(self) -> None:
        """Wait until everything has left, or the channel is closed."""
        while self._unsent and self._socket.fileno() >= 0:
            if self._all_sent is None:
                self._all_sent = self._loop.create_future()
            await asyncio.shield(self._all_sent)

    def send(self, data: bytes) -> None:
        """Send now what the socket takes, and the rest when it takes more."""
        if self._socket.fileno() < 0:
            return
        is_idle = not self._unsent
        self._unsent.append(memoryview(data))
        if is_idle:
            self._send_more()
            if self._unsent:
                self._loop.add_writer(self._socket.fileno(), self._send_more)

    def close(self) -> None:
        """Close the socket; `on_close` is not called."""
        if self._socket.fileno() >= 0:
            self._loop.remove_reader(self._socket.fileno())
            self._loop.remove_writer(self._socket.fileno())
            self._socket.close()
        self._wake()

    def _send_more(self) -> None:
        while self._unsent:
            try:
                sent = self._socket.send(self._unsent[0])
            except BlockingIOError:
                return
            except OSError:  # the other end is gone, which is reported when reading
                self._unsent.clear()
                break
            if sent == len(self._unsent[0]):
                self._unsent.popleft()
            else:
                self._unsent[0] = self._unsent[0][sent:]
        self._loop.remove_writer(self._socket.fileno())
        self._wake()

    def _wake(self) -> None:
        if self._all_sent is not None:
            self._all_sent.set_result(None)
            self._all_sent = None

    def _receive(self) -> None:
        try:
            data = self._socket.recv(_RECEIVE_BYTES)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        try:
            for frame in self._reader.feed(data):
                self._on_frame(frame)
        except (ValueError, LookupError, TypeError, AttributeError):
            # Code in a sandbox can write to its socket: it must not disturb the pool.
            is_broken = True
        else:
            is_broken = False
        if (is_broken or not data) and self._socket.fileno() >= 0:
            self._loop.remove_reader(self._socket.fileno())
            self._on_close(is_broken)
