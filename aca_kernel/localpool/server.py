"""The HTTP face of the pool: who may call, how large a call may be, how it is answered.

Answers are plain JSON; there are no event streams and no MCP sessions, so GET and
DELETE of the endpoint are refused as the specification says.
Source: MCP specification 2025-03-26, "Streamable HTTP", with its security warning:
Host and Origin are checked, because a web page can reach a loopback port by a name
of its own (DNS rebinding).
"""

from __future__ import annotations

import asyncio
import json
import logging
from http.client import responses
from typing import TYPE_CHECKING, Any

from tornado.httpserver import HTTPServer
from tornado.httputil import (
    HTTPHeaders,
    HTTPMessageDelegate,
    HTTPServerConnectionDelegate,
    ResponseStartLine,
)
from tornado.iostream import StreamClosedError

from ..remote import large_json
from .faults import InvalidFault
from .json_text import dump
from .mcp import PARSE_ERROR, UNAUTHORIZED, Answer, error_object
from .options import is_loopback

if TYPE_CHECKING:
    import socket

    from tornado.httputil import HTTPConnection, RequestStartLine
    from tornado.iostream import IOStream

    from .controlplane.arm_server import ControlPlaneServer
    from .faults import FaultRule
    from .hosted import HostedPool
    from .options import PoolOptions

MCP_PATH = "/mcp"
FAULTS_PATH = "/faults"
_KEY_HEADER = "x-ms-apikey"
_READ_BYTES = 1 << 18
# A body over the limit is read and thrown away, up to this many times the limit, so
# that the client has sent it and reads our refusal.
_REFUSED_BODY_FACTOR = 8

_log = logging.getLogger(__name__)


class PoolServer(HTTPServerConnectionDelegate):
    """Serves pools on one socket: `default`, and those of the control plane if there is one."""

    def __init__(
        self,
        options: PoolOptions,
        default: HostedPool,
        control_plane: ControlPlaneServer | None = None,
    ) -> None:
        self.options = options
        self.default = default
        self.control_plane = control_plane
        self.tasks: set[asyncio.Task[None]] = set()
        self._http = _QuickServer(self, max_body_size=1 << 62, chunk_size=_READ_BYTES)

    def serve(self, listening: socket.socket) -> None:
        """Serve on a socket that already listens."""
        listening.setblocking(False)
        self._http.add_socket(listening)

    def stop(self) -> None:
        """Accept no more connections."""
        self._http.stop()

    def start_request(  # noqa: D102  tornado's
        self, _server_conn: object, request_conn: HTTPConnection
    ) -> HTTPMessageDelegate:
        return _Request(self, request_conn)

    def hosted_at(self, path: str) -> HostedPool | None:
        """Return the pool that a path belongs to; None: it has been deleted, or never was."""
        if self.control_plane is not None and self.control_plane.names_pool(path):
            hosted = self.control_plane.pool_at(path)
        else:
            hosted = self.default
        return hosted if hosted is not None and hosted.is_open else None

    def control_plane_for(self, path: str) -> ControlPlaneServer | None:
        """Return the control plane if there is one and the path is one of its own."""
        plane = self.control_plane
        return plane if plane is not None and plane.owns(path) else None

    def refusal(
        self, method: str, path: str, headers: HTTPHeaders, hosted: HostedPool | None
    ) -> Answer | None:
        """Return why a request is not let in, judged by its head; None if it is.

        hosted: what `hosted_at` returns for the path.
        """
        if not self._is_known_host(headers.get("Host", "")):
            return _plain(403, "Forbidden", "The Host header does not name this server.")
        if not self._is_known_origin(headers.get("Origin"), headers.get("Host", "")):
            return _plain(403, "Forbidden", "Web pages of other origins may not call this server.")
        if plane := self.control_plane_for(path):
            return plane.refusal(path, headers)
        return self._data_refusal(method, path, headers, hosted)

    def _data_refusal(
        self, method: str, path: str, headers: HTTPHeaders, hosted: HostedPool | None
    ) -> Answer | None:
        is_faults = self.options.faults and path.endswith(FAULTS_PATH)
        if not is_faults and not path.rstrip("/").endswith(MCP_PATH):
            return _plain(404, "NotFound", f"There is nothing at this path; try {MCP_PATH}.")
        if hosted is None:
            return _plain(404, "NotFound", "There is no session pool with an MCP server here.")
        if method != "POST" and not is_faults:
            answer = _plain(405, "MethodNotAllowed", "Messages are sent by POST.")
            answer.headers = {"Allow": "POST"}
            return answer
        if not hosted.keys.accepts(headers.get(_KEY_HEADER)):
            return self.unauthorized(None)
        return None

    def unauthorized(self, request_id: Any) -> Answer:
        """Return the answer to a wrong key."""
        text = f"Access is denied: the header {_KEY_HEADER} holds no valid API key."
        if self.options.quirks.auth_error_in_200:
            return Answer(200, error_object(request_id, UNAUTHORIZED, text))
        return _plain(401, "Unauthorized", text)

    def _is_known_host(self, host: str) -> bool:
        if self.options.allow_remote:
            return True  # reached by names we cannot know; the key still guards it
        name = _host_name(host)
        return is_loopback(name) or name == self.options.host

    def _is_known_origin(self, origin: str | None, host: str) -> bool:
        if origin is None:
            return True
        _, separator, rest = origin.partition("://")
        return bool(separator) and (is_loopback(_host_name(rest)) or rest == host)


def _host_name(host: str) -> str:
    """Return a host without its port and brackets."""
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.partition(":")[0].lower()


def _plain(status: int, code: str, message: str) -> Answer:
    return Answer(status, {"error": {"code": code, "message": message}})


def _is_tool_call(message: Any) -> bool:
    return isinstance(message, dict) and message.get("method") == "tools/call"


def _leave_nodelay(value: bool) -> None:
    pass


class _QuickServer(HTTPServer):
    """Tornado's server without Nagle's algorithm, which it toggles at every answer."""

    def handle_stream(self, stream: IOStream, address: tuple[Any, ...]) -> None:
        stream.set_nodelay(True)
        stream.set_nodelay = _leave_nodelay  # type: ignore[method-assign]  # see above
        super().handle_stream(stream, address)


class _Request(HTTPMessageDelegate):
    """One HTTP request: collects the body and answers it."""

    def __init__(self, server: PoolServer, connection: HTTPConnection) -> None:
        self._server = server
        self._connection = connection
        self._hosted = server.default
        self._chunks: list[bytes] = []
        self._size = 0
        self._limit = server.options.max_request_bytes
        self._refusal: Answer | None = None
        self._method = self._target = self._path = ""
        self._headers = HTTPHeaders()

    def headers_received(self, start_line: Any, headers: HTTPHeaders) -> None:
        line: RequestStartLine = start_line
        self._method, self._target, self._headers = line.method, line.path, headers
        self._path = line.path.partition("?")[0]
        hosted = self._server.hosted_at(self._path)
        self._hosted = hosted or self._hosted
        self._refusal = self._server.refusal(self._method, self._path, headers, hosted)
        if plane := self._server.control_plane_for(self._path):
            self._limit = min(self._limit, plane.max_request_bytes)
        else:
            self._hosted.faults.requests += 1
        length = headers.get("Content-Length", "")
        if length.isdigit() and int(length) > self._limit:
            self._refusal = self._refusal or self._too_large()
            if headers.get("Expect") or int(length) > self._limit * _REFUSED_BODY_FACTOR:
                # The rest of the request is not read, so the connection is of no more use.
                self._refusal.headers = {**self._refusal.headers, "Connection": "close"}
                self._send(self._refusal)

    def data_received(self, chunk: bytes) -> None:
        self._size += len(chunk)
        if self._refusal is None:
            if self._size > self._limit:
                self._refusal = self._too_large()
                self._chunks.clear()
            else:
                self._chunks.append(chunk)

    def finish(self) -> None:
        if self._refusal is not None:
            self._send(self._refusal)
            return
        task = asyncio.get_running_loop().create_task(self._answer())
        # The loop holds tasks weakly; a tool goes on when its client has left.
        self._server.tasks.add(task)
        task.add_done_callback(self._server.tasks.discard)

    def on_connection_close(self) -> None:
        self._chunks.clear()

    def _too_large(self) -> Answer:
        return _plain(413, "RequestTooLarge", f"A request may have {self._limit} bytes at most.")

    async def _answer(self) -> None:
        body = b"".join(self._chunks)
        self._chunks.clear()
        try:
            if plane := self._server.control_plane_for(self._path):
                self._send(await plane.answer(self._method, self._target, self._headers, body))
                return
            if self._path.endswith(FAULTS_PATH):
                self._send(await self._answer_faults(body))
                return
            try:
                message = large_json.loads(body)
            except (ValueError, RecursionError):
                self._send(Answer(400, error_object(None, PARSE_ERROR, "The body is not JSON.")))
                return
            del body
            fault = self._due_fault(message)
            self._hosted.faults.unanswered += _is_tool_call(message)
            try:
                if fault is None:
                    self._send(await self._hosted.mcp.answer(message, self._headers))
                else:
                    await self._fail(fault, message)
            finally:
                self._hosted.faults.unanswered -= _is_tool_call(message)
        except Exception:  # noqa: BLE001  the seam: whatever it is, the client gets an answer
            _log.exception("A request could not be answered")
            self._send(_plain(500, "InternalError", "The pool failed; see its log."))

    def _send(self, answer: Answer) -> None:
        is_silent = answer.body is None or self._method == "HEAD"
        body = b"" if is_silent else dump(answer.body)
        self._write(answer.status, body, answer.headers)

    def _write(self, status: int, body: bytes, extra: Any = (), *, cut: bool = False) -> None:
        headers = HTTPHeaders()
        if status != 204:  # which has no length, says the specification of HTTP
            headers["Content-Length"] = str(len(body))
        if body:
            headers["Content-Type"] = "application/json"
        for name, value in dict(extra).items():
            headers[name] = value
        line = ResponseStartLine("HTTP/1.1", status, responses[status])
        try:
            self._connection.write_headers(line, headers, body[: len(body) // 2] if cut else body)
            if cut:
                self._close()
            else:
                self._connection.finish()
        except StreamClosedError:
            pass  # the client did not wait

    def _close(self) -> None:
        self._connection.close()  # type: ignore[attr-defined]  # HTTP1Connection has it

    def _due_fault(self, message: Any) -> FaultRule | None:
        if not _is_tool_call(message):
            return None
        params = message.get("params")
        tool = params.get("name") if isinstance(params, dict) else None
        return self._hosted.faults.next_for(tool if isinstance(tool, str) else "")

    async def _fail(self, fault: FaultRule, message: Any) -> None:
        if fault.kind == "drop_before":
            self._close()
        elif fault.kind == "status":
            extra = {} if fault.retry_after is None else {"Retry-After": f"{fault.retry_after:g}"}
            self._write(fault.status, b'{"error": {"code": "Injected"}}', extra)
        elif fault.kind == "unauthorized":
            self._send(self._server.unauthorized(message.get("id")))
        elif fault.kind == "delay":
            await asyncio.sleep(fault.seconds)
            self._send(await self._hosted.mcp.answer(message, self._headers))
        else:
            answer = await self._hosted.mcp.answer(message, self._headers)
            if fault.kind == "drop_after":
                self._close()
            elif fault.kind == "garbage":
                self._write(200, b"<html>\xff\xfe not JSON")
            else:
                self._write(answer.status, dump(answer.body), cut=True)

    async def _answer_faults(self, body: bytes) -> Answer:
        faults, pool = self._hosted.faults, self._hosted.pool
        if self._method == "POST":
            try:
                message = json.loads(body)
                if message == {"expire": "*"}:
                    await pool.expire_all()
                    return Answer(200, {"expired": True})
                if isinstance(message, dict) and isinstance(message.get("expire"), str):
                    return Answer(200, {"expired": await pool.expire(message["expire"])})
                faults.add(message)
            except (ValueError, InvalidFault) as error:
                return _plain(400, "InvalidFault", str(error))
        elif self._method == "DELETE":
            faults.rules.clear()
        return Answer(200, {**faults.report(), "sessions": vars(pool.counters())})
