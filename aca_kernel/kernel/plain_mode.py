"""Plain mode: cells in an environment that has no ipykernel.

The cell's text goes to the tool as it is; what the tool returns is shown when it is over.
Works with any server that offers the launch, Python and shell tools.
"""

from __future__ import annotations

import html
import json
import re
from typing import Any

from ..errors import AcaKernelError, ResultUnknown
from ..messaging.publisher import Publisher
from ..messaging.requests import Request
from ..messaging.unlaunched import empty_answer
from ..pool.tool_result import ToolResult
from .send_queue import SendQueue

# The service ends an execution at 220 s (sessions-code-interpreter.md); the rest is for
# the way there and back.
CELL_TIMEOUT_SECONDS = 240.0

_MAGIC = re.compile(r"\s*%aca\b")
_NO_MAGIC = (
    "There is no %aca in plain mode, because this environment has no ipykernel. Python code, its "
    "output and its result work; a new environment comes with a restart of the kernel."
)


class PlainMode:
    """Answers the front end's requests without a kernel in the environment.

    Whoever uses this runs the text that `next_code` returns, and tells `end` what came of it.
    """

    def __init__(self, publisher: Publisher, backlog: SendQueue) -> None:
        self._publisher = publisher
        self._backlog = backlog
        self._execution_count = 0
        self._running: Request | None = None

    def next_code(self) -> str | None:
        """Answer what is queued up to the next text to be run; return that, None if all is done."""
        while self._backlog:
            code = self._begin(self._backlog.take_first())
            if code is not None:
                return code
        return None

    def _begin(self, request: Request) -> str | None:
        if request.is_execute:
            return self._begin_cell(request)
        answer = empty_answer(request)
        if answer is not None:
            answer.give(request, self._publisher)
        elif request.msg_type == "is_complete_request":
            self._publisher.answer(request, {"status": "unknown"})
        elif request.wants_reply:
            self._publisher.fail(
                request, "NotSupported", "Plain mode cannot do this: there is no ipykernel."
            )
        else:
            self._publisher.answer(request, {})
        return None

    def _begin_cell(self, request: Request) -> str | None:
        code = str(json.loads(request.frames[3]).get("code", ""))
        is_silent = bool(request.content.get("silent", False))
        # As in IPython.
        if not is_silent and request.content.get("store_history", True):
            self._execution_count += 1
        self._publisher.begin(request)
        if not is_silent:
            self._publisher.publish(
                "execute_input", {"code": code, "execution_count": self._execution_count}, request
            )
        if not code.strip():
            self._succeed(request)
            return None
        if _MAGIC.match(code):
            self._fail(request, "NotSupported", _NO_MAGIC)
            return None
        self._running = request
        return code

    def end(self, outcome: ToolResult | AcaKernelError | None) -> None:
        """Answer the cell whose text was run, unless it has been answered.

        outcome: None if nobody waits any longer; the tool offers no way to stop the code.
        """
        request, self._running = self._running, None
        if request is None or not request.is_sent:
            return
        match outcome:
            case None:
                self._fail(
                    request,
                    "KeyboardInterrupt",
                    "Not waiting any longer; the code may still be running in the environment.",
                )
            case ResultUnknown():
                self._fail(request, "ResultUnknown", f"{outcome.message} {ResultUnknown.ADVICE}")
            case AcaKernelError():
                self._fail(request, outcome.ename, outcome.message, outcome.reason)
            case _:
                self._show(request, outcome)

    def _fail(self, request: Request, ename: str, evalue: str, reason: str = "") -> None:
        self._publisher.fail(request, ename, evalue, reason)
        self._abort_behind(request)

    def _abort_behind(self, request: Request) -> None:
        if request.aborts_on_error:
            self._backlog.abort(None)

    def _show(self, request: Request, result: ToolResult) -> None:
        is_silent = bool(request.content.get("silent", False))
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
            self._abort_behind(request)
            return
        if not is_silent:
            self._stream(request, "stderr", result.stderr)
            if result.execution_result is not None:
                data = _bundle(result.execution_result)
                counted = {"execution_count": self._execution_count}
                self._publisher.publish(
                    "execute_result", {"data": data, "metadata": {}, **counted}, request
                )
        self._succeed(request)

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
