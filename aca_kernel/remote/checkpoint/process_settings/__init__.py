"""Settings of a process that are not variables: rows of (module, read, write).

    row           what a row is
    python        the standard library
    ipython       the shell: %config, aliases, magics, hooks, formatters, extensions
    libraries     options that libraries keep, by their public functions
    counters      what libraries number
    patches       functions and classes of cells that have been put into modules

`ROWS` has them all, by the names under which a failure is told. Each is read and pickled on its
own, so that failures stay apart. What cannot be made as it was is named by `unkept`.
"""

from __future__ import annotations

import contextlib

from . import counters, ipython, libraries, patches, python
from .row import Row, Unkept

# The random states are last: nothing draws numbers any more.
ROWS: dict[str, Row] = {
    **python.ROWS,
    **ipython.ROWS,
    **libraries.ROWS,
    **patches.ROWS,
    **counters.ROWS,
    **libraries.RANDOM,
    **python.RANDOM,
}


def unkept() -> Unkept:
    """Return the names of what cannot be made as it was, with the reasons."""
    found: Unkept = []
    for tell in (python.unkept, ipython.unkept):
        with contextlib.suppress(Exception):  # of a library of another version
            found += tell()
    return found
