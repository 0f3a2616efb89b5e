"""Lines of cells in IPython's tracebacks."""

from __future__ import annotations

import re
from collections.abc import Sequence

from .lines import plain

# Since IPython 8.7; before, in 8.0 to 8.6. A library's frame has "File" instead.
_FRAME = re.compile(r"\bCell In\[\d+\], line (\d+)|\bInput In \[\d+\], in <cell line: (\d+)>")

# What comes before them has been handled. Source: the module traceback.
_CHAINS = (
    "The above exception was the direct cause of the following exception:",
    "During handling of the above exception, another exception occurred:",
)


def line_of(traceback: Sequence[str]) -> int:
    """Return the line of the cell that failed, from 1; 0 if the traceback names none.

    traceback: of a reply, coloured or not. The line is that of the cell itself, where a function
    of another cell has raised the error.
    """
    text = " ".join(plain(line) for part in traceback for line in part.splitlines())
    last = max((text.rfind(chain) for chain in _CHAINS), default=0)
    found = _FRAME.search(text, max(0, last))
    return int(found.group(1) or found.group(2)) if found else 0
