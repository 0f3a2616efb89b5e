"""The way to a pool on this machine: HTTP/1.1 by h11 on a socket of the event loop.

h11 knows the protocol and does no I/O; the rest is a connection per pending request, kept for
the next one. No TLS, no proxy, no redirect, no compression: nobody is in between.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import cast
from urllib.parse import SplitResult

import h11

from .contract import HttpAnswer, Transport, answer_lost, unreachable

_Headers = list[tuple[bytes, bytes]]


class LoopbackTransport(Transport):
    """Posts to a plain http address of this machine."""

    def __init__(
        self, parts: SplitResult, headers: Mapping[str, str], *, connect_timeout_seconds: float
    ) -> None:
        self._host, self._port = parts.hostname or "", parts.port or 80
        self._target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        self._headers = _encoded({"host": parts.netloc.rpartition("@")[2], **headers})
        self._connect_timeout_seconds = connect_timeout_seconds
        self._idle: list[_Connection] = []
        self._busy: set[_Connection] = set()

    async def post(
        self, body: bytes, *, headers: Mapping[str, str], timeout_seconds: float
    ) -> HttpAnswer:
        """See Transport."""
        all_headers = [*self._headers, *_encoded(headers)]
        connection = self._take_idle() or await self._connect()
        self._busy.add(connection)
        try:
            answer = await connection.post(self._target, all_headers, body, timeout_seconds)
        except BaseException:
            # Also when the caller gave up: what comes now would answer another request.
            connection.abort()
            raise
        finally:
            self._busy.discard(connection)
        if connection.is_reusable:
            self._idle.append(connection)
        return answer

    @property
    def connections(self) -> int:
        """See Transport."""
        return len(self._busy) + sum(one.is_reusable for one in self._idle)

    async def close(self) -> None:
        """See Transport."""
        while self._idle:
            self._idle.pop().abort()
        for connection in list(self._busy):
            connection.abort()

    def _take_idle(self) -> _Connection | None:
        while self._idle:
            connection = self._idle.pop()
            if connection.is_reusable:
                return connection
        return None

    async def _connect(self) -> _Connection:
        loop = asyncio.get_running_loop()
        try:
            _, connection = await asyncio.wait_for(
                loop.create_connection(_Connection, self._host, self._port),
                self._connect_timeout_seconds,
            )
        except (OSError, asyncio.TimeoutError) as error:
            raise unreachable(type(error).__name__) from error
        return connection


def _encoded(headers: Mapping[str, str]) -> _Headers:
    return [(name.encode("ascii"), value.encode("ascii")) for name, value in headers.items()]


class _Connection(asyncio.Protocol):
    """One connection; `is_reusable`: it stands, and nothing is pending on it."""

    def __init__(self) -> None:
        self.is_reusable = False
        self._http = h11.Connection(h11.CLIENT)
        self._socket: asyncio.Transport | None = None
        self._answer: asyncio.Future[HttpAnswer] | None = None
        self._head: h11.Response | None = None
        self._chunks: list[bytes] = []
        self._timer: asyncio.TimerHandle | None = None
        self._timeout_seconds = 0.0

    def post(
        self, target: str, headers: _Headers, body: bytes, timeout_seconds: float
    ) -> asyncio.Future[HttpAnswer]:
        """Send a request and return where its answer will be; raises as Transport.post."""
        self.is_reusable = False
        answer = self._answer = asyncio.get_running_loop().create_future()
        self._timeout_seconds = timeout_seconds
        self._start_timer()
        answer.add_done_callback(lambda _: self._stop_timer())
        length = (b"content-length", str(len(body)).encode())
        send = self._http.send
        request = h11.Request(method="POST", target=target, headers=[*headers, length])
        data = [send(request), send(h11.Data(body)), send(h11.EndOfMessage())]
        if self._socket is not None:
            self._socket.write(b"".join(part for part in data if part))
        return answer

    def _start_timer(self) -> None:
        # Not wait_for, which makes a task of every call.
        self._stop_timer()
        loop = asyncio.get_running_loop()
        self._timer = loop.call_later(self._timeout_seconds, self._lose, "no answer in time")

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()

    def abort(self) -> None:
        """Close at once."""
        self.is_reusable = False
        if self._socket is not None:
            self._socket.abort()

    # -- called by the event loop ------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._socket = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        if self._answer is None:  # nobody asked
            self.abort()
            return
        self._start_timer()
        try:
            self._http.receive_data(data)
            self._read_events()
        except h11.RemoteProtocolError as error:
            self._lose(str(error))

    def eof_received(self) -> bool:
        self.is_reusable = False
        self.data_received(b"")  # the end of an answer without a length
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        self.is_reusable = False
        self._lose(type(exc).__name__ if exc else "closed")

    def _read_events(self) -> None:
        while True:
            event = self._http.next_event()
            if isinstance(event, h11.Data):
                self._chunks.append(event.data)
            elif isinstance(event, h11.Response):
                self._head = event
            elif isinstance(event, h11.EndOfMessage):
                self._finish()
                return
            elif not isinstance(event, h11.InformationalResponse):
                return

    def _finish(self) -> None:
        answer, head, body = self._answer, self._head, b"".join(self._chunks)
        self._answer = self._head = None
        self._chunks = []
        if self._http.our_state is h11.DONE and self._http.their_state is h11.DONE:
            self._http.start_next_cycle()
            self.is_reusable = True
        elif self._socket is not None:
            self._socket.close()
        if answer is not None and head is not None and not answer.done():
            headers = {
                name.decode("ascii"): value.decode("latin-1") for name, value in head.headers
            }
            answer.set_result(HttpAnswer(head.status_code, headers, body))

    def _lose(self, detail: str) -> None:
        answer, self._answer = self._answer, None
        if answer is not None and not answer.done():
            answer.set_exception(answer_lost(detail))
