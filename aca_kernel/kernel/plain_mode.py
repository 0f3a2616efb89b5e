"""Plain mode: cells in an environment that has no ipykernel.

The cell's text goes to the tool as it is; what the tool returns is shown when it is over.
Works with any server that offers the launch, Python and shell tools.
"""

from __future__ import annotations

import asyncio
import html
import json
import re
from typing import TYPE_CHECKING, Any

from ..errors import AcaKernelError, EnvironmentGone, ResultUnknown

if TYPE_CHECKING:
    from ..environment.environment import Environment
    from ..messaging.publisher import Publisher
    from ..messaging.requests import Request, RequestTable
    from ..pool.mcp_client import ToolResult

# The service ends an execution at 220 s (sessions-code-interpreter.md); the rest is for
# the way there and back.
CELL_TIMEOUT_SECONDS = 240.0

_MAGIC = re.compile(r"\s*%aca\b")
_NO_MAGIC = (
    "There is no %aca in plain mode, because this environment has no ipykernel. Python code, its "
    "output and its result work; a new environment comes with a restart of the kernel."
)

# Replies to requests that only a real kernel in the environment could answer.
_EMPTY_REPLIES: dict[str, dict[str, Any]] = {
    "comm_info_request": {"status": "ok", "comms": {}},
    "history_request": {"status": "ok", "history": []},
    "inspect_request": {"status": "ok", "found": False, "data": {}, "metadata": {}},
    "is_complete_request": {"status": "unknown"},
}


class PlainSession:
    """Runs the front end's requests without a kernel in the environment."""

    def __init__(self, environment: Environment, publisher: Publisher, table: RequestTable) -> None:
        self._environment = environment
        self._publisher = publisher
        self._table = table
        self._execution_count = 0
        self._running: asyncio.Task[ToolResult] | None = None

    async def run(self, request: Request) -> bool:
        """Do one request from busy to idle; return whether it succeeded.

        Raises EnvironmentGone, with the request left unanswered and safe to repeat.
        """
        if request.is_execute:
            return await self._execute(request)
        if request.msg_type == "complete_request":
            position = request.content.get("cursor_pos", 0)
            reply = {"status": "ok", "matches": [], "metadata": {}}
            self._publisher.answer(
                request, {**reply, "cursor_start": position, "cursor_end": position}
            )
        elif request.msg_type in _EMPTY_REPLIES:
            self._publisher.answer(request, _EMPTY_REPLIES[request.msg_type])
        else:
            self._publisher.fail(
                request, "NotSupported", "Plain mode cannot do this: there is no ipykernel."
            )
        return True

    def interrupt(self) -> None:
        """Stop waiting for the running cell; the tool offers no way to stop the code."""
        if self._running is not None:
            self._running.cancel()

    async def _execute(self, request: Request) -> bool:
        code = json.loads(request.frames[3]).get("code", "")
        is_silent = bool(request.content.get("silent", False))
        if not is_silent:
            self._execution_count += 1
        self._publisher.begin(request)
        if not is_silent:
            self._publisher.publish(
                "execute_input", {"code": code, "execution_count": self._execution_count}, request
            )
        if not code.strip():
            self._succeed(request)
            return True
        if _MAGIC.match(code):
            self._publisher.fail(request, "NotSupported", _NO_MAGIC)
            return False
        running = self._running = asyncio.ensure_future(
            self._environment.run_python(code, timeout_seconds=CELL_TIMEOUT_SECONDS)
        )
        try:
            await asyncio.wait([running])
        finally:
            self._running = None
            running.cancel()
        if running.cancelled():
            self._publisher.fail(
                request,
                "KeyboardInterrupt",
                "Not waiting any longer; the code may still be running in the environment.",
            )
            return False
        try:
            result = running.result()
        except EnvironmentGone:
            raise
        except ResultUnknown as error:
            told = f"{error.message} {ResultUnknown.ADVICE}"
            self._publisher.fail_with(request, ResultUnknown(told))
            return False
        except AcaKernelError as error:
            self._publisher.fail_with(request, error)
            return False
        return self._show(request, result, is_silent)

    def _show(self, request: Request, result: ToolResult, is_silent: bool) -> bool:
        if not is_silent:
            self._stream(request, "stdout", result.stdout)
        if result.is_failed:
            name, _, message = result.error_text.partition(": ")
            trace = result.stderr or result.error_text
            content = {"ename": name or "Error", "evalue": message, "traceback": trace.split("\n")}
            if not is_silent:
                self._publisher.publish("error", content, request)
            counted = {"execution_count": self._execution_count}
            self._publisher.answer(request, {"status": "error", **content, **counted})
            return False
        if not is_silent:
            self._stream(request, "stderr", result.stderr)
            if result.execution_result is not None:
                data = _bundle(result.execution_result)
                counted = {"execution_count": self._execution_count}
                self._publisher.publish(
                    "execute_result", {"data": data, "metadata": {}, **counted}, request
                )
        self._succeed(request)
        return True

    def _stream(self, request: Request, name: str, text: str) -> None:
        if text:
            self._publisher.publish("stream", {"name": name, "text": text}, request)

    def _succeed(self, request: Request) -> None:
        self._publisher.answer(
            request,
            {
                "status": "ok",
                "execution_count": self._execution_count,
                "user_expressions": {},
                "payload": [],
            },
        )


def _bundle(value: Any) -> dict[str, Any]:
    """Turn an executionResult into a MIME bundle: text, and an image where it is one."""
    if isinstance(value, dict) and value.get("type") == "image" and value.get("base64_data"):
        image = f"image/{value.get('format', 'png')}"
        return {image: str(value["base64_data"]), "text/plain": f"<{html.escape(image)}>"}
    # It was a Python value: True, not JSON's true.
    text = value if isinstance(value, str) else repr(value)
    return {"text/plain": text}
