"""Settings of a process that are not variables: rows of (module, read, write).

    row           what a row is
    python        the standard library
    ipython       the shell: %config, aliases, magics, hooks, formatters, extensions
    libraries     options that libraries keep, by their public functions
    counters      what libraries number
    more_libraries  what they keep in places of their own
    patches       functions and classes of cells that have been put into modules
    registrations  and into tables of modules
    assignments   values that cells have given to attributes of modules

`ROWS` has them all, by the names under which a failure is told. Each is read and pickled on its
own, so that failures stay apart. What cannot be made as it was is named by `unkept`.
"""

from __future__ import annotations

import contextlib
from typing import Any

from . import (
    assignments,
    counters,
    ipython,
    libraries,
    more_libraries,
    patches,
    python,
    registrations,
)
from .row import Row, Unkept

# The random states are last: nothing draws numbers any more.
ROWS: dict[str, Row] = {
    **python.ROWS,
    **ipython.ROWS,
    **more_libraries.ROWS,
    **libraries.ROWS,
    **patches.ROWS,
    **counters.ROWS,
    **libraries.RANDOM,
    **python.RANDOM,
}


def row(name: str) -> Row:
    """Return the row of a name. Raises KeyError."""
    if name.startswith(registrations.NAME):
        return registrations.ROW
    return assignments.ROW if name.startswith(assignments.NAME) else ROWS[name]


def found_in_modules() -> dict[str, Any]:
    """Return what cells have put into modules and their tables, each thing by a name of its own."""
    return {**registrations.read(), **assignments.read()}


def in_order(found: dict[str, Any]) -> dict[str, Any]:
    """Return settings in the order in which they are set again."""
    known = {name: found[name] for name in ROWS if name in found}
    return {**{name: one for name, one in found.items() if name not in ROWS}, **known}


def unkept() -> Unkept:
    """Return the names of what cannot be made as it was, with the reasons."""
    found: Unkept = []
    for tell in (python.unkept, ipython.unkept, more_libraries.unkept):
        with contextlib.suppress(Exception):  # of a library of another version
            found += tell()
    return found
