"""Inline script metadata (PEP 723) of a whole notebook, for its kernel before its first cell.

Who starts a kernel for a notebook that lies before it, as a batch does, can tell it so; other
front ends send one cell after the other.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

# Of the kernel's process: {"requirements", "python", "indexes"} as JSON.
VARIABLE = "ACA_NOTEBOOK_PACKAGES"


def of_cells(cells: Iterable[str]) -> dict[str, Any] | None:
    """Return the first metadata in the code of cells, None if none has any that can be read.

    A later one, or one that cannot be read, is for its cell.
    """
    # No kernel needs it at its start.
    from ..remote.packages import MARK, script_metadata

    for code in cells:
        if MARK not in code:
            continue
        try:
            found = script_metadata.of_cell(code)
        except script_metadata.MetadataInvalid:
            continue
        if found is not None:
            return found.told()
    return None


def told(environ: Mapping[str, str]) -> dict[str, Any]:
    """Return {"notebook": its metadata} if a kernel's variables tell of any, else nothing."""
    try:
        found = json.loads(environ.get(VARIABLE, ""))
        metadata = {
            "requirements": [str(one) for one in found["requirements"]],
            "python": str(found["python"]),
            "indexes": [str(one) for one in found["indexes"]],
        }
    except (ValueError, KeyError, TypeError):
        return {}
    return {"notebook": metadata}
