"""The agent's folder, and its recovery after code has removed it, as `rm -rf /tmp/*` does.

Contents, and their users by name:

    _aca_remote/, lib/   our modules: a remote kernel that starts, and first imports
    wake                 a FIFO: the shell tool, which also finds it by the agent's descriptor
    calls                the agent's socket: call_socket.py, which also keeps it open
    interrupted          the number of the last interrupt that has been sent
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

import contextlib
import os
import stat
from typing import TYPE_CHECKING

from .loader import write_at_once

if TYPE_CHECKING:
    from .call_socket import CallSocket
    from .wake_fifo import WakeFifo


# Written by whoever has sent it: the shell tool, or the agent where that did not answer.
INTERRUPTED = "interrupted"


def note_interrupt(path: str, number: int) -> bool:
    """Note that an interrupt is sent; False: it has been."""
    note = os.path.join(path, INTERRUPTED)
    with contextlib.suppress(OSError, ValueError), open(note, encoding="ascii") as file:
        if file.read().strip() == str(number):
            return False
    # Without room on the disk it may be sent twice.
    with contextlib.suppress(OSError), open(note, "w", encoding="ascii") as file:
        file.write(str(number))
    return True


def make(path: str) -> None:
    """Make a missing folder, for this user only. Raises OSError, also if it is another user's."""
    try:
        os.mkdir(path, 0o700)
    except FileExistsError:
        if not is_own(path):
            raise


def is_own(path: str) -> bool:
    """Tell whether a path is a folder of this user's, and no symlink to one."""
    try:
        status = os.lstat(path)
    except OSError:
        return False
    return stat.S_ISDIR(status.st_mode) and status.st_uid == os.geteuid()


def mend(path: str, sources: dict[str, bytes], wake: WakeFifo, calls: CallSocket) -> None:
    """Make what code has removed of the folder, if it has. sources: our modules by their names."""
    has_wake, has_calls = wake.is_there, os.path.exists(calls.path)
    if has_wake and has_calls and os.path.exists(os.path.dirname(__file__)):
        return
    with contextlib.suppress(OSError):  # no room on the disk: tried again the next time
        make(path)
        write(path, sources)
        if not has_calls:
            calls.listen_again()
        if not has_wake:
            wake.make_again()


def write(path: str, files: dict[str, bytes]) -> None:
    """Write the missing files of a folder, by their names."""
    for name, data in files.items():
        target = os.path.join(path, *name.split("/"))
        if not os.path.exists(target):
            os.makedirs(os.path.dirname(target), mode=0o700, exist_ok=True)
            write_at_once(target, data)
