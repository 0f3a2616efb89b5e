"""The tools of the MCP server: what they are called, take, do and return.

Names and arguments are those of the tutorial and of the service's MCP overview.
Result fields are those of the tutorial and, for Python, of the sibling REST API.
"""

from __future__ import annotations

import base64
import binascii
import re
from typing import TYPE_CHECKING, Any

from ..errors import EnvironmentGone
from .json_text import LargeText, dump, text_of

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from .options import PoolOptions
    from .session_pool import Pool

LAUNCH_PYTHON = "launchPythonEnvironment"
LAUNCH_SHELL = "launchShell"
RUN_PYTHON = "runPythonCodeInRemoteEnvironment"
RUN_SHELL = "runShellCommandInRemoteEnvironment"

# The service's limits for a session identifier.
_MIN_ID, _MAX_ID = 4, 128
# The text copy of a result is for people and language models. A copy of megabytes
# would double the cost of every large answer, and structuredContent has it all.
_TEXT_COPY_CHARACTERS = 1 << 18
_BASE64 = re.compile(r"[A-Za-z0-9+/]{16,}={0,2}")

Json = dict[str, Any]


class InvalidArguments(Exception):
    """The arguments do not fit the tool; the text names the one that does not."""


class UnknownTool(Exception):
    """There is no tool of this name here."""


def _schema(required: list[str], **properties: Json) -> Json:
    return {"type": "object", "properties": properties, "required": required}


_ENVIRONMENT_ID = {
    "type": "string",
    "description": "The environmentId that a launch tool returned.",
    "minLength": _MIN_ID,
    "maxLength": _MAX_ID,
}
_DESCRIPTIONS: dict[str, tuple[str, Json]] = {
    LAUNCH_PYTHON: (
        "Launches a Python environment and returns its environmentId.",
        _schema([]),
    ),
    LAUNCH_SHELL: (
        "Launches an environment and returns its environmentId.",
        _schema([]),
    ),
    RUN_PYTHON: (
        "Runs Python code in an environment; variables persist between calls.",
        _schema(
            ["environmentId", "pythonCode"],
            environmentId=_ENVIRONMENT_ID,
            pythonCode={"type": "string", "description": "The Python code to run."},
        ),
    ),
    RUN_SHELL: (
        "Runs a shell command in an environment: either shellCommand or execCommandAndArgs.",
        _schema(
            ["environmentId"],
            environmentId=_ENVIRONMENT_ID,
            shellCommand={"type": "string", "description": "A line for /bin/sh."},
            execCommandAndArgs={
                "type": "array",
                "items": {"type": "string"},
                "minItems": 1,
                "description": "A program and its arguments, run without a shell.",
            },
        ),
    ),
}


class Tools:
    """The tools of one pool; a Shell pool does not offer the one that runs Python."""

    def __init__(self, pool: Pool, options: PoolOptions, *, offers_python: bool = True) -> None:
        self._pool = pool
        self._options = options
        self._handlers: dict[str, Callable[[Json], Awaitable[Json]]] = {
            RUN_SHELL: self._run_shell,
        }
        if offers_python:
            self._handlers[RUN_PYTHON] = self._run_python
        if options.launch_tools in ("both", "python"):
            self._handlers[LAUNCH_PYTHON] = self._launch
        if options.launch_tools in ("both", "shell"):
            self._handlers[LAUNCH_SHELL] = self._launch

    def list(self) -> list[Json]:
        """Return what `tools/list` lists."""
        return [
            {"name": name, "description": description, "inputSchema": schema}
            for name, (description, schema) in _DESCRIPTIONS.items()
            if name in self._handlers
        ]

    async def call(self, name: str, arguments: Json) -> Json:
        """Run a tool and return its MCP result.

        Raises UnknownTool, InvalidArguments: nothing ran.
        Raises PoolBusy: nothing ran; the pool is full.
        """
        handler = self._handlers.get(name)
        if handler is None:
            raise UnknownTool
        unknown = arguments.keys() - _DESCRIPTIONS[name][1]["properties"].keys()
        if unknown:
            raise InvalidArguments(f"{name} takes no argument '{min(unknown)[:100]}'.")
        try:
            return await handler(arguments)
        except EnvironmentGone as error:
            return {"content": [{"type": "text", "text": error.message}], "isError": True}

    async def _launch(self, _arguments: Json) -> Json:
        environment_id = self._pool.launch()
        message = (
            "The environment is launched. It lives until it has been idle for "
            f"{self._pool.options.cooldown_seconds:g} seconds."
        )
        return _result({"environmentId": environment_id, "message": message})

    async def _run_python(self, arguments: Json) -> Json:
        environment_id = _environment_id(arguments)
        source = _text(arguments, "pythonCode")
        outcome = await self._pool.run_python(environment_id, source)
        structured: Json = {
            "environmentId": environment_id,
            "status": "Success" if outcome.error is None else "Failed",
            "stdout": self._output(outcome.stdout),
            "stderr": self._output(outcome.stderr),
            "executionTimeInMilliseconds": outcome.time_ms,
        }
        if outcome.result is not None:
            structured["executionResult"] = outcome.result
        if outcome.error is not None:
            structured["error"] = outcome.error
        is_error = outcome.error is not None
        return _result(
            structured, is_error=is_error and not self._options.quirks.failed_without_is_error
        )

    async def _run_shell(self, arguments: Json) -> Json:
        environment_id = _environment_id(arguments)
        argv = _command(arguments)
        outcome = await self._pool.run_shell(environment_id, argv)
        if outcome.timed_out:
            limit = self._options.call_timeout_seconds
            notice = f"The command ran longer than the limit of {limit:g} seconds: killed.\n"
            outcome.stderr += notice.encode()
        structured = {
            "environmentId": environment_id,
            "stdout": self._output(outcome.stdout),
            "stderr": self._output(outcome.stderr),
            "exitCode": outcome.exit_code,
            "executionTimeInMilliseconds": outcome.time_ms,
        }
        return _result(structured, is_error=outcome.timed_out)

    def _output(self, data: bytes) -> str | LargeText:
        if not (self._options.quirks.decode_base64 or self._options.output_limit):
            return text_of(data)
        text = data.decode("utf-8", "replace")
        if self._options.quirks.decode_base64:
            text = _decode_if_base64(text)
        if self._options.output_limit:
            text = text[: self._options.output_limit]
        return text


def _result(structured: Json, *, is_error: bool = False) -> Json:
    # Looked at before it is encoded: a large output would be encoded twice for nothing.
    texts = [value for value in structured.values() if isinstance(value, (str, LargeText))]
    is_small = sum(map(len, texts)) <= _TEXT_COPY_CHARACTERS
    text = dump(structured).decode("ascii") if is_small else ""
    if not text or len(text) > 2 * _TEXT_COPY_CHARACTERS:
        text = "The result is large and is in structuredContent only."
    return {
        "content": [{"type": "text", "text": text}],
        "structuredContent": structured,
        "isError": is_error,
    }


def _text(arguments: Json, name: str) -> str:
    if name not in arguments:
        raise InvalidArguments(f"The argument '{name}' is missing.")
    value = arguments[name]
    if not isinstance(value, str):
        raise InvalidArguments(f"The argument '{name}' must be a string.")
    return value


def _environment_id(arguments: Json) -> str:
    value = _text(arguments, "environmentId")
    if not _MIN_ID <= len(value) <= _MAX_ID:
        raise InvalidArguments(
            f"The argument 'environmentId' must have {_MIN_ID} to {_MAX_ID} characters."
        )
    return value


def _command(arguments: Json) -> list[str]:
    given = [name for name in ("shellCommand", "execCommandAndArgs") if name in arguments]
    if len(given) != 1:
        raise InvalidArguments(
            "Exactly one of the arguments 'shellCommand' and 'execCommandAndArgs' is needed."
        )
    if given == ["shellCommand"]:
        argv = ["/bin/sh", "-c", _text(arguments, "shellCommand")]
    else:
        value = arguments["execCommandAndArgs"]
        is_list = isinstance(value, list) and all(isinstance(item, str) for item in value)
        if not is_list or not value or not value[0]:
            raise InvalidArguments(
                "The argument 'execCommandAndArgs' must be a list of strings, the program first."
            )
        argv = value
    if any("\0" in item for item in argv):
        raise InvalidArguments(f"The argument '{given[0]}' must not hold a null character.")
    return argv


def _decode_if_base64(text: str) -> str:
    bare = text.strip()
    if len(bare) % 4 or not _BASE64.fullmatch(bare):
        return text
    try:
        return base64.b64decode(bare, validate=True).decode("utf-8", "replace")
    except binascii.Error:
        return text
