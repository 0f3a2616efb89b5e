"""Settings of a process that are not variables: rows of (module, read, write).

    row           what a row is
    python        the standard library
    loggers       logging
    interpreter_hooks  what Python itself calls or asks
    ipython       the shell: %config, aliases, magics, hooks, formatters, extensions
    libraries     options that libraries keep, by their public functions
    counters      what libraries number
    more_libraries  what they keep in places of their own
    places        the modules and classes that the next three look through
    patches       functions and classes of cells that have been put into modules
    registrations  and into tables of modules
    assignments   values that cells have given to attributes of modules

`ROWS` has them all, by the names under which a failure is told; `SEARCHES` finds those that may lie
anywhere. Each is read and pickled on its own, so that failures stay apart. What cannot be made as
it was is named by `unkept`.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any

from . import (
    assignments,
    counters,
    interpreter_hooks,
    ipython,
    libraries,
    loggers,
    more_libraries,
    patches,
    python,
    registrations,
)
from .places import Place
from .row import Row, Unkept

# The random states are last: nothing draws numbers any more.
ROWS: dict[str, Row] = {
    **python.ROWS,
    **loggers.ROWS,
    **interpreter_hooks.ROWS,
    **ipython.ROWS,
    **more_libraries.ROWS,
    **libraries.ROWS,
    **patches.ROWS,
    **counters.ROWS,
    **libraries.RANDOM,
    **python.RANDOM,
}

# By the names under which a failure is told; each returns settings by their rows' names.
SEARCHES: dict[str, Callable[[list[Place]], dict[str, Any]]] = {
    "what cells have registered with libraries": registrations.read,
    "what cells have set in modules": lambda _: assignments.read(),
    "what cells have put into modules": patches.read,
    "the counters of libraries": counters.read,
    "what cells have registered with abstract classes": interpreter_hooks.read,
}


def row(name: str) -> Row:
    """Return the row of a name. Raises KeyError."""
    if name.startswith(registrations.NAME):
        return registrations.ROW
    if name.startswith(interpreter_hooks.NAME):
        return interpreter_hooks.ROW
    return assignments.ROW if name.startswith(assignments.NAME) else ROWS[name]


def in_order(found: dict[str, Any]) -> dict[str, Any]:
    """Return settings in the order in which they are set again."""
    known = {name: found[name] for name in ROWS if name in found}
    return {**{name: one for name, one in found.items() if name not in ROWS}, **known}


def unkept() -> Unkept:
    """Return the names of what cannot be made as it was, with the reasons."""
    found: Unkept = []
    for tell in (loggers.unkept, interpreter_hooks.unkept, ipython.unkept, more_libraries.unkept):
        with contextlib.suppress(Exception):  # of a library of another version
            found += tell()
    return found
