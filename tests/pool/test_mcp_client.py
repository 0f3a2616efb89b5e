"""The MCP client: every answer a server can give becomes the right error, or a result."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from typing import Any

import pytest

from aca_kernel import errors
from aca_kernel.pool.backend import check_endpoint
from aca_kernel.pool.mcp_client import McpClient
from aca_kernel.pool.tool_result import ToolResult

from ..certificates import self_signed_certificate
from ..support import serving


class Canned(BaseHTTPRequestHandler):
    """Answers every request with what the test has put into `answer`."""

    answer: tuple[int, dict[str, str], bytes] = (200, {}, b"")
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["content-length"]))
        status, headers, body = type(self).answer
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def endpoint() -> Iterator[str]:
    with serving(Canned) as address:
        yield f"{address}/mcp"


def call(endpoint: str) -> ToolResult:
    async def once() -> ToolResult:
        client = McpClient(endpoint, "secret-key", connect_timeout_seconds=5)
        try:
            return await client.call_tool("aTool", {}, timeout_seconds=5)
        finally:
            await client.close()

    return asyncio.run(once())


def answer_with(status: int = 200, body: Any = b"", **headers: str) -> None:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    Canned.answer = (status, headers, data)


def rpc_error(code: int, message: str) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": 1, "error": {"code": code, "message": message}}


def rpc_result(**result: Any) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": 1, "result": result}


GONE_TEXTS = [
    "Environment 'x' was not found",
    "The session does not exist",
    "environment expired",
    "Session identifier is invalid",
]


@pytest.mark.parametrize(
    ("status", "body", "expected"),
    [
        (401, b"", errors.KeyRefused),
        (403, b"", errors.AccessDenied),
        (404, b"nothing here", errors.PoolNotFound),
        (404, b"environment not found", errors.EnvironmentGone),
        (404, b"maximum number of sessions reached", errors.PoolBusy),
        (408, b"", errors.ResultUnknown),
        (413, b"", errors.LocalProtocolError),
        (429, b"", errors.PoolBusy),
        (500, b"", errors.ResultUnknown),
        (502, b"", errors.ResultUnknown),
        (503, b"", errors.ResultUnknown),
        (504, b"", errors.ResultUnknown),
        (418, b"", errors.RemoteProtocolError),
        (200, b"<html>", errors.ResultUnknown),
        (200, b"[1]", errors.ResultUnknown),
        (200, b"{}", errors.ResultUnknown),
        (200, rpc_error(-32700, "Parse error"), errors.LocalProtocolError),
        (200, rpc_error(-32600, "Invalid Request"), errors.LocalProtocolError),
        (200, rpc_error(-32602, "pythonCode is missing"), errors.LocalProtocolError),
        (200, rpc_error(-32601, "Method not found"), errors.ToolFailed),
        (200, rpc_error(-32603, "Internal error"), errors.ToolFailed),
        (200, rpc_error(-32001, "Unauthorized"), errors.KeyRefused),
        (200, rpc_error(-32000, "Invalid API key"), errors.KeyRefused),
        (200, rpc_error(-32000, "too many sessions"), errors.PoolBusy),
        (
            200,
            rpc_result(isError=True, content=[{"type": "text", "text": "too many sessions"}]),
            errors.PoolBusy,
        ),
        *[(200, rpc_error(-32000, text), errors.EnvironmentGone) for text in GONE_TEXTS],
        *[
            (
                200,
                rpc_result(isError=True, content=[{"type": "text", "text": text}]),
                errors.EnvironmentGone,
            )
            for text in GONE_TEXTS
        ],
    ],
)
def test_every_failure_has_its_leaf(
    endpoint: str, status: int, body: Any, expected: type[errors.AcaKernelError]
) -> None:
    answer_with(status, body)
    with pytest.raises(expected) as caught:
        call(endpoint)
    assert type(caught.value) is expected
    assert caught.value.message.endswith((".", "…")) or ":" in caught.value.message
    assert "secret-key" not in repr(caught.value.__dict__)
    if expected is errors.PoolBusy:
        assert "raise maxConcurrentSessions" in caught.value.message


def test_retry_after_is_passed_on(endpoint: str) -> None:
    answer_with(429, **{"retry-after": "7"})
    with pytest.raises(errors.PoolBusy) as caught:
        call(endpoint)
    assert caught.value.retry_after_seconds == 7


def test_a_cell_that_speaks_of_expired_sessions_is_not_a_dead_environment(endpoint: str) -> None:
    error = {"name": "ValueError", "message": "session expired"}
    answer_with(
        body=rpc_result(
            isError=True,
            structuredContent={
                "stdout": "",
                "stderr": "ValueError: session expired",
                "error": error,
            },
        )
    )
    result = call(endpoint)
    assert result.is_failed
    assert result.error_text == "ValueError: session expired"


@pytest.mark.parametrize(
    "result",
    [
        {"isError": True, "structuredContent": {"stdout": "", "stderr": "x"}},
        {"structuredContent": {"stdout": "", "stderr": "x", "status": "Failed"}},
    ],
)
def test_a_failure_inside_a_success_is_seen(endpoint: str, result: dict[str, Any]) -> None:
    answer_with(body=rpc_result(**result))
    assert call(endpoint).is_failed


def test_values_are_found_in_each_known_place(endpoint: str) -> None:
    values = {"stdout": "out", "stderr": "err", "executionResult": {"type": "image"}}
    for structured in (values, {"status": "Success", "result": values}):
        answer_with(body=rpc_result(structuredContent=structured))
        result = call(endpoint)
        assert (result.stdout, result.stderr) == ("out", "err")
        assert result.execution_result == {"type": "image"}
        assert not result.is_failed
    text = json.dumps({"stdout": "out", "exitCode": 3})
    answer_with(body=rpc_result(content=[{"type": "text", "text": text}]))
    assert call(endpoint).exit_code == 3


@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("last", ["\u2028 \x85 \u2029", "streamed"])
def test_an_answer_as_an_event_stream_is_read(endpoint: str, newline: str, last: str) -> None:
    answer = json.dumps(
        rpc_result(structuredContent={"stdout": last}), ensure_ascii=False, indent=1
    )
    lines = [
        *(": a comment", "", "event: message", 'data: {"method": "notifications/message"}', ""),
        # Several lines of data are one event.
        *("event: message", "id: 2", *(f"data: {line}" for line in answer.split("\n")), "", ""),
    ]
    body = newline.join(lines).encode()
    answer_with(200, body, **{"content-type": "text/event-stream"})
    assert call(endpoint).stdout == last


def test_nobody_listening_is_unreachable() -> None:
    with pytest.raises(errors.PoolUnreachable):
        call("http://127.0.0.1:9/mcp")


def test_a_certificate_that_cannot_be_verified_names_the_remedy(tmp_path) -> None:
    with (
        serving(Canned, self_signed_certificate(tmp_path)) as address,
        pytest.raises(errors.SettingInvalid, match="SSL_CERT_FILE"),
    ):
        call(f"{address}/mcp")


@pytest.mark.parametrize(
    "endpoint",
    [
        "",
        "no address",
        "ftp://host/x",
        "http://example.org/mcp",
        "https://",
        "http://[",
        "https://x:port/mcp",
    ],
)
def test_endpoints_that_cannot_work_or_would_leak_the_key_are_refused(endpoint: str) -> None:
    with pytest.raises(errors.SettingInvalid):
        check_endpoint(endpoint, allow_plain_http=False)


def test_plain_http_is_allowed_on_loopback_and_on_demand() -> None:
    assert check_endpoint("http://127.0.0.1:1/mcp", allow_plain_http=False)
    assert check_endpoint("http://example.org/mcp", allow_plain_http=True)
    assert check_endpoint("https://example.org/mcp", allow_plain_http=False)
