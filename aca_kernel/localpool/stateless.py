"""The stateless revision 2026-07-28 of the Model Context Protocol, as far as tools need it.

There is no `initialize`: each request says in `params._meta` which revision it is of and what its
client can do, and repeats in HTTP headers what gateways want to know. Both revisions are served at
one endpoint; a request says itself which it is of. Values only, no input or output.
Source: MCP specification 2026-07-28, "Versioning and Compatibility", "Streamable HTTP", "Discovery"
and "Caching".
"""

from __future__ import annotations

import base64
import binascii
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .tools import Json

STATELESS_VERSION = "2026-07-28"

# Requests of these revisions begin with a handshake; the first ones send no header.
_HANDSHAKE_VERSIONS = (None, "2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25")

INVALID_PARAMS = -32602
HEADER_MISMATCH = -32020
UNSUPPORTED_VERSION = -32022

_PREFIX = "io.modelcontextprotocol/"
_VERSION_KEY = _PREFIX + "protocolVersion"
_CAPABILITIES_KEY = _PREFIX + "clientCapabilities"
_SERVER_KEY = _PREFIX + "serverInfo"
_VERSION_HEADER = "MCP-Protocol-Version"

# A pool's tools never change; but only who has its key may know them.
_CACHEABLE = ("server/discover", "tools/list")
_CACHING: Json = {"ttlMs": 3_600_000, "cacheScope": "private"}

_BASE64_VALUE = re.compile(r"=\?base64\?(.*)\?=")


@dataclass(frozen=True)
class HeadProblem:
    """Why a request is refused before its method is looked at, as a JSON-RPC error."""

    code: int
    message: str
    data: Json | None = None


def is_stateless(message: Any, headers: Mapping[str, str]) -> bool:
    """Tell whether a body is meant to be of this revision, or of one still unknown."""
    return _VERSION_KEY in _meta_of(message) or headers.get(_VERSION_HEADER) not in (
        _HANDSHAKE_VERSIONS
    )


def head_problem(message: Json, headers: Mapping[str, str]) -> HeadProblem | None:
    """Return why a request, or a notification, is refused; None if it is not."""
    given = headers.get(_VERSION_HEADER)
    if "id" not in message:
        # What headers a notification needs is not defined.
        return _version_problem(given)
    meta = _meta_of(message)
    for key, kind in ((_VERSION_KEY, str), (_CAPABILITIES_KEY, dict)):
        if not isinstance(meta.get(key), kind):
            what = "a string" if kind is str else "an object"
            return HeadProblem(
                INVALID_PARAMS, f"The member '{key}' of params._meta must be {what}."
            )
    expected = {_VERSION_HEADER: meta[_VERSION_KEY], "Mcp-Method": message["method"]}
    if message["method"] == "tools/call" and isinstance(message["params"].get("name"), str):
        expected["Mcp-Name"] = message["params"]["name"]
    for name, value in expected.items():
        header = headers.get(name)
        if header is None:
            return HeadProblem(HEADER_MISMATCH, f"Header mismatch: {name} is missing.")
        if (_decoded(header) if name == "Mcp-Name" else header) != value:
            text = f"Header mismatch: {name} does not say what the body says."
            return HeadProblem(HEADER_MISMATCH, text)
    return _version_problem(given)


def completed(method: str, result: Json, server: Json) -> Json:
    """Return a method's result in the form of this revision."""
    return {
        "resultType": "complete",
        **(_CACHING if method in _CACHEABLE else {}),
        **result,
        "_meta": {_SERVER_KEY: server},
    }


def _version_problem(version: str | None) -> HeadProblem | None:
    if version == STATELESS_VERSION:
        return None
    data = {"supported": [STATELESS_VERSION], "requested": version or ""}
    return HeadProblem(UNSUPPORTED_VERSION, "Unsupported protocol version", data)


def _meta_of(message: Any) -> Json:
    params = message.get("params") if isinstance(message, dict) else None
    meta = params.get("_meta") if isinstance(params, dict) else None
    return meta if isinstance(meta, dict) else {}


def _decoded(value: str) -> str | None:
    """Return what a header says, which may be encoded; None if it cannot be read."""
    match = _BASE64_VALUE.fullmatch(value)
    if match is None:
        return value
    try:
        return base64.b64decode(match[1], validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        return None
