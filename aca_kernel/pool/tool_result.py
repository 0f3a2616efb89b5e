"""What a tool answered, in our names; the ways in which tools say that a run failed."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from .mcp_errors import from_words

# Statuses of a run that succeeded, as the sibling REST API and the tools spell them.
_SUCCESS = frozenset({"success", "succeeded", "ok", "0", ""})


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


def tool_result(result: dict[str, Any]) -> ToolResult:
    """Read the result of tools/call. Raises EnvironmentGone, PoolBusy: the tool did not run."""
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
        said = from_words(error_text, "a tool's result")
        if said is not None:
            raise said
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
