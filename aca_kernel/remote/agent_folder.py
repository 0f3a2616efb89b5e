"""The agent's folder, and how all goes on after code has removed it, as `rm -rf /tmp/*` does.

What is in it, and what of it is needed by its name:

    _aca_remote/, lib/   our modules; by a remote kernel that starts, and by first imports
    wake                 a FIFO; by the shell tool, which finds it by the agent's descriptor, too
    calls                the agent's socket; `calls.Connection` keeps it open, too
    origin, copies       what a remote kernel leaves to the next; it writes them again after a cell
    state/               a checkpoint on its way; made again by the next one
    sh-*/                one `!` command's; removed, it fails to start, or is not needed any more
    k*, kernel-*, config-*   of one remote kernel, by itself while it starts

The agent makes the folder again before each exchange and before it starts a remote kernel.

Standard library only.
"""

from __future__ import annotations

import os
import stat


def make(path: str) -> None:
    """Make a folder that is missing, for this user only.

    Raises OSError: it cannot be made, or somebody else's has its place.
    """
    try:
        os.mkdir(path, 0o700)
    except FileExistsError:
        found = os.lstat(path)
        if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid():
            raise


def write(path: str, files: dict[str, bytes]) -> None:
    """Write files by their names in a folder, if they are missing."""
    for name, data in files.items():
        target = os.path.join(path, *name.split("/"))
        if not os.path.exists(target):
            os.makedirs(os.path.dirname(target), mode=0o700, exist_ok=True)
            with open(target, "wb") as file:
                file.write(data)


def is_same(path: str, descriptor: int) -> bool:
    """Tell whether a path leads to what is open."""
    try:
        return os.path.samestat(os.stat(path), os.fstat(descriptor))
    except OSError:
        return False
