"""A line with a delay between a kernel and a pool, and a TLS server at its far end.

The line is a proxy in this process that gives each piece of data its time of arrival, so that any
number of pieces are under way at once. It counts round trips. distance.py measures with it, and
says what it does not show.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
import re
import socket
import ssl
import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

_SEGMENT_BYTES = 1460
_FIRST_WINDOW_BYTES = 10 * _SEGMENT_BYTES  # RFC 6928
_LARGEST_WINDOW_BYTES = 3 << 20  # half of Linux's usual tcp_rmem
_LEAST_RTO_SECONDS = 0.2


@dataclass
class Call:
    """One HTTP request, in the client's time: from its first byte to the last of its answer.

    handshakes: round trips that its connection took before it, 0 for one that stood.
    """

    name: str
    began: float
    handshakes: int = 0
    ended: float = math.inf
    up: int = 0
    down: int = 0
    status: int = 0


@dataclass
class Opened:
    """A connection that was made. version: of TLS, protocol: what ALPN agreed on."""

    at: float
    version: str = "plain"
    protocol: str = ""


@dataclass
class Traffic:
    """What went over the line during something.

    pending: what was under way when it began. over: when it ended.
    """

    calls: list[Call]
    opened: list[Opened]
    up: int
    down: int
    pending: list[Call] = field(default_factory=list)
    over: float = math.inf

    def round_trips(self) -> int:
        """Return those of the longest chain of calls that follow one another.

        Nobody has waited for a call that was still under way when all was over, nor for one that
        looks after the line, or makes another connection, beside a call of a tool.
        """
        best: list[tuple[float, int]] = [(-math.inf, 0)]
        answered = [one for one in self.calls if one.ended <= self.over and not self._is_aside(one)]
        for call in sorted(answered, key=lambda one: one.ended):
            before = next(count for end, count in reversed(best) if end <= call.began + 0.002)
            count = max(best[-1][1], before + 1 + call.handshakes)
            best.append((call.ended, count))
        return best[-1][1]

    def _is_aside(self, call: Call) -> bool:
        if call.name != "ping":
            return False
        tools = [one for one in (*self.pending, *self.calls) if one.name != "ping"]
        return any(one.began <= call.began < one.ended for one in tools)


class Line:
    """The proxy; its attributes may be changed at any time.

    delay: seconds one way. bits_per_second: of each direction, 0 for no limit.
    """

    def __init__(self, target: int, certificate: str = "", *, slow_start: bool = False) -> None:
        self.delay = 0.0
        self.bits_per_second = 0.0
        self.slow_start = slow_start
        self.target = target
        self.tls: ssl.SSLContext | None = None
        if certificate:
            self.tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self.tls.load_cert_chain(certificate)
            # Whoever offers HTTP/2 would get it, and be noticed.
            self.tls.set_alpn_protocols(["h2", "http/1.1"])
        self.calls: list[Call] = []
        self.opened: list[Opened] = []
        self.bytes_up = self.bytes_down = 0
        # When each direction is through with what was sent last.
        self.free_at = {"up": 0.0, "down": 0.0}
        self.connections: set[_Connection] = set()
        self.loop = asyncio.new_event_loop()
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.port = int(self._listener.getsockname()[1])
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    @property
    def endpoint(self) -> str:
        """The pool's, by way of this line."""
        start = "https://localhost" if self.tls else "http://127.0.0.1"
        return f"{start}:{self.port}/mcp"

    def _run(self) -> None:
        asyncio.set_event_loop(self.loop)
        serving = self.loop.create_task(asyncio.start_server(self._accept, sock=self._listener))
        self.loop.run_forever()
        if serving.done():
            serving.result().close()
        for connection in list(self.connections):
            connection.cut()
        tasks = asyncio.all_tasks(self.loop)
        for task in tasks:
            task.cancel()
        self.loop.run_until_complete(asyncio.gather(*tasks, return_exceptions=True))
        self.loop.run_until_complete(asyncio.sleep(0.05))  # transports close then
        self.loop.close()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = _Connection(self, writer)
        self.connections.add(connection)
        try:
            await connection.serve(reader)
        finally:
            self.connections.discard(connection)
            if connection.is_swallowing:
                connection.cut()

    @contextmanager
    def watch(self) -> Iterator[Traffic]:
        """Tell what goes over the line meanwhile; complete when the block has ended."""
        calls, opened, up, down = len(self.calls), len(self.opened), self.bytes_up, self.bytes_down
        now = self.loop.time()
        pending = [one for one in list(self.calls) if one.ended > now]
        traffic = Traffic([], [], 0, 0, pending)
        yield traffic
        traffic.over = self.loop.time()
        # A call is noted when it arrives at the far end; some had left before this began.
        noted = self.calls[calls:]
        traffic.pending += [one for one in noted if one.began < now]
        traffic.calls = [one for one in noted if one.began >= now]
        traffic.opened = self.opened[opened:]
        traffic.up, traffic.down = self.bytes_up - up, self.bytes_down - down

    def _for_each(self, action: Callable[[_Connection], None]) -> None:
        def act() -> None:
            for one in list(self.connections):
                action(one)

        self.loop.call_soon_threadsafe(act)

    def cut(self) -> None:
        """Reset all connections."""
        self._for_each(lambda one: one.cut())

    def swallow(self) -> None:
        """Let nothing more through the connections that stand, without a word."""
        self._for_each(lambda one: one.swallow())

    def close(self) -> None:
        """End everything."""
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join(5)
        self._listener.close()


class _Connection:
    """A client's connection, what it becomes at the far end, and the pool's behind that."""

    def __init__(self, line: Line, client: asyncio.StreamWriter) -> None:
        self._line = line
        self._client = client
        self._pool: asyncio.StreamWriter | None = None
        self._tls = _Tls(line.tls) if line.tls else None
        self.opened = Opened(line.loop.time())
        line.opened.append(self.opened)
        self._up = _Way(line, "up", self._arrive)
        self._down = _Way(line, "down", self._deliver)
        self._requests, self._answers = _Messages(), _Messages()
        self._pending: deque[Call] = deque()
        self._handshakes = 2 if self._tls else 1
        self.is_swallowing = False

    async def serve(self, reader: asyncio.StreamReader) -> None:
        # The client has been told at once that the connection stands; it is to have waited.
        stands_at = self._line.loop.time() + 2 * self._line.delay
        try:
            pool_reader, self._pool = await asyncio.open_connection("127.0.0.1", self._line.target)
        except OSError:
            self._client.transport.abort()
            return
        answering = asyncio.ensure_future(self._answer(pool_reader))
        with contextlib.suppress(OSError):
            while data := await reader.read(1 << 18):
                if not self.is_swallowing:
                    self._line.bytes_up += len(data)
                    self._up.send(data, not_before=stands_at)
        # What is under way arrives before the end does.
        self._line.loop.call_at(self._up.through_at + self._line.delay, self._pool.close)
        await answering

    async def _answer(self, reader: asyncio.StreamReader) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(1 << 18):
                if not self.is_swallowing:
                    arrives = self._send_down(self._tls.encrypt(data) if self._tls else data)
                    self._note_answer(data, arrives)
        if not self.is_swallowing:
            self._line.loop.call_at(self._down.arrived_at, self._client.close)

    def _send_down(self, data: bytes) -> float:
        self._line.bytes_down += len(data)
        return self._down.send(data)

    def _arrive(self, data: bytes, sent: float) -> None:
        """At the far end."""
        if self.is_swallowing or self._pool is None:
            return
        if self._tls is not None:
            data, answer = self._tls.decrypt(data)
            if answer:
                self._send_down(answer)
            self.opened.version, self.opened.protocol = self._tls.agreed()
        if not data:
            return
        for is_begin, head in self._requests.feed(data):
            if is_begin:
                self._pending.append(Call("", sent, self._handshakes))
                self._line.calls.append(self._pending[-1])
                self._handshakes = 0
            else:
                self._pending[-1].name = _name_of(head)
                self._pending[-1].up = self._requests.size
        self._pool.write(data)

    def _note_answer(self, data: bytes, arrives: float) -> None:
        for is_begin, head in self._answers.feed(data):
            if is_begin:
                self._pending[0].status = int(head.split(b" ", 2)[1])
            elif self._pending:
                call = self._pending.popleft()
                call.ended, call.down = arrives, self._answers.size

    def _deliver(self, data: bytes, _: float) -> None:
        """At the client."""
        if not self.is_swallowing:
            self._client.write(data)

    def cut(self) -> None:
        self._client.transport.abort()
        if self._pool is not None:
            self._pool.transport.abort()

    def swallow(self) -> None:
        self.is_swallowing = True


class _Way:
    """One direction of a connection: what is sent comes out later, in order.

    through_at: when the sender is through with all of it. arrived_at: when it has arrived.
    """

    def __init__(self, line: Line, direction: str, out: Callable[[bytes, float], None]) -> None:
        self._line = line
        self._direction = direction
        self._out = out
        self._queue: deque[tuple[bytes, float]] = deque()
        self.through_at = self.arrived_at = 0.0
        # Of slow start: what may be under way, and what is: until when, how much, and whether
        # the window was full, without which it does not grow.
        self._window = _FIRST_WINDOW_BYTES
        self._under_way: deque[tuple[float, int, bool]] = deque()

    def send(self, data: bytes, not_before: float = 0.0) -> float:
        """Send something now; return when it will have arrived."""
        line = self._line
        now = line.loop.time()
        for piece, may_go, is_full in self._pieces(data, max(now, not_before, self.through_at)):
            start = max(may_go, line.free_at[self._direction]) if line.bits_per_second else may_go
            seconds = 8 * len(piece) / line.bits_per_second if line.bits_per_second else 0.0
            self.through_at = line.free_at[self._direction] = start + seconds
            self.arrived_at = max(self.arrived_at, self.through_at + line.delay)
            if line.slow_start:
                self._under_way.append((self.arrived_at + line.delay, len(piece), is_full))
            self._queue.append((piece, now))
            line.loop.call_at(self.arrived_at, self._come_out)
        return self.arrived_at

    def _pieces(self, data: bytes, at: float) -> Iterator[tuple[bytes, float, bool]]:
        """Yield data in pieces, each with when the window lets it go, and whether it fills it."""
        if not self._line.slow_start:
            yield data, at, False
            return
        rto = 2 * self._line.delay + _LEAST_RTO_SECONDS
        halvings = min(40, int(max(0.0, at - self.through_at) / rto))
        self._window = max(_FIRST_WINDOW_BYTES, self._window >> halvings)
        rest = memoryview(data)
        while rest:
            while self._under_way and self._under_way[0][0] <= at:
                _, size, was_full = self._under_way.popleft()
                self._window = min(_LARGEST_WINDOW_BYTES, self._window + was_full * size)
            room = self._window - sum(size for _, size, _ in self._under_way)
            if room <= 0:
                at = self._under_way[0][0]
                continue
            yield bytes(rest[:room]), at, len(rest) > room or bool(self._under_way)
            rest = rest[room:]
            at = max(at, self.through_at)

    def _come_out(self) -> None:
        self._out(*self._queue.popleft())


class _Tls:
    """The server's end of TLS, without a socket."""

    def __init__(self, context: ssl.SSLContext) -> None:
        self._in, self._out = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._object = context.wrap_bio(self._in, self._out, server_side=True)
        self._is_open = False

    def decrypt(self, data: bytes) -> tuple[bytes, bytes]:
        """Return what has come, and what is to be sent for that."""
        self._in.write(data)
        pieces = []
        with contextlib.suppress(ssl.SSLError):  # most often: more is wanted
            if not self._is_open:
                self._object.do_handshake()
                self._is_open = True
            while piece := self._object.read(1 << 18):
                pieces.append(piece)
        return b"".join(pieces), self._out.read()

    def encrypt(self, data: bytes) -> bytes:
        self._object.write(data)
        return self._out.read()

    def agreed(self) -> tuple[str, str]:
        return self._object.version() or "", self._object.selected_alpn_protocol() or ""


class _Messages:
    """Where HTTP messages begin and end in a stream; they all say their length.

    size: of the last one, with its head.
    """

    def __init__(self) -> None:
        self._head = b""
        self._begin = b""
        self._left = 0
        self.size = 0

    def feed(self, data: bytes) -> Iterator[tuple[bool, bytes]]:
        """Yield (True, head) of each that begins, (False, first bytes of its body) at its end."""
        while data:
            if not self._left:
                self._head += data
                end = self._head.find(b"\r\n\r\n") + 4
                if end < 4:
                    return
                head, data, self._head = self._head[:end], self._head[end:], b""
                found = re.search(rb"(?i)\ncontent-length: *(\d+)", head)
                self._left, self._begin = int(found[1]) if found else 0, b""
                self.size = len(head) + self._left
                yield True, head
                if not self._left:
                    yield False, b""
                continue
            if len(self._begin) < 300:
                self._begin += data[: min(300, self._left)]
            taken = min(len(data), self._left)
            self._left -= taken
            data = data[taken:]
            if not self._left:
                yield False, self._begin


def _name_of(body: bytes) -> str:
    found = re.search(rb'"method": *"tools/call".*?"name": *"(\w+)"', body)
    found = found or re.search(rb'"method": *"([\w/]+)"', body)
    return found[1].decode() if found else "?"
