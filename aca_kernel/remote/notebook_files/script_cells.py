"""Cells that another program reads: `%%bash`, `%%script`, `%%python3`.

IPython gives their text to the program's stdin, so that no command names the files. The text is
read as that of a command, line by line: an apostrophe in a comment spoils its own line only.
What stands in quotes counts as well, for languages that put commas between their arguments.
"""

from __future__ import annotations

import re

# Of IPython; those that a configuration adds are not known.
_PROGRAMS = frozenset(
    {"script", "bash", "sh", "zsh", "perl", "ruby", "python", "python2", "python3", "pypy"}
)

# Magics that run the rest of the cell as a cell.
_AROUND = frozenset({"capture", "time", "timeit", "prun"})

_MAGIC = re.compile(r"\s*%%(\w+)[ \t]*([^\n]*)\n")
_QUOTED = re.compile(r"\"([^\"\n]+)\"|'([^'\n]+)'")
_PYTHON = re.compile(r"(?:python|pypy)[\d.]*\b")

# Of the text, which takes milliseconds to read.
_LONGEST = 100_000


def command_of(cell: str) -> list[str]:
    """Return the text of such a cell as arguments of a command, empty for other cells."""
    found = _MAGIC.match(cell)
    while found is not None and found[1] in _AROUND:
        found = _MAGIC.match(cell, found.end())
    if found is None or found[1] not in _PROGRAMS:
        return []
    program = found[2] if found[1] == "script" else f"{found[1]} {found[2]}"
    text = cell[found.end() : found.end() + _LONGEST]
    is_python = _PYTHON.search(program) is not None
    quoted = [one or other for one, other in _QUOTED.findall(text)]
    return [
        *(("python", "-c", text) if is_python else ()),
        *(program, *text.splitlines()),
        *dict.fromkeys(quoted),
    ]
