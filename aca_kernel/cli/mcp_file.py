"""VS Code's mcp.json: read it, and add one server without losing anything.

Source: https://code.visualstudio.com/docs/copilot/reference/mcp-configuration ("servers",
"inputs", `${input:id}`). VS Code reads the file with comments and trailing commas.
"""

from __future__ import annotations

import copy
import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..batch.atomic_write import write_whole
from ..errors import SettingInvalid
from ..system import restrict_to_owner
from .kernelspec import NotWritable

_HEADER = "x-ms-apikey"

# A string, or what may stand between values: a comment, a comma before a closing bracket.
_STRING = r'"(?:\\.|[^"\\\n])*"'
_COMMENT = re.compile(rf"({_STRING})|//[^\n]*|/\*.*?\*/", re.DOTALL)
_TRAILING_COMMA = re.compile(rf"({_STRING})|,(?=\s*[}}\]])", re.DOTALL)

# The tutorial's file has it.
_DEFAULT_INDENT = "    "


def input_id(server: str) -> str:
    """Return the id of the input that asks for a server's key.

    Underscores only: Visual Studio, which reads the same file, takes no hyphens.
    """
    return server.replace("-", "_") + "_key"


def entries(server: str, url: str, key: str | None) -> dict[str, Any]:
    """Return the content of an mcp.json with one server. key None: VS Code asks for it."""
    value = f"${{input:{input_id(server)}}}" if key is None else key
    servers = {server: {"type": "http", "url": url, "headers": {_HEADER: value}}}
    if key is not None:
        return {"servers": servers}
    asked = {
        "type": "promptString",
        "id": input_id(server),
        "description": f"API key of the session pool ({server})",
        "password": True,
    }
    return {"inputs": [asked], "servers": servers}


@dataclass(frozen=True, repr=False)
class McpFile:
    """An mcp.json. text: None if there is no such file. has_comments: content lacks those."""

    path: Path
    text: str | None
    content: dict[str, Any]
    has_comments: bool

    @classmethod
    def read(cls, path: Path) -> McpFile:
        """Read a file. Raises SettingInvalid: VS Code could not read it either."""
        try:
            # newline: its line ends are kept.
            with path.open(encoding="utf-8", newline="") as file:
                text = file.read()
        except FileNotFoundError:
            return cls(path, None, {}, has_comments=False)
        except UnicodeDecodeError as error:
            raise SettingInvalid(f"{path} is no text file: choose another with --write.") from error
        except OSError as error:
            raise NotWritable(
                f"{path} cannot be read ({error.strerror}): choose another file with --write."
            ) from error
        bare = _COMMENT.sub(lambda found: found[1] or " ", text.removeprefix("\ufeff"))
        content = _parse(path, bare)
        has_comments = any(found[1] is None for found in _COMMENT.finditer(text))
        return cls(path, text, content, has_comments=has_comments)

    def merged(self, new: dict[str, Any], server: str) -> dict[str, Any] | None:
        """Return the content with a server added; None: comments would be lost by that."""
        result = copy.deepcopy(self.content)
        servers, inputs = result.get("servers", {}), result.get("inputs", [])
        before = next((one for one in inputs if _is_input(one, server)), None)
        if "inputs" in new:
            asked = {**(before or {}), **new["inputs"][0]}
            if before and "description" in before:
                asked["description"] = before["description"]
            kept = [asked if _is_input(one, server) else one for one in inputs]
            inputs = kept if before else [*inputs, asked]
        elif before and not _is_used(servers, server):
            inputs = [one for one in inputs if not _is_input(one, server)]
        if inputs:
            result = result if "inputs" in result else {"inputs": inputs, **result}
            result["inputs"] = inputs
        else:
            result.pop("inputs", None)
        servers[server] = _server(servers.get(server), new["servers"][server])
        result["servers"] = servers
        return None if self.has_comments and result != self.content else result

    def write(self, content: dict[str, Any], *, is_secret: bool) -> bool:
        """Write the file atomically; return whether its text has changed.

        is_secret: for its owner only. Raises NotWritable.
        """
        text = self.text
        if text is None or content != self.content:
            text = self._format(content)
        try:
            if text == self.text:
                if is_secret:
                    restrict_to_owner(self.path)
                return False
            # A symlink is kept, and its target is changed.
            self.path.resolve().parent.mkdir(parents=True, exist_ok=True)
            write_whole(self.path, text, mode=0o600 if is_secret else None)
        except OSError as error:
            raise NotWritable(
                f"{self.path} cannot be written ({error.strerror}): choose another file with "
                "--write."
            ) from error
        return True

    def _format(self, content: dict[str, Any]) -> str:
        before = self.text or ""
        found = re.search(r"^([ \t]+)\S", before, re.MULTILINE)
        indent = found[1] if found else _DEFAULT_INDENT
        text = json.dumps(content, indent=indent, ensure_ascii=False)
        if not before or before.endswith("\n"):
            text += "\n"
        if "\r\n" in before:
            text = text.replace("\n", "\r\n")
        return ("\ufeff" if before.startswith("\ufeff") else "") + text


def _parse(path: Path, bare: str) -> dict[str, Any]:
    if not bare.strip():
        return {}
    try:
        content = json.loads(_TRAILING_COMMA.sub(lambda found: found[1] or "", bare))
    except (ValueError, RecursionError) as error:
        line = f" (line {error.lineno})" if isinstance(error, json.JSONDecodeError) else ""
        raise SettingInvalid(
            f"{path} is no JSON{line}: correct it first; nothing was written."
        ) from error
    kinds = {"servers": dict, "inputs": list}
    if not isinstance(content, dict) or any(
        not isinstance(content.get(name, kind()), kind) for name, kind in kinds.items()
    ):
        raise SettingInvalid(
            f"{path} is not VS Code's: it is an object with an object `servers` and a list "
            "`inputs`. Correct it first; nothing was written."
        )
    return content


def _is_input(one: Any, server: str) -> bool:
    return isinstance(one, dict) and one.get("id") == input_id(server)


def _is_used(servers: dict[str, Any], server: str) -> bool:
    """Tell whether another server uses the input of this one."""
    others = {name: one for name, one in servers.items() if name != server}
    return f"${{input:{input_id(server)}}}" in json.dumps(others)


def _server(before: Any, new: dict[str, Any]) -> dict[str, Any]:
    """Return a server's entry: the old one, updated."""
    if not isinstance(before, dict) or before.get("type", "http") != "http":
        return new
    headers = before.get("headers")
    kept = headers if isinstance(headers, dict) else {}
    # Names of headers know no case.
    kept = {name: value for name, value in kept.items() if name.lower() != _HEADER}
    return {**before, **new, "headers": {**kept, **new["headers"]}}
