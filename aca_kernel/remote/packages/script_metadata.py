"""Inline script metadata (PEP 723) in the text of a cell, as `juv` and `uv` write it."""

from __future__ import annotations

import importlib
import re
from dataclasses import dataclass
from typing import Any

# Source: PEP 723, "Reference Implementation".
_BLOCK = re.compile(
    r"(?m)^# /// (?P<type>[a-zA-Z0-9-]+)[ \t]*$\s(?P<content>(^#(| .*)$\s)+)^# ///[ \t]*$"
)

# Of Python 3.11, and two copies of the same where it is older.
_READERS = ("tomllib", "tomli", "pip._vendor.tomli")


class MetadataInvalid(Exception):
    """A block that cannot be read; the text is the end of a sentence."""


@dataclass(frozen=True)
class ScriptMetadata:
    """What a block asks for. indexes: addresses of further indexes (`[[tool.uv.index]]`)."""

    requirements: tuple[str, ...] = ()
    requires_python: str = ""
    indexes: tuple[str, ...] = ()

    def told(self) -> dict[str, Any]:
        """Return it as the kernel is told of it, and tells environments."""
        requirements, indexes = list(self.requirements), list(self.indexes)
        return {"requirements": requirements, "python": self.requires_python, "indexes": indexes}


def of_cell(code: str) -> ScriptMetadata | None:
    """Return the metadata of a cell, None if it has none. Raises MetadataInvalid."""
    # Front ends may send other ends of lines.
    text = code.replace("\r\n", "\n")
    blocks = [one for one in _BLOCK.finditer(text) if one["type"] == "script"]
    if not blocks:
        return None
    if len(blocks) > 1:
        raise MetadataInvalid("the cell has two blocks of script metadata")
    lines = blocks[0]["content"].splitlines()
    content = "\n".join(line[2:] if line.startswith("# ") else line[1:] for line in lines)
    return _of_table(_parse(content))


def _parse(content: str) -> dict[str, Any]:
    for name in _READERS:
        try:
            reader = importlib.import_module(name)
        except ImportError:
            continue
        try:
            return dict(reader.loads(content))
        except ValueError as error:
            # The message tells the place, and nothing of the text.
            raise MetadataInvalid(f"its script metadata is not TOML: {error}") from None
    raise MetadataInvalid("the environment's Python cannot read TOML")


def _of_table(table: dict[str, Any]) -> ScriptMetadata:
    requirements = table.get("dependencies", [])
    python = table.get("requires-python", "")
    if not isinstance(requirements, list) or not all(isinstance(one, str) for one in requirements):
        raise MetadataInvalid("`dependencies` in its script metadata is not a list of texts")
    if not isinstance(python, str):
        raise MetadataInvalid("`requires-python` in its script metadata is not a text")
    tool = table.get("tool", {})
    uv = tool.get("uv", {}) if isinstance(tool, dict) else {}
    found = uv.get("index", []) if isinstance(uv, dict) else []
    indexes = [one.get("url") for one in found if isinstance(one, dict)]
    return ScriptMetadata(
        tuple(requirements), python, tuple(one for one in indexes if isinstance(one, str))
    )


def block(requirements: list[str], requires_python: str) -> str:
    """Return a block of script metadata."""
    lines = ["/// script", f'requires-python = "{requires_python}"']
    if requirements:
        lines += ["dependencies = [", *(f'    "{one}",' for one in requirements), "]"]
    else:
        lines.append("dependencies = []")
    return "\n".join(f"# {line}" for line in [*lines, "///"])
