"""Files beside the notebook: the half in the remote kernel.

The working directory that the remote kernel starts in stands for the notebook's folder. Files that
code looks for there and does not find are asked of the kernel on the user's machine, which decides
what it lets out (aca_kernel/host/notebook_files/). A cell that opens no file costs nothing.

    facade          all parts, for one remote kernel
    hooks           audit events and functions of `os`
    mirror          the local copy of the folder: fetches files that are missing or out of date
    copies          the record of fetched files, and of those that the code has changed or removed
    lookup_cache    cached answers about files on the user's machine
    receiving       the transfer of one file
    companions      files that come along with one that is fetched
    reading_ahead   names that code has shown it will open
    entries         stat results and directory entries of files that have not been fetched
    fetching        files are sent when code opens them
    hinting         files are not sent: the error of code that misses one names the remedy
    outside         sentences about files that lie outside of the folder
    paths           what the paths of code mean for the folder
    local_path      absolute paths of the user's machine
    traceback_names names of files in tracebacks
    missing_errors  errors of code that opens or imports a missing file
    importing       modules beside the notebook, and what is done when a library is imported
    c_readers       readers of libraries that open files in C
    cell_text       names of files in a cell's text, for C code that nobody knows
    script_cells    cells that another program reads, such as `%%bash`
    file_mentions   names of files in the command of a `!` line or a child process
    listing         files that stand in the lists of `ls`, `find` and their like
    command_words   the words of a command, for both halves
    new_processes   processes of multiprocessing that begin anew
    program_files   names of files in the text of scripts and makefiles that a command runs
    write_back      files that the code has written, and their way back
    shown_files     those that an output refers to
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
    """Show this thread the environment's own files, and fetch none."""
    _QUIET.depth += 1
    try:
        yield
    finally:
        _QUIET.depth -= 1


def is_quiet() -> bool:
    """Whether this thread is in `quiet`, as all of this package's own work is."""
    return _QUIET.depth > 0
