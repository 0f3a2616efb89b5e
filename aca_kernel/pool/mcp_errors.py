"""What a pool's server refuses, as our errors: HTTP statuses, JSON-RPC errors, and their words.

The service documents few of them. The words are those of its pages, of a public client of the same
endpoint, and of the local pool.
"""

from __future__ import annotations

import re
from typing import Any

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
    ToolFailed,
)
from .transport.contract import HttpAnswer

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
_DENIED = re.compile(r"\b(unauthori[sz]ed|api[ -]?key|authentication)\b", re.IGNORECASE)

# What a full pool means, and the rule for its size.
POOL_FULL = (
    "The session pool is full: every environment holds its place until its cooldown has "
    "passed. Wait, or raise maxConcurrentSessions (sessions started per second × "
    "cooldown seconds)."
)


def from_status(answer: HttpAnswer) -> AcaKernelError:  # noqa: PLR0911 - a table
    """Return the error that an HTTP status other than 200 means."""
    status = answer.status
    detail = f"HTTP {status}"
    text = message_of(answer)
    if status == 401:
        return _key_refused(detail)
    if status == 403:
        return AccessDenied(
            "The session pool denied access (HTTP 403). Check the endpoint, and that the key "
            "belongs to this pool.",
            detail=detail,
        )
    if status in (404, 410) and _GONE.search(text):
        return _gone(text, detail)
    if status == 429 or (status == 404 and _FULL.search(text)):
        return pool_full(detail, _retry_after(answer))
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


def pool_full(detail: str, retry_after_seconds: float | None = None) -> PoolBusy:
    """Return the error of a pool without a free place."""
    return PoolBusy(POOL_FULL, detail=detail, retry_after_seconds=retry_after_seconds)


def _retry_after(answer: HttpAnswer) -> float | None:
    try:
        return max(0.0, float(answer.headers["retry-after"]))
    except (KeyError, ValueError):  # absent, or a date: our own backoff will do
        return None


def message_of(answer: HttpAnswer) -> str:
    """Return what an error answer says, shortened, for recognising it only."""
    return answer.body[:8000].decode("utf-8", "replace")[:2000]


def from_rpc_error(error: dict[str, Any]) -> AcaKernelError:
    """Return the error that a JSON-RPC error means."""
    code, text = error.get("code"), str(error.get("message", ""))
    detail = f"JSON-RPC {code}"
    said = from_words(text, detail)
    if said is not None:
        return said
    if code in (401, -32001) or _DENIED.search(text):
        return _key_refused(detail)
    if code in (-32700, -32600, -32602):
        return LocalProtocolError(
            f"The session pool did not understand the request: {_shorten(text)}", detail=detail
        )
    return ToolFailed(f"The session pool reported an error: {_shorten(text)}", detail=detail)


def from_words(text: str, detail: str) -> EnvironmentGone | PoolBusy | None:
    """Return the error that an error's text means by itself, None if it could mean others."""
    if _GONE.search(text):
        return _gone(text, detail)
    return pool_full(detail) if _FULL.search(text) else None


def _key_refused(detail: str) -> KeyRefused:
    return KeyRefused(
        "The session pool refused the API key. Fetch the current key and set "
        "ACA_MCP_API_KEY; after a rotation it may take five minutes to be accepted.",
        detail=detail,
    )


def _gone(text: str, detail: str) -> EnvironmentGone:
    has_begun = _UNDER_CALL.search(text) is not None
    message = "The session environment no longer exists."
    return EnvironmentGone(message, detail=detail, has_begun=has_begun)


def _shorten(text: str) -> str:
    return text if len(text) <= 200 else text[:200] + "…"
