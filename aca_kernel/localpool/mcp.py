"""JSON-RPC 2.0 and the methods of the Model Context Protocol, without HTTP.

Works on one request body at a time and keeps nothing between them: the service has no
MCP sessions, and its methods answer before `initialize`, too. Requests of the revision without
`initialize` are told apart, and checked, by `stateless`.
Source: MCP specification 2025-03-26, "Transports" and "Lifecycle"; the tutorial.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ..errors import PoolBusy
from .stateless import (
    STATELESS_VERSION,
    HeadProblem,
    completed,
    head_problem,
    is_stateless,
)
from .tools import InvalidArguments, Json, UnknownTool

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from .tools import Tools

PROTOCOL_VERSION = "2025-03-26"
SERVER_NAME = "Microsoft Container Apps MCP Server"
_SERVER = {"name": SERVER_NAME, "version": "1.0.0"}

PARSE_ERROR = -32700
INVALID_REQUEST = -32600
METHOD_NOT_FOUND = -32601
INVALID_PARAMS = -32602
INTERNAL_ERROR = -32603
# A capability, and its method: the service has none. With a parameter environmentId, it ends that
# environment and frees its place.
END_ENVIRONMENT = "aca-kernel/endEnvironment"

# In the range that JSON-RPC leaves to servers; the service documents none.
POOL_FULL = -32000
UNAUTHORIZED = -32001

_PARAMS_PROBLEM = "The member 'params' must be an object."


@dataclass
class Answer:
    """An HTTP answer: `body` is None where there is nothing to say."""

    status: int
    body: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)


class _RpcError(Exception):
    def __init__(self, code: int, message: str, answer: Answer | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.answer = answer or Answer(200)


def error_object(request_id: Any, code: int, message: str, data: Any = None) -> Json:
    """Return a JSON-RPC error."""
    error = {"code": code, "message": message}
    if data is not None:
        error["data"] = data
    return {"jsonrpc": "2.0", "id": request_id, "error": error}


class McpServer:
    """Answers request bodies with the tools of a pool.

    handshake_only: the stateless revision is unknown here.
    end_environment: what END_ENVIRONMENT does with an id; None: it is not offered.
    """

    def __init__(
        self,
        tools: Tools,
        *,
        pool_full_status: int = 429,
        handshake_only: bool = False,
        end_environment: Callable[[str], Awaitable[bool]] | None = None,
    ) -> None:
        self._tools = tools
        self._pool_full_status = pool_full_status
        self._handshake_only = handshake_only
        self._end_environment = end_environment

    async def answer(self, message: Any, headers: Mapping[str, str]) -> Answer:
        """Answer one decoded body: a request, a notification, or a batch of them."""
        if not self._handshake_only and is_stateless(message, headers):
            return await self._answer_stateless(message, headers)
        if isinstance(message, list):
            return await self._answer_batch(message)
        return await self._answer_one(message)

    async def _answer_stateless(self, message: Any, headers: Mapping[str, str]) -> Answer:
        problem = _envelope_problem(message)
        if not problem and "method" not in message:
            problem = "A client sends requests and notifications only."
        if problem:
            return Answer(400, error_object(_request_id(message), INVALID_REQUEST, problem))
        refusal = head_problem(message, headers)
        if refusal is not None:
            return _refused(message.get("id"), refusal)
        if "id" not in message:
            return Answer(202)
        method = message["method"]
        try:
            result = await self._stateless_result(method, message["params"])
        except _RpcError as error:
            answer = error.answer
            if answer.status == 200:
                answer.status = 404 if error.code == METHOD_NOT_FOUND else 400
            answer.body = error_object(message["id"], error.code, error.message)
            return answer
        result = completed(method, result, _SERVER)
        return Answer(200, {"jsonrpc": "2.0", "id": message["id"], "result": result})

    async def _stateless_result(self, method: str, params: Json) -> Json:
        if method == "server/discover":
            return {"supportedVersions": [STATELESS_VERSION], "capabilities": {"tools": {}}}
        if method in ("initialize", "ping"):  # which this revision has not
            raise _unknown_method(method)
        return await self._dispatch(method, params)

    async def _answer_batch(self, messages: list[Any]) -> Answer:
        if not messages:
            return Answer(400, error_object(None, INVALID_REQUEST, "The batch is empty."))
        answers = [await self._answer_one(message) for message in messages]
        bodies = [answer.body for answer in answers if answer.body is not None]
        return Answer(200, bodies) if bodies else Answer(202)

    async def _answer_one(self, message: Any) -> Answer:
        problem = _envelope_problem(message)
        if problem:
            return Answer(400, error_object(_request_id(message), INVALID_REQUEST, problem))
        if "method" not in message or "id" not in message:
            return Answer(202)  # a notification, or an answer to a question never asked
        request_id = message["id"]
        try:
            result = await self._dispatch(message["method"], message.get("params", {}))
        except _RpcError as error:
            answer = error.answer
            answer.body = error_object(request_id, error.code, error.message)
            return answer
        return Answer(200, {"jsonrpc": "2.0", "id": request_id, "result": result})

    async def _dispatch(self, method: str, params: Json) -> Json:
        if method == "tools/call":
            return await self._call_tool(params)
        if method == "tools/list":
            return {"tools": self._tools.list()}
        if method == "initialize":
            # Whatever version was asked for: the one we speak, says the specification.
            return {
                "protocolVersion": PROTOCOL_VERSION,
                "capabilities": self._capabilities(),
                "serverInfo": _SERVER,
            }
        if method == "ping":
            return {}
        if method == END_ENVIRONMENT and self._end_environment is not None:
            await self._end_environment(str(params.get("environmentId")))
            return {}
        raise _unknown_method(method)

    def _capabilities(self) -> Json:
        capabilities: Json = {"tools": {"call": True, "list": True}}
        if self._end_environment is not None:
            # Where the specification has a place for what it does not know.
            capabilities["experimental"] = {END_ENVIRONMENT: {}}
        return capabilities

    async def _call_tool(self, params: Json) -> Json:
        name = params.get("name")
        if not isinstance(name, str):
            raise _RpcError(INVALID_PARAMS, "The parameter 'name' must name a tool.")
        arguments = params.get("arguments")
        if arguments is None:
            arguments = {}
        if not isinstance(arguments, dict):
            raise _RpcError(INVALID_PARAMS, "The parameter 'arguments' must be an object.")
        try:
            return await self._tools.call(name, arguments)
        except UnknownTool:
            raise _RpcError(INVALID_PARAMS, f"There is no tool '{name[:100]}'.") from None
        except InvalidArguments as error:
            raise _RpcError(INVALID_PARAMS, str(error)) from error
        except PoolBusy as error:
            headers = {}
            if error.retry_after_seconds is not None:
                headers["Retry-After"] = f"{error.retry_after_seconds:g}"
            answer = Answer(self._pool_full_status, headers=headers)
            raise _RpcError(POOL_FULL, error.message, answer) from error
        except OSError as error:
            message = f"The session could not be started: {error.strerror or error}."
            raise _RpcError(INTERNAL_ERROR, message, Answer(500)) from error


def _unknown_method(method: str) -> _RpcError:
    return _RpcError(METHOD_NOT_FOUND, f"There is no method '{method[:100]}'.")


def _refused(request_id: Any, problem: HeadProblem) -> Answer:
    return Answer(400, error_object(request_id, problem.code, problem.message, problem.data))


def _envelope_problem(message: Any) -> str:
    """Say what is wrong with a JSON-RPC message, or ""."""
    if not isinstance(message, dict):
        return "A JSON-RPC message is an object."
    if message.get("jsonrpc") != "2.0":
        return "The member 'jsonrpc' must be \"2.0\"."
    if "method" not in message:
        is_answer = "result" in message or "error" in message
        return "" if is_answer else "The member 'method' is missing."
    if not isinstance(message["method"], str):
        return "The member 'method' must be a string."
    if not _is_request_id(message.get("id", 0)):
        return "The member 'id' must be a string or a number."
    return "" if isinstance(message.get("params", {}), dict) else _PARAMS_PROBLEM


def _request_id(message: Any) -> Any:
    """Return the id that the answer to a malformed message may bear, None if it has none."""
    request_id = message.get("id") if isinstance(message, dict) else None
    return request_id if _is_request_id(request_id) else None


def _is_request_id(value: Any) -> bool:
    return isinstance(value, (str, int, float)) and not isinstance(value, bool)
