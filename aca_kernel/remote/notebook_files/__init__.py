"""Files beside the notebook: the half in the remote kernel.

The working directory that the remote kernel starts in stands for the notebook's folder. What code
looks for there and does not find is asked of the kernel on the user's machine, which decides what
it lets out (aca_kernel/host/notebook_files/).

    facade          puts it together for one remote kernel
    hooks           notice that code opens, looks for or lists something
    mirror          the files that have come: brings those that are missing or out of date
    copies          what has come, and what of it the code has changed or removed
    lookup_cache    what there is on the user's machine, as far as it has been asked
    receiving       one file on its way here
    entries         files that are only there, as `os.stat` and `os.scandir` show files
    fetching        files are sent when code opens them
    hinting         files are not sent: the error of code that misses one says what sends it
    missing_errors  the errors of code that opens or imports what is missing here
    importing       modules beside the notebook; libraries that open files in C
    file_mentions   names of files in the command of a `!` line or a child process
    write_back      what the code has written, and how it gets back

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
