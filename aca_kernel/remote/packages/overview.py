"""What was added to an environment, for a reader, and the cell that asks for it elsewhere."""

from __future__ import annotations

import sys

from . import distributions, script_metadata
from .distributions import Distribution

_NOTHING = "Nothing was installed beside what the environment began with."


def text(found: list[Distribution]) -> str:
    """Return a table and the block to paste, or a sentence if there is nothing."""
    if not found:
        return _NOTHING
    rows = [(one.name, one.version, _origin(one)) for one in found]
    widths = [max(len(row[column]) for row in rows) for column in (0, 1)]
    lines = [f"{name:{widths[0]}}  {version:{widths[1]}}  {why}" for name, version, why in rows]
    lines += [
        "",
        "A cell with this text has them installed before it runs, in any environment:",
        "",
        block(found),
    ]
    return "\n".join(line.rstrip() for line in lines)


def block(found: list[Distribution]) -> str:
    """Return inline script metadata that asks for what was added.

    Packages that others of them need are left to these; those of no index cannot be asked for.
    """
    of_index = [one for one in found if not one.direct_url()]
    needed = {
        name for one in of_index for name in distributions.needs(one.name) if name != one.name
    }
    # In a circle, each needs another.
    wanted = [one for one in of_index if one.name not in needed] or of_index
    python = ".".join(str(part) for part in sys.version_info[:2])
    return script_metadata.block([f"{one.name}=={one.version}" for one in wanted], f">={python}")


def _origin(one: Distribution) -> str:
    source = one.direct_url()
    if not source:
        return ""
    info = source.get("dir_info")
    if isinstance(info, dict):
        return "editable" if info.get("editable") else "from a folder"
    return "from a repository" if "vcs_info" in source else "from a file"
