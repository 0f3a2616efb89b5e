"""Files beside the notebook: the half in the remote kernel.

The working directory that the remote kernel starts in stands for the notebook's folder. What code
looks for there and does not find is asked of the kernel on the user's machine, which decides what
it lets out (aca_kernel/beside/).

    session    puts it together for one remote kernel
    hooks      notice that code opens, looks for or lists something
    mirror     the files that have come: brings those that are missing or out of date
    copies     what has come, and what of it the code has changed or removed
    asked      what there is on the user's machine, as far as it has been asked
    receiving  one file on its way here
    entries    files that are only there, as `os.stat` and `os.scandir` show files
    importing  modules beside the notebook; libraries that open files in C
    words      names of files in the command of a `!` line or a child process
    writing    what the code has written, and how it gets back

Nothing of it is done before code misses a file: a cell that opens none costs nothing.

Standard library only; oldest Python 3.9.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager


class _Quiet(threading.local):
    depth = 0


_QUIET = _Quiet()


@contextmanager
def quiet() -> Iterator[None]:
    """Let this thread see the environment's files as they are, and fetch none."""
    _QUIET.depth += 1
    try:
        yield
    finally:
        _QUIET.depth -= 1


def is_quiet() -> bool:
    """Whether this thread is in `quiet`, as all of this package's own work is."""
    return _QUIET.depth > 0
