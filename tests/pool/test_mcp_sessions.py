"""MCP sessions: they begin, go with each request, end and begin again, beside environments."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import threading
from collections.abc import Awaitable, Callable, Iterator
from http.server import BaseHTTPRequestHandler
from typing import Any, TypeVar

import pytest

from aca_kernel import errors
from aca_kernel.pool.mcp_client import McpClient

from ..support import eventually, local_http, serving

T = TypeVar("T")
LAUNCH = "launchShell"
RUN_PYTHON = "runPythonCodeInRemoteEnvironment"


def using(endpoint: str, use: Callable[[McpClient], Awaitable[T]]) -> T:
    """Return what comes of using a client of an endpoint."""

    async def once() -> T:
        client = McpClient(endpoint, "secret-key", connect_timeout_seconds=5)
        try:
            return await use(client)
        finally:
            await client.close()

    return asyncio.run(once())


class Official:
    """The official SDK's server in its default mode, with tools named as a pool's."""

    def __init__(self) -> None:
        sdk = pytest.importorskip("mcp.server.mcpserver")
        uvicorn = pytest.importorskip("uvicorn")
        server = sdk.MCPServer("sessions", log_level="ERROR")
        self.ran: list[str] = []

        def launch() -> dict[str, str]:
            return {"environmentId": "an-environment"}

        def run_python(environmentId: str, pythonCode: str) -> dict[str, str]:  # noqa: N803
            self.ran.append(pythonCode)
            return {"environmentId": environmentId, "stdout": f"{pythonCode}\n", "stderr": ""}

        server.add_tool(launch, name=LAUNCH)
        server.add_tool(run_python, name=RUN_PYTHON)
        self.sessions: list[str | None] = []
        app = server.streamable_http_app()

        async def noting(scope: Any, receive: Any, send: Any) -> None:
            if scope["type"] == "http":
                given = dict(scope["headers"]).get(b"mcp-session-id")
                self.sessions.append(given.decode() if given else None)
            await app(scope, receive, send)

        self._socket = socket.create_server(("127.0.0.1", 0))
        self.endpoint = f"http://127.0.0.1:{self._socket.getsockname()[1]}/mcp"
        self._server = uvicorn.Server(uvicorn.Config(noting, log_level="error", lifespan="on"))
        self._thread = threading.Thread(
            target=self._server.run, kwargs={"sockets": [self._socket]}, daemon=True
        )
        self._thread.start()
        assert eventually(lambda: self._server.started)

    def end_session(self, session_id: str) -> None:
        answer = local_http("DELETE", self.endpoint, headers={"mcp-session-id": session_id})
        assert answer.status_code == 200

    def close(self) -> None:
        self._server.should_exit = True
        self._thread.join()
        self._socket.close()


@pytest.fixture
def official() -> Iterator[Official]:
    with contextlib.closing(Official()) as one:
        yield one


async def run(client: McpClient, code: str) -> str:
    arguments = {"environmentId": "an-environment", "pythonCode": code}
    return (await client.call_tool(RUN_PYTHON, arguments, timeout_seconds=10)).stdout


def test_the_official_server_in_its_default_mode_is_used_in_one_session(official: Official) -> None:
    async def use(client: McpClient) -> None:
        await client.initialize()
        assert set(await client.list_tools()) == {LAUNCH, RUN_PYTHON}
        launched = await client.call_tool(LAUNCH, {}, timeout_seconds=10)
        assert launched.structured["environmentId"] == "an-environment"
        assert await run(client, "1") == "1\n"

    using(official.endpoint, use)
    first, *later = official.sessions
    assert first is None
    # The rest of the conversation, what follows initialize included.
    assert len(later) == 4
    assert later[0]
    assert len(set(later)) == 1


def test_a_session_that_has_ended_begins_again_and_the_call_runs_once(official: Official) -> None:
    async def use(client: McpClient) -> None:
        await client.initialize()
        await run(client, "1")
        before = official.sessions[-1]
        assert before is not None
        await asyncio.to_thread(official.end_session, before)
        assert await run(client, "2") == "2\n"
        assert official.sessions[-1] not in (None, before)

    using(official.endpoint, use)
    assert official.ran == ["1", "2"]


def test_whoever_does_not_begin_gets_a_session_and_calls_side_by_side_share_it(
    official: Official,
) -> None:
    """An environment that is taken over is used without initialize."""

    async def use(client: McpClient) -> None:
        assert sorted(await asyncio.gather(*(run(client, code) for code in "123"))) == [
            "1\n",
            "2\n",
            "3\n",
        ]

    using(official.endpoint, use)
    assert sorted(official.ran) == ["1", "2", "3"]
    assert len({one for one in official.sessions if one is not None}) == 1


def test_the_list_of_tools_may_be_asked_for_beside_initialize(official: Official) -> None:
    async def use(client: McpClient) -> None:
        _, tools = await asyncio.gather(client.initialize(), client.list_tools())
        assert RUN_PYTHON in tools

    using(official.endpoint, use)
    assert len({one for one in official.sessions if one is not None}) == 1


class Scripted(BaseHTTPRequestHandler):
    """A server whose tool answers with what stands in `answers`, then with success."""

    protocol_version = "HTTP/1.1"
    has_sessions = True
    answers: list[tuple[int, dict[str, Any]]] = []
    seen: list[tuple[str, str | None]] = []
    begun = 0
    # Until then, nothing that is no request is answered.
    may_acknowledge = threading.Event()

    def do_POST(self) -> None:
        cls = type(self)
        message = json.loads(self.rfile.read(int(self.headers["content-length"])))
        method = message["method"]
        cls.seen.append((method, self.headers["mcp-session-id"]))
        headers: dict[str, str] = {}
        status, body = 200, {"result": {"structuredContent": {"stdout": "ran"}, "tools": []}}
        if method == "initialize":
            cls.begun += 1
            body = {"result": {"protocolVersion": "2025-03-26"}}
            if cls.has_sessions:
                headers["Mcp-Session-Id"] = f"session-{cls.begun}"
        elif "id" not in message:
            assert cls.may_acknowledge.wait(20)
            status, body = 202, {}
        elif method == "tools/call" and cls.answers:
            status, body = cls.answers.pop(0)
        self._answer(status, headers, {"jsonrpc": "2.0", "id": message.get("id"), **body})

    def _answer(self, status: int, headers: dict[str, str], body: dict[str, Any]) -> None:
        data = b"" if status == 202 else json.dumps(body).encode()
        self.send_response(status)
        for name, value in {**headers, "content-length": str(len(data))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def scripted() -> Iterator[str]:
    Scripted.has_sessions, Scripted.begun = True, 0
    Scripted.answers, Scripted.seen = [], []
    Scripted.may_acknowledge.set()
    with serving(Scripted) as address:
        yield f"{address}/mcp"


def seen(method: str) -> list[str | None]:
    return [session for name, session in Scripted.seen if name == method]


def rpc_error(message: str, code: int = -32001) -> dict[str, Any]:
    return {"error": {"code": code, "message": message}}


def test_nothing_waits_for_the_notification_that_follows_initialize(scripted: str) -> None:
    Scripted.has_sessions = False
    Scripted.may_acknowledge.clear()

    async def use(client: McpClient) -> None:
        await client.initialize()
        await client.list_tools()
        assert (await client.call_tool(LAUNCH, {}, timeout_seconds=10)).stdout == "ran"
        Scripted.may_acknowledge.set()

    using(scripted, use)
    assert seen("notifications/initialized") == [None]


def test_an_ended_session_is_no_dead_environment(scripted: str) -> None:
    """The SDKs' words are those that dead environments are known by."""
    Scripted.answers = [(404, rpc_error("Session not found"))]

    async def use(client: McpClient) -> None:
        await client.initialize()
        assert (await client.call_tool(RUN_PYTHON, {}, timeout_seconds=10)).stdout == "ran"

    using(scripted, use)
    assert seen("tools/call") == ["session-1", "session-2"]
    assert seen("notifications/initialized") == ["session-1", "session-2"]


def test_a_call_that_may_have_run_is_not_repeated_in_the_next_session(scripted: str) -> None:
    Scripted.answers = [(200, rpc_error("Session not found"))]

    async def use(client: McpClient) -> None:
        await client.initialize()
        with pytest.raises(errors.ResultUnknown):
            await client.call_tool(RUN_PYTHON, {}, timeout_seconds=10)
        assert seen("tools/call") == ["session-1"]
        await client.call_tool(RUN_PYTHON, {}, timeout_seconds=10)

    using(scripted, use)
    assert seen("tools/call") == ["session-1", "session-2"]


@pytest.mark.parametrize("has_sessions", [True, False])
def test_a_dead_environment_is_no_ended_session(scripted: str, has_sessions: bool) -> None:
    Scripted.has_sessions = has_sessions
    Scripted.answers = [(404, rpc_error("The environment was not found", -32000))]

    async def use(client: McpClient) -> None:
        await client.initialize()
        with pytest.raises(errors.EnvironmentGone):
            await client.call_tool(RUN_PYTHON, {}, timeout_seconds=10)

    using(scripted, use)
    assert Scripted.begun == 1


def test_without_mcp_sessions_a_missing_session_is_the_environments(scripted: str) -> None:
    Scripted.has_sessions = False
    Scripted.answers = [(404, rpc_error("Session not found"))]

    async def use(client: McpClient) -> None:
        await client.initialize()
        with pytest.raises(errors.EnvironmentGone):
            await client.call_tool(RUN_PYTHON, {}, timeout_seconds=10)

    using(scripted, use)
    assert Scripted.begun == 1


def test_a_server_that_knows_no_session_twice_means_the_environments(scripted: str) -> None:
    Scripted.answers = [(404, rpc_error("Session not found"))] * 2

    async def use(client: McpClient) -> None:
        await client.initialize()
        with pytest.raises(errors.EnvironmentGone):
            await client.call_tool(RUN_PYTHON, {}, timeout_seconds=10)

    using(scripted, use)
    assert Scripted.begun == 2
