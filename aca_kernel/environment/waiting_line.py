"""Kernels of this machine that wait for a place in a full pool do so in order.

Without it each of them would ask the pool again and again, and whichever happened to ask
when a place became free would get it. Here only the first in the line asks. A place becomes
free in two ways: in the pool, or with an environment that another kernel leaves (handover.py).

A waiter is a file in a folder for its pool, in Jupyter's runtime directory, which is the
owner's only. Its name sorts by the time of its coming, and its owner holds a lock on it. The
operating system gives up the lock with the process, so that a dead waiter blocks nobody: who
comes upon a file that nobody has locked removes it.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import secrets
import shutil
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from jupyter_core.paths import jupyter_runtime_dir

if TYPE_CHECKING:
    from .handover import Claim

_FOLDER = "aca-kernel-waiting"


def forget_line(pool: str) -> None:
    """Remove the line of a pool that has ended."""
    shutil.rmtree(_folder_of(pool), ignore_errors=True)


def _folder_of(pool: str) -> str:
    name = hashlib.sha256(pool.encode("utf-8")).hexdigest()[:16]
    return os.path.join(jupyter_runtime_dir(), _FOLDER, name)


class WaitingLine:
    """The line for one pool, and one place in it at most.

    pool: what identifies the pool; it is not written anywhere.
    look: called by who is first, now and then: returns what another kernel has left.
    joined: monotonic clock of the coming; None while not in it.
    Where no file can be written there is no line: everybody is the first.
    """

    def __init__(self, pool: str, look: Callable[[], Claim | None] | None = None) -> None:
        self.look = look
        self.joined: float | None = None
        self._folder = _folder_of(pool)
        self._ticket = ""
        self._lock: int | None = None

    @property
    def is_joined(self) -> bool:
        """Whether this waiter stands in the line."""
        return self._lock is not None

    def join(self) -> None:
        """Stand at the end of the line; more than once is harmless."""
        if self.joined is None:
            self.joined = time.monotonic()
        if self.is_joined:
            return
        # The clock is the machine's, the same for every process.
        ticket = f"{time.monotonic_ns():020d}-{secrets.token_hex(4)}"
        hidden = os.path.join(self._folder, f".{ticket}")
        with contextlib.suppress(OSError):
            os.makedirs(self._folder, mode=0o700, exist_ok=True)
            lock = os.open(hidden, os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_CLOEXEC, 0o600)
            fcntl.flock(lock, fcntl.LOCK_EX)
            # Only now seen by others, who would take it for a dead one's without its lock.
            os.rename(hidden, os.path.join(self._folder, ticket))
            self._ticket, self._lock = ticket, lock

    def leave(self) -> None:
        """Leave the line, so that the next one is the first; harmless if not in it."""
        self.joined = None
        if self._lock is not None:
            with contextlib.suppress(OSError):
                os.unlink(os.path.join(self._folder, self._ticket))
            os.close(self._lock)
            self._ticket, self._lock = "", None

    def is_first(self) -> bool:
        """Tell whether nobody waits ahead of this one, or, if it is not in the line, at all."""
        try:
            names = sorted(name for name in os.listdir(self._folder) if name[0] != ".")
        except OSError:
            return True
        for name in names:
            if self._ticket and name >= self._ticket:
                return True
            if self._is_alive(name):
                return False
        return True

    def _is_alive(self, name: str) -> bool:
        path = os.path.join(self._folder, name)
        try:
            probe = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        except OSError:
            return False  # it has just left
        try:
            fcntl.flock(probe, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return True
        else:
            with contextlib.suppress(OSError):
                os.unlink(path)
            return False
        finally:
            os.close(probe)
