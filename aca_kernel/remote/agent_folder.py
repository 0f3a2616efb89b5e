"""The agent's folder, and its recovery after code has removed it, as `rm -rf /tmp/*` does.

Contents, and their users by name:

    _aca_remote/, lib/   our modules: a remote kernel that starts, and first imports
    wake                 a FIFO: the shell tool, which also finds it by the agent's descriptor
    calls                the agent's socket: call_socket.py, which also keeps it open
    ahead-*              FIFOs of starters that are sent ahead: a cell does without
    origin, copies       records for the next remote kernel, written again after a cell
    packages-done        what was installed for the notebook, for the next remote kernel
    state/               a checkpoint in transfer; made again by the next one
    pack                 its pieces, if the kernel has written them beside the calls
    sh-*/                one `!` command: removed early, it fails to start
    k*, kernel-*, config-*   one remote kernel, while it starts

The agent makes the folder again before each exchange and before it starts a remote kernel.
"""

from __future__ import annotations

import os
import stat


def make(path: str) -> None:
    """Make a missing folder, for this user only. Raises OSError, also if it is another user's."""
    try:
        os.mkdir(path, 0o700)
    except FileExistsError:
        found = os.lstat(path)
        if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid():
            raise


def write(path: str, files: dict[str, bytes]) -> None:
    """Write the missing files of a folder, by their names."""
    for name, data in files.items():
        target = os.path.join(path, *name.split("/"))
        if not os.path.exists(target):
            os.makedirs(os.path.dirname(target), mode=0o700, exist_ok=True)
            with open(target, "wb") as file:
                file.write(data)


def is_same(path: str, descriptor: int) -> bool:
    """Tell whether a path leads to the file of a descriptor."""
    try:
        return os.path.samestat(os.stat(path), os.fstat(descriptor))
    except OSError:
        return False
