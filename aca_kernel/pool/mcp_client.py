"""JSON-RPC client of a pool's MCP server: `initialize`, `tools/list`, `tools/call`.

Streamable HTTP of MCP 2025-03-26, one POST a request (transport/), the API key in
`x-ms-apikey`. What is refused becomes an error of ours (mcp_errors.py), what a tool answers a
value of ours (tool_result.py). Nothing is repeated here that may have run: the caller knows what is
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
from typing import Any

from .. import __version__
from ..errors import (
    AcaKernelError,
    KeyRefused,
    PoolBusy,
    PoolNotFound,
    RemoteProtocolError,
    ResultUnknown,
    SettingInvalid,
)
from ..remote import large_json
from .mcp_errors import from_rpc_error, from_status, message_of, pool_full
from .round_trip import RoundTrip
from .tool_result import ToolResult, tool_result
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

# Of requests that run nothing.
_QUICK_SECONDS = 30.0

# Source: MCP 2025-03-26, "Session Management". The SDKs say with -32001 that there is no such MCP
# session, the service perhaps that the key is wrong.
_SESSION_HEADER = "mcp-session-id"
_SESSION_NOT_FOUND = -32001
_SESSION = re.compile(r"\bsession\b", re.IGNORECASE)
_ENVIRONMENT = re.compile(r"\benvironment", re.IGNORECASE)

# Source text of megabytes is copied, not spelled out.
_pack = large_json.quick_packer(lambda value: json.dumps(value).encode("ascii"))


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

    async def initialize(self) -> dict[str, Any]:
        """Begin the conversation, in a new MCP session if the server keeps any.

        Returns the server's answer.
        Raises RemoteProtocolError: what answers is no MCP server.
        """
        async with self._beginning:
            return await self._initialize()

    async def _initialize(self) -> dict[str, Any]:
        self._session_id, self._has_begun = None, False
        params = {
            "protocolVersion": PROTOCOL_VERSION,
            "capabilities": {},
            "clientInfo": {"name": "aca-kernel", "version": __version__},
        }
        result = await self.request("initialize", params, timeout_seconds=_QUICK_SECONDS)
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
            await self._post("notifications/initialized", {}, _QUICK_SECONDS, self._api_key)

    async def _begin_again(self, ended: str | None) -> None:
        """Begin a new MCP session in place of one, unless that has been done meanwhile."""
        async with self._beginning:
            if self._session_id == ended:
                await self._initialize()

    async def list_tools(self) -> list[str]:
        """Return the names of the tools that the pool offers."""
        result = await self.request("tools/list", {}, timeout_seconds=_QUICK_SECONDS)
        tools = result.get("tools")
        if not isinstance(tools, list):
            raise RemoteProtocolError("The pool answered tools/list without a list of tools.")
        return [str(tool.get("name")) for tool in tools if isinstance(tool, dict)]

    async def call_tool(
        self, name: str, arguments: dict[str, Any], *, timeout_seconds: float
    ) -> ToolResult:
        """Run one tool of the pool and wait for its result.

        arguments: the tool's JSON object, e.g. {"environmentId": "..."}.
        timeout_seconds: how long to wait for the answer to begin, and to go on.
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
            raise pool_full(error.detail) from error
        return tool_result(result)

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
                raise from_status(answer)
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
    text = message_of(answer)
    if answer.status not in (400, 404) or _ENVIRONMENT.search(text):
        return False
    # 404 is the specification's answer to an id that has ended, whatever it says.
    return (answer.status == 404 and session_id is not None) or bool(_SESSION.search(text))


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
        raise from_rpc_error(error)
    result = body.get("result")
    if not isinstance(result, dict):
        raise ResultUnknown("The session pool's answer held neither a result nor an error.")
    return result
