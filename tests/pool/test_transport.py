"""Both ways to a pool keep one contract, whatever the server at the other end does."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
import threading
from collections.abc import Awaitable, Callable, Iterator
from urllib.parse import urlsplit

import pytest

from aca_kernel.errors import PoolUnreachable, ResultUnknown, SettingInvalid
from aca_kernel.pool.mcp_client import McpClient
from aca_kernel.pool.transport.contract import Transport
from aca_kernel.pool.transport.factory import open_transport
from aca_kernel.pool.transport.internet import InternetTransport
from aca_kernel.pool.transport.loopback import LoopbackTransport

_HEADERS = {"content-type": "application/json"}
_KEY = {"x-ms-apikey": "a-key"}

Open = Callable[[str], Transport]


def _open_loopback(endpoint: str) -> Transport:
    return LoopbackTransport(urlsplit(endpoint), _HEADERS, connect_timeout_seconds=5)


def _open_internet(endpoint: str) -> Transport:
    return InternetTransport(endpoint, _HEADERS, connect_timeout_seconds=5)


@pytest.fixture(params=[_open_loopback, _open_internet], ids=["loopback", "internet"])
def open_one(request: pytest.FixtureRequest) -> Open:
    return request.param  # type: ignore[no-any-return]


class Server:
    """Accepts connections and answers each request on them as the test says."""

    def __init__(self, answer: Callable[[socket.socket, bytes], bool]) -> None:
        self._answer = answer
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.connections: list[socket.socket] = []
        self.requests: list[bytes] = []
        self.endpoint = f"http://127.0.0.1:{self._listening.getsockname()[1]}/some/mcp?a=b"
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self._listening.accept()
                self.connections.append(connection)
                threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while request := _read_request(connection):
                self.requests.append(request)
                if not self._answer(connection, request):
                    return

    def close(self) -> None:
        self._listening.close()
        for connection in self.connections:
            connection.close()


def _read_request(connection: socket.socket) -> bytes:
    data = b""
    while b"\r\n\r\n" not in data:
        received = connection.recv(65536)
        if not received:
            return b""
        data += received
    head, _, body = data.partition(b"\r\n\r\n")
    (line,) = [one for one in head.lower().split(b"\r\n") if one.startswith(b"content-length:")]
    while len(body) < int(line.partition(b":")[2]):
        body += connection.recv(65536)
    return head + b"\r\n\r\n" + body


@contextlib.contextmanager
def serving(answer: Callable[[socket.socket, bytes], bool]) -> Iterator[Server]:
    server = Server(answer)
    try:
        yield server
    finally:
        server.close()


def _send(*pieces: bytes, then_close: bool = False) -> Callable[[socket.socket, bytes], bool]:
    def answer(connection: socket.socket, _request: bytes) -> bool:
        for piece in pieces:
            connection.sendall(piece)
        if then_close:
            connection.shutdown(socket.SHUT_WR)
        return not then_close

    return answer


_GOOD = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 4\r\n\r\ngood"
_CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


async def _post(transport: Transport, body: bytes = b"{}", seconds: float = 10) -> bytes:
    try:
        return (await transport.post(body, headers=_KEY, timeout_seconds=seconds)).body
    finally:
        await transport.close()


def test_the_request_holds_what_was_given(open_one: Open) -> None:
    with serving(_send(_GOOD)) as server:
        assert asyncio.run(_post(open_one(server.endpoint), b'{"x": 1}')) == b"good"
    head, _, body = server.requests[0].partition(b"\r\n\r\n")
    lines = head.lower().split(b"\r\n")
    assert lines[0] == b"post /some/mcp?a=b http/1.1"
    assert b"host: " + server.endpoint.split("/")[2].encode() in lines
    assert b"x-ms-apikey: a-key" in lines
    assert body == b'{"x": 1}'


@pytest.mark.parametrize(
    "pieces",
    [
        [_GOOD],
        [bytes([byte]) for byte in _GOOD],
        [b"HTTP/1.1 100 Continue\r\n\r\n", _GOOD],
        [
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\ngo\r\n",
            b"2\r\nod\r\n0\r\n\r\n",
        ],
    ],
    ids=["whole", "byte by byte", "after a 100", "chunked"],
)
def test_an_answer_is_read_in_each_form(open_one: Open, pieces: list[bytes]) -> None:
    with serving(_send(*pieces)) as server:
        assert asyncio.run(_post(open_one(server.endpoint))) == b"good"


def test_an_answer_may_end_with_its_connection(open_one: Open) -> None:
    with serving(_send(b"HTTP/1.1 200 OK\r\n\r\ngood", then_close=True)) as server:
        assert asyncio.run(_post(open_one(server.endpoint))) == b"good"


def test_status_and_headers_are_returned(open_one: Open) -> None:
    async def run() -> None:
        transport = open_one(server.endpoint)
        answer = await transport.post(b"{}", headers=_KEY, timeout_seconds=10)
        assert answer.status == 429
        assert answer.headers["retry-after"] == "7"
        await transport.close()

    busy = b"HTTP/1.1 429 Too Many Requests\r\nRetry-After: 7\r\nContent-Length: 0\r\n\r\n"
    with serving(_send(busy)) as server:
        asyncio.run(run())


def test_megabytes_arrive_whole_in_both_directions(open_one: Open) -> None:
    def echo(connection: socket.socket, request: bytes) -> bool:
        body = request.partition(b"\r\n\r\n")[2]
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
        return True

    body = bytes(range(256)) * 20_000
    with serving(echo) as server:
        assert asyncio.run(_post(open_one(server.endpoint), body)) == body


def test_a_connection_is_used_again(open_one: Open) -> None:
    async def run() -> None:
        transport = open_one(server.endpoint)
        for _ in range(5):
            assert (await transport.post(b"{}", headers=_KEY, timeout_seconds=10)).body == b"good"
        await transport.close()

    with serving(_send(_GOOD)) as server:
        asyncio.run(run())
        assert len(server.connections) == 1


def test_a_connection_that_the_server_has_closed_is_not_used_again(open_one: Open) -> None:
    async def run() -> None:
        transport = open_one(server.endpoint)
        for _ in range(3):
            assert (await transport.post(b"{}", headers=_KEY, timeout_seconds=10)).body == b"good"
            await asyncio.sleep(0.1)
        await transport.close()

    with serving(_send(_GOOD, then_close=True)) as server:
        asyncio.run(run())
        assert len(server.connections) == 3


def test_requests_at_the_same_time_do_not_wait_for_each_other(open_one: Open) -> None:
    both = threading.Barrier(2, timeout=10)

    def answer(connection: socket.socket, _request: bytes) -> bool:
        both.wait()
        connection.sendall(_GOOD)
        return True

    async def run() -> None:
        transport = open_one(server.endpoint)
        posts = [transport.post(b"{}", headers=_KEY, timeout_seconds=10) for _ in range(2)]
        assert [one.body for one in await asyncio.gather(*posts)] == [b"good", b"good"]
        await transport.close()

    with serving(answer) as server:
        asyncio.run(run())


@pytest.mark.parametrize("is_given_up", [False, True], ids=["lost", "given up"])
def test_a_connection_that_is_lost_counts_no_more(open_one: Open, is_given_up: bool) -> None:
    both = threading.Barrier(2, timeout=10)

    def answer(connection: socket.socket, _request: bytes) -> bool:
        if len(server.requests) <= 2:
            both.wait()
            connection.sendall(_GOOD)
            return True
        return is_given_up or _reset(connection, b"")

    async def run() -> None:
        transport = open_one(server.endpoint)
        posts = [transport.post(b"{}", headers=_KEY, timeout_seconds=10) for _ in range(2)]
        await asyncio.gather(*posts)
        assert transport.connections == 2
        post = transport.post(b"{}", headers=_KEY, timeout_seconds=10)
        with pytest.raises((ResultUnknown, asyncio.TimeoutError)):
            await asyncio.wait_for(post, 0.2 if is_given_up else 10)
        assert transport.connections == 1
        await transport.close()

    with serving(answer) as server:
        asyncio.run(run())


def _reset(connection: socket.socket, _request: bytes) -> bool:
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()
    return False


@pytest.mark.parametrize(
    "answer",
    [
        _send(then_close=True),
        _send(_GOOD[:-1], then_close=True),
        _send(_CHUNKED, b"2\r\ngo", then_close=True),
        _send(b"SSH-2.0-OpenSSH_9.2\r\n", then_close=True),
        _reset,
    ],
    ids=["nothing", "half", "half of a chunk", "another protocol", "reset"],
)
def test_an_answer_that_does_not_come_whole_leaves_the_result_unknown(
    open_one: Open, answer: Callable[[socket.socket, bytes], bool]
) -> None:
    with serving(answer) as server, pytest.raises(ResultUnknown):
        asyncio.run(_post(open_one(server.endpoint)))


async def _wait_in_vain(transport: Transport) -> None:
    with pytest.raises(ResultUnknown):
        await transport.post(b"{}", headers=_KEY, timeout_seconds=0.2)


async def _give_up(transport: Transport) -> None:
    with pytest.raises(asyncio.TimeoutError):
        await asyncio.wait_for(transport.post(b"{}", headers=_KEY, timeout_seconds=10), 0.2)


@pytest.mark.parametrize("fail", [_wait_in_vain, _give_up], ids=["late", "given up"])
def test_an_answer_that_nobody_waits_for_is_not_the_next_ones(
    open_one: Open, fail: Callable[[Transport], Awaitable[None]]
) -> None:
    async def run() -> None:
        transport = open_one(server.endpoint)
        await fail(transport)
        is_over.set()
        assert (await transport.post(b"{}", headers=_KEY, timeout_seconds=10)).body == b"good"
        await transport.close()

    is_over = threading.Event()

    def answer(connection: socket.socket, _request: bytes) -> bool:
        is_first = not is_over.is_set()
        is_over.wait(10)
        connection.sendall(_GOOD.replace(b"good", b"late") if is_first else _GOOD)
        return True

    with serving(answer) as server:
        asyncio.run(run())


def test_nobody_listening_is_unreachable(open_one: Open) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
    with pytest.raises(PoolUnreachable):
        asyncio.run(_post(open_one(f"http://127.0.0.1:{port}/mcp")))


@pytest.mark.parametrize(
    ("endpoint", "expected"),
    [
        ("http://127.0.0.1:5000/mcp", LoopbackTransport),
        ("http://[::1]:5000/mcp", LoopbackTransport),
        ("http://localhost/mcp", LoopbackTransport),
        ("https://localhost/mcp", InternetTransport),
        ("https://westus2.example.org/mcp", InternetTransport),
        ("http://example.org/mcp", InternetTransport),
    ],
)
def test_only_plain_http_on_this_machine_goes_the_short_way(endpoint: str, expected: type) -> None:
    assert type(open_transport(endpoint, {}, connect_timeout_seconds=1)) is expected


@pytest.mark.parametrize("endpoint", ["http://[::1/mcp", "http://127.0.0.1:port/mcp"])
def test_what_is_no_address_is_refused(endpoint: str) -> None:
    with pytest.raises(SettingInvalid, match="not a web address"):
        open_transport(endpoint, {}, connect_timeout_seconds=1)


@pytest.mark.parametrize("key", ["two\nlines", "schlüssel"])
def test_a_key_that_no_header_can_carry_is_refused_without_showing_it(key: str) -> None:
    with pytest.raises(SettingInvalid, match="API key holds characters") as caught:
        McpClient("http://127.0.0.1:1/mcp", key)
    assert key not in str(caught.value)
