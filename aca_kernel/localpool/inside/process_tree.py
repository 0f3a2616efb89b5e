"""Keeps hold of all descendants where no pid namespace does it.

Linux has them adopted by this process. Elsewhere those are found that descend from it when it ends;
one whose parents have ended before is left to the pool, which knows it by its HOME (sandbox.py).

Source: prctl(2), PR_SET_PDEATHSIG and PR_SET_CHILD_SUBREAPER.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import subprocess

_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36


def die_with_parent() -> None:
    """Have the kernel kill this process when the process that made it ends; Linux only.

    Elsewhere the end of its socket tells it, when its code has run.
    """
    _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def adopt_orphans() -> None:
    """Become the parent of descendants whose own parents end; Linux only."""
    _prctl(_PR_SET_CHILD_SUBREAPER, 1)


def _prctl(option: int, value: int) -> None:
    with contextlib.suppress(AttributeError):  # macOS has none
        ctypes.CDLL(None).prctl(option, value, 0, 0, 0)


def kill_descendants() -> None:
    """Kill until no child is left; killed processes' children become ours meanwhile."""
    while True:
        with contextlib.suppress(OSError):
            for pid in _descendants():
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
        try:
            os.waitpid(-1, 0)
        except ChildProcessError:
            return


def _descendants() -> list[int]:
    """Return children, which all become in time; without /proc their descendants, too."""
    me = str(os.getpid())
    found = []
    try:
        entries = os.listdir("/proc")
    except FileNotFoundError:
        return _by_ps(int(me))
    for entry in entries:
        if entry.isdigit():
            with contextlib.suppress(OSError), open(f"/proc/{entry}/stat", "rb") as stat:
                # The second field is the command in parentheses and may hold spaces.
                if stat.read().rpartition(b")")[2].split()[1].decode() == me:
                    found.append(int(entry))
    return found


def _by_ps(root: int) -> list[int]:
    command = ["ps", "-axo", "pid=,ppid="]
    listed = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=False)
    children: dict[int, list[int]] = {}
    for line in listed.stdout.splitlines():
        pid, parent = map(int, line.split())
        children.setdefault(parent, []).append(pid)
    found, left = [], [root]
    while left:
        below = children.get(left.pop(), [])
        found += below
        left += below
    return found
