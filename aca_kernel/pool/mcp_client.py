"""JSON-RPC client of a pool's MCP server: `initialize`, `tools/list`, `tools/call`.

Streamable HTTP of MCP 2025-03-26, one POST a request (transport/), the API key in
`x-ms-apikey`. Here HTTP statuses and JSON-RPC errors become ours (errors.py), and
camelCase becomes ours too. Nothing is repeated here that may have run: the caller knows what is
idempotent.

A server may keep an MCP session, which has nothing to do with a session of the pool: its id comes
with the answer to `initialize`, and goes back with every later request. The service keeps none, as
far as is known; the official SDKs' servers do. When it has ended, the next one begins here.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import re
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from .. import __version__
from ..errors import (
    AcaKernelError,
    AccessDenied,
    EnvironmentGone,
    KeyRefused,
    LocalProtocolError,
    PoolBusy,
    PoolNotFound,
    RemoteProtocolError,
    ResultUnknown,
    SettingInvalid,
    ToolFailed,
)
from ..remote import large_json
from .round_trip import RoundTrip
from .transport.contract import HttpAnswer, Transport
from .transport.factory import open_transport

PROTOCOL_VERSION = "2025-03-26"

# Either may be offered for a Python pool, the first is preferred: mcp-overview and the tutorial of
# 2026-02-19 name it for all pools, only older pages name the second.
LAUNCH_TOOLS = ("launchShell", "launchPythonEnvironment")
RUN_PYTHON = "runPythonCodeInRemoteEnvironment"
RUN_SHELL = "runShellCommandInRemoteEnvironment"

# Not a tool, and not the service's: localpool/mcp.py.
END_ENVIRONMENT = "aca-kernel/endEnvironment"
_END_SECONDS = 10.0

# There is no documented code for a dead environment; these texts are known from a
# public client of the same endpoint.
_GONE = re.compile(
    r"\b(environment|session)\b.*\b(not found|not exist|expired|invalid|no longer)",
    re.IGNORECASE | re.DOTALL,
)
# The local pool's words for what ended under a call. Those of the service are not known.
_UNDER_CALL = re.compile(r"\bwhile the call was running\b")
_FULL = re.compile(
    r"maxConcurrentSessions|\b(max(imum)?( number of)? (concurrent )?sessions"
    r"|too many sessions|no (available|free) sessions?|at capacity)\b",
    re.IGNORECASE,
)
_SESSION = re.compile(r"\bsession\b", re.IGNORECASE)
_ENVIRONMENT = re.compile(r"\benvironment", re.IGNORECASE)
_DENIED = re.compile(r"\b(unauthori[sz]ed|api[ -]?key|authentication)\b", re.IGNORECASE)

# Source: MCP 2025-03-26, "Session Management". The SDKs say with -32001 that there is no such MCP
# session, the service perhaps that the key is wrong.
_SESSION_HEADER = "mcp-session-id"
_SESSION_NOT_FOUND = -32001

# Statuses of a run that succeeded, as the sibling REST API and the tools spell them.
_SUCCESS = frozenset({"success", "succeeded", "ok", "0", ""})

# Source text of megabytes is copied, not spelled out.
_pack = large_json.quick_packer(lambda value: json.dumps(value).encode("ascii"))

# What a full pool means, and the rule for its size.
POOL_FULL = (
    "The session pool is full: every environment holds its place until its cooldown has "
    "passed. Wait, or raise maxConcurrentSessions (sessions started per second × "
    "cooldown seconds)."
)


@dataclass(frozen=True)
class ToolResult:
    """What a tool answered, in our names.

    stdout, stderr: text, empty when absent.
    execution_result: any JSON value of the last expression, None when there is none.
    exit_code: of a shell command, None when not given.
    is_failed: the tool says, in any of the known ways, that the run failed.
    error_text: what it says about the failure.
    structured: the whole structuredContent.
    """

    stdout: str
    stderr: str
    execution_result: Any
    exit_code: int | None
    is_failed: bool
    error_text: str
    structured: dict[str, Any]


class _SessionEnded(Exception):
    """The answer may say that the MCP session of a request does not exist, any more or yet.

    error: what it says if it is not about that. has_not_run: the request was refused by its head.
    """

    def __init__(self, error: AcaKernelError, *, has_not_run: bool) -> None:
        super().__init__(error.detail)
        self.error = error
        self.has_not_run = has_not_run


class McpClient:
    """A connection to one MCP endpoint, kept alive between calls.

    endpoint: absolute URL. api_key: sent with every request, shown nowhere.
    connect_timeout_seconds: until the connection stands, TLS included.
    round_trip: the way to the endpoint; what has another measure of a tool call adds it.
    renew_key: called with a key that was refused; returns another one, which is used from
    then on, or raises. A refused request did not run, so that it is sent again.
    Raises SettingInvalid: the key cannot be sent in a header.
    """

    def __init__(
        self,
        endpoint: str,
        api_key: str,
        *,
        connect_timeout_seconds: float = 10.0,
        renew_key: Callable[[str], Awaitable[str]] | None = None,
    ) -> None:
        if not _is_header_value(api_key):
            raise SettingInvalid(
                "The API key holds characters that no key has. Set ACA_MCP_API_KEY to the key "
                "alone, without line breaks."
            )
        self.endpoint = endpoint
        self._api_key = api_key
        self._renew_key = renew_key
        self._connect_timeout_seconds = connect_timeout_seconds
        self._ids = itertools.count(1)
        self._transport: Transport | None = None
        self._session_id: str | None = None
        self._has_begun = False
        self._beginning = asyncio.Lock()
        self._announcing: asyncio.Future[None] | None = None
        self.calls_made = 0
        self.round_trip = RoundTrip()
        self.offered_tools: list[str] | None = None
        self._ends_environments = False

    async def close(self) -> None:
        """Close the connections; pending calls end with ResultUnknown, later ones open new ones."""
        if self._announcing is not None:
            self._announcing.cancel()
        if self._transport is not None:
            await self._transport.close()

    @property
    def connections(self) -> int:
        """How many connections stand, used or not, as far as is known."""
        return self._transport.connections if self._transport is not None else 0

    async def ping(self, *, timeout_seconds: float) -> None:
        """Have the server answer, whatever it says; a connection stands after that.

        No tool is called, so that an environment lives no longer for it.
        Raises PoolUnreachable and ResultUnknown.
        """
        await self._post("ping", {}, timeout_seconds, self._api_key)

    async def initialize(self, *, timeout_seconds: float = 30.0) -> dict[str, Any]:
        """Begin the conversation, in a new MCP session if the server keeps any.

        Returns the server's answer.
        Raises RemoteProtocolError: what answers is no MCP server.
        """
        async with self._beginning:
            return await self._initialize(timeout_seconds)

    async def _initialize(self, timeout_seconds: float = 30.0) -> dict[str, Any]:
        self._session_id, self._has_begun = None, False
        params = {
            "protocolVersion": PROTOCOL_VERSION,
            "capabilities": {},
            "clientInfo": {"name": "aca-kernel", "version": __version__},
        }
        result = await self.request("initialize", params, timeout_seconds=timeout_seconds)
        if "protocolVersion" not in result:
            raise RemoteProtocolError(
                "The endpoint does not answer like an MCP server. "
                "Check that ACA_MCP_ENDPOINT is the mcpServerEndpoint of the session pool."
            )
        self._has_begun = True
        self._ends_environments = _offers(result, END_ENVIRONMENT)
        self._announcing = asyncio.ensure_future(self._announce())
        if self._session_id is not None:
            # Servers with sessions may refuse what comes before it; nobody else is waited for.
            await self._announcing
        return result

    async def _announce(self) -> None:
        """Say that the answer to `initialize` has come, as the specification asks."""
        # If it does not arrive, the server says so to the next request, or does not mind.
        with contextlib.suppress(AcaKernelError):
            await self._post("notifications/initialized", {}, 30.0, self._api_key)

    async def _begin_again(self, ended: str | None) -> None:
        """Begin a new MCP session in place of one, unless that has been done meanwhile."""
        async with self._beginning:
            if self._session_id == ended:
                await self._initialize()

    async def list_tools(self, *, timeout_seconds: float = 30.0) -> list[str]:
        """Return the names of the tools that the pool offers."""
        result = await self.request("tools/list", {}, timeout_seconds=timeout_seconds)
        tools = result.get("tools")
        if not isinstance(tools, list):
            raise RemoteProtocolError("The pool answered tools/list without a list of tools.")
        return [str(tool.get("name")) for tool in tools if isinstance(tool, dict)]

    async def call_tool(
        self, name: str, arguments: dict[str, Any], *, timeout_seconds: float
    ) -> ToolResult:
        """Run one tool of the pool and wait for its result.

        arguments: the tool's JSON object, e.g. {"environmentId": "..."}.
        timeout_seconds: whole call, from connect to last byte.
        Raises PoolUnreachable, PoolBusy: nothing ran; repeating is safe.
        Raises ResultUnknown: it may have run; never repeat it unasked.
        Raises EnvironmentGone: the environment of the arguments does not exist.
        Raises AccessDenied, PoolNotFound, RemoteProtocolError, ToolFailed.
        Source: MCP specification 2025-03-26, "Tools", section "Calling Tools".
        """
        self.calls_made += 1
        params = {"name": name, "arguments": arguments}
        try:
            result = await self.request("tools/call", params, timeout_seconds=timeout_seconds)
        except PoolNotFound as error:
            # One page of the vendor says 404 for a full pool, too, without the words that come
            # with it. If the server is there, it is that.
            await self.initialize()
            raise _full(error.detail) from error
        return _tool_result(result)

    async def end_environment(self, environment_id: str) -> None:
        """End an environment now, where a pool of ours offers that; the service does not.

        Without harm if it has ended. Raises as call_tool.
        """
        if self._ends_environments:
            params = {"environmentId": environment_id}
            await self.request(END_ENVIRONMENT, params, timeout_seconds=_END_SECONDS)

    async def request(
        self, method: str, params: dict[str, Any], *, timeout_seconds: float
    ) -> dict[str, Any]:
        """Send one JSON-RPC request and return its result object; raises as call_tool."""
        is_first = True
        while True:
            api_key, session_id = self._api_key, self._session_id
            try:
                return await self._request(method, params, timeout_seconds, api_key)
            except KeyRefused:
                if self._renew_key is None:
                    raise
                self._api_key = await self._renew_key(api_key)
            except _SessionEnded as ended:
                if not is_first:
                    raise ended.error from ended
                is_first = False
                await self._begin_again(session_id)
                if self._session_id is None:  # the server keeps none: it is not about that
                    raise ended.error from ended
                if method == "tools/call" and not ended.has_not_run:
                    raise ResultUnknown(
                        "The MCP session ended before the session pool's answer arrived.",
                        detail=ended.error.detail,
                    ) from ended

    async def _request(
        self, method: str, params: dict[str, Any], timeout_seconds: float, api_key: str
    ) -> dict[str, Any]:
        session_id, is_initialize = self._session_id, method == "initialize"
        may_be_ended = not is_initialize and (session_id is not None or not self._has_begun)
        answer = await self._post(method, params, timeout_seconds, api_key)
        try:
            if answer.status != 200:
                raise _from_status(answer)
            result = _result(_body(answer))
        except AcaKernelError as error:
            if may_be_ended and _is_about_session(answer, error, session_id):
                raise _SessionEnded(error, has_not_run=answer.status != 200) from error
            raise
        if is_initialize:
            given = answer.headers.get(_SESSION_HEADER, "")
            self._session_id = given if _is_header_value(given) else None
        return result

    async def _post(
        self, method: str, params: dict[str, Any], timeout_seconds: float, api_key: str
    ) -> HttpAnswer:
        if self._transport is None:
            self._transport = open_transport(
                self.endpoint,
                {
                    "content-type": "application/json",
                    "accept": "application/json, text/event-stream",
                    "user-agent": f"aca-kernel/{__version__}",
                },
                connect_timeout_seconds=self._connect_timeout_seconds,
            )
        message: dict[str, Any] = {"jsonrpc": "2.0", "method": method, "params": params}
        if not method.startswith("notifications/"):
            message["id"] = next(self._ids)
        headers = {"x-ms-apikey": api_key}
        if self._session_id is not None:
            headers[_SESSION_HEADER] = self._session_id
        started = time.monotonic()
        answer = await self._transport.post(
            _pack(message), headers=headers, timeout_seconds=timeout_seconds
        )
        if method != "tools/call":  # which may take any time
            self.round_trip.took((time.monotonic() - started) / answer.round_trips)
        return answer


def _offers(result: dict[str, Any], capability: str) -> bool:
    """Tell whether the answer to `initialize` names an experimental capability."""
    found: Any = result
    for name in ("capabilities", "experimental"):
        found = found.get(name) if isinstance(found, dict) else None
    return isinstance(found, dict) and capability in found


def _is_header_value(text: str) -> bool:
    return bool(text) and text.isascii() and text.isprintable()


def _is_about_session(answer: HttpAnswer, error: AcaKernelError, session_id: str | None) -> bool:
    """Tell whether an answer may say that the MCP session of its request does not exist.

    error: what the answer is otherwise. session_id: of the request, None if it had none.
    """
    if isinstance(error, PoolBusy):
        return False
    if answer.status == 200:
        said = _body(answer).get("error") if not isinstance(error, ResultUnknown) else None
        if not isinstance(said, dict) or said.get("code") != _SESSION_NOT_FOUND:
            return False
        text = str(said.get("message", ""))
        return bool(_SESSION.search(text)) and not _ENVIRONMENT.search(text)
    text = _message_of(answer)
    if answer.status not in (400, 404) or _ENVIRONMENT.search(text):
        return False
    # 404 is the specification's answer to an id that has ended, whatever it says.
    return (answer.status == 404 and session_id is not None) or bool(_SESSION.search(text))


def _from_status(answer: HttpAnswer) -> AcaKernelError:  # noqa: PLR0911 - a table
    status = answer.status
    detail = f"HTTP {status}"
    text = _message_of(answer)
    if status == 401:
        return KeyRefused(
            "The session pool refused the API key. Fetch the current key and set "
            "ACA_MCP_API_KEY; after a rotation it may take five minutes to be accepted.",
            detail=detail,
        )
    if status == 403:
        return AccessDenied(
            "The session pool denied access (HTTP 403). Check the endpoint, and that the key "
            "belongs to this pool.",
            detail=detail,
        )
    if status in (404, 410) and _GONE.search(text):
        return _gone(text, detail)
    if status == 429 or (status == 404 and _FULL.search(text)):
        return _full(detail, _retry_after(answer))
    if status == 404:
        return PoolNotFound(
            "There is no MCP server at this endpoint (HTTP 404). Check ACA_MCP_ENDPOINT, and "
            "that the pool was created with its MCP server enabled.",
            detail=detail,
        )
    if status == 413:
        return LocalProtocolError(
            "The request was larger than the session pool accepts (HTTP 413).", detail=detail
        )
    if status >= 500 or status in (408, 409):
        # It may have run: a gateway that gives up says nothing about what is behind it.
        return ResultUnknown(
            f"The session pool answered with an error of its own (HTTP {status}).", detail=detail
        )
    return RemoteProtocolError(
        f"The session pool refused the request (HTTP {status}).", detail=detail
    )


def _full(detail: str, retry_after_seconds: float | None = None) -> PoolBusy:
    return PoolBusy(POOL_FULL, detail=detail, retry_after_seconds=retry_after_seconds)


def _retry_after(answer: HttpAnswer) -> float | None:
    try:
        return max(0.0, float(answer.headers["retry-after"]))
    except (KeyError, ValueError):  # absent, or a date: our own backoff will do
        return None


def _message_of(answer: HttpAnswer) -> str:
    """Return what an error answer says, shortened, for recognising it only."""
    return answer.body[:8000].decode("utf-8", "replace")[:2000]


def _body(answer: HttpAnswer) -> dict[str, Any]:
    try:
        if answer.headers.get("content-type", "").startswith("text/event-stream"):
            value = _last_event(answer.body.decode("utf-8"))
        else:
            value = large_json.loads(answer.body)
    except ValueError as error:
        raise ResultUnknown("The session pool's answer was not readable.") from error
    if not isinstance(value, dict):
        raise ResultUnknown("The session pool's answer was not readable.")
    return value


def _last_event(text: str) -> Any:
    """Return the JSON of the last event of a stream, which is the response.

    Source: MCP 2025-03-26, "Streamable HTTP": a server may answer a POST with a stream.
    """
    last, data = "", []
    # Not splitlines, which ends lines at characters that JSON may hold.
    for line in [*re.split("\r\n|\r|\n", text), ""]:
        if line.startswith("data:"):
            data.append(line[5:])
        elif not line and data:
            last, data = "\n".join(data), []
    return json.loads(last)


def _result(body: dict[str, Any]) -> dict[str, Any]:
    error = body.get("error")
    if isinstance(error, dict):
        raise _from_rpc_error(error)
    result = body.get("result")
    if not isinstance(result, dict):
        raise ResultUnknown("The session pool's answer held neither a result nor an error.")
    return result


def _from_rpc_error(error: dict[str, Any]) -> AcaKernelError:
    code, text = error.get("code"), str(error.get("message", ""))
    detail = f"JSON-RPC {code}"
    if _GONE.search(text):
        return _gone(text, detail)
    if _FULL.search(text):
        return _full(detail)
    if code in (401, -32001) or _DENIED.search(text):
        return KeyRefused(
            "The session pool refused the API key. Fetch the current key and set "
            "ACA_MCP_API_KEY; after a rotation it may take five minutes to be accepted.",
            detail=detail,
        )
    if code in (-32700, -32600, -32602):
        return LocalProtocolError(
            f"The session pool did not understand the request: {_shorten(text)}", detail=detail
        )
    return ToolFailed(f"The session pool reported an error: {_shorten(text)}", detail=detail)


def _gone(text: str, detail: str = "") -> EnvironmentGone:
    has_begun = _UNDER_CALL.search(text) is not None
    message = "The session environment no longer exists."
    return EnvironmentGone(message, detail=detail, has_begun=has_begun)


def _tool_result(result: dict[str, Any]) -> ToolResult:
    structured = result.get("structuredContent")
    text = _content_text(result)
    if not isinstance(structured, dict):
        structured = _as_object(text)
    status = str(structured.get("status", "")).lower()
    is_failed = bool(result.get("isError")) or status not in _SUCCESS
    ran = "stdout" in structured or "stderr" in structured
    error_text = _error_text(structured) or (text if is_failed else "")
    # Only a tool that did not run can say that there is nothing to run it in: a cell
    # may print or raise the same words.
    if is_failed and not ran:
        if _GONE.search(error_text):
            raise _gone(error_text)
        if _FULL.search(error_text):
            raise _full("a tool's result")
    inner = structured.get("result")
    values = {**inner, **structured} if isinstance(inner, dict) else structured
    exit_code = values.get("exitCode")
    return ToolResult(
        stdout=_text(values.get("stdout")),
        stderr=_text(values.get("stderr")),
        execution_result=values.get("executionResult"),
        exit_code=exit_code if isinstance(exit_code, int) else None,
        is_failed=is_failed,
        error_text=error_text,
        structured=structured,
    )


def _content_text(result: dict[str, Any]) -> str:
    content = result.get("content")
    if not isinstance(content, list):
        return ""
    return "\n".join(
        str(item.get("text", ""))
        for item in content
        if isinstance(item, dict) and item.get("type") == "text"
    )


def _as_object(text: str) -> dict[str, Any]:
    try:
        value = json.loads(text)
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}


def _error_text(structured: dict[str, Any]) -> str:
    error = structured.get("error")
    if isinstance(error, dict):
        return ": ".join(
            str(error[key]) for key in ("name", "message") if isinstance(error.get(key), str)
        )
    for key in ("error", "errorMessage", "message"):
        if isinstance(structured.get(key), str):
            return str(structured[key])
    return ""


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _shorten(text: str) -> str:
    return text if len(text) <= 200 else text[:200] + "…"
