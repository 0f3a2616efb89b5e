"""The queue of this machine's kernels for a place in a full pool.

Only the first in the line asks the pool. A place becomes free in two ways: in the pool, or with an
environment that another kernel leaves (handover.py).

A waiter is a file in a folder for its pool, in Jupyter's runtime directory, which is the
owner's only. Its name sorts by the time of its coming, and the waiter holds it
(lock_files.py), so that a dead one blocks nobody: who comes upon a file that nobody holds
removes it.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import time
from collections.abc import Callable, Iterator

from .handover import Claim
from .lock_files import WAITING, LockFile, folder_of


class WaitingLine:
    """The line for one pool, and one place in it at most.

    pool: what identifies the pool.
    left: asked by who is first, now and then: yields what other kernels have left.
    joined: monotonic clock of the coming; None while not in it.
    Where no file can be written there is no line: everybody is the first.
    """

    def __init__(self, pool: str) -> None:
        self.left: Callable[[], Iterator[Claim]] = lambda: iter(())
        self.joined: float | None = None
        self._folder = folder_of(WAITING, pool)
        self._ticket: LockFile | None = None

    @property
    def is_joined(self) -> bool:
        """Whether this waiter stands in the line."""
        return self._ticket is not None

    def join(self) -> None:
        """Stand at the end of the line; more than once is harmless."""
        if self.joined is None:
            self.joined = time.monotonic()
        if self.is_joined:
            return
        # The clock is the machine's, the same for every process.
        name = f"{time.monotonic_ns():020d}-{secrets.token_hex(4)}"
        with contextlib.suppress(OSError):
            self._ticket = LockFile.create(self._folder / name)

    def leave(self) -> None:
        """Leave the line, so that the next one is the first; harmless if not in it."""
        self.joined = None
        if self._ticket is not None:
            self._ticket.release(remove=True)
            self._ticket = None

    def is_first(self) -> bool:
        """Tell whether nobody waits ahead of this one, or, if it is not in the line, at all."""
        try:
            names = sorted(name for name in os.listdir(self._folder) if name[0] != ".")
        except OSError:
            return True
        for name in names:
            if self._ticket is not None and name >= self._ticket.path.name:
                return True
            if self._is_alive(name):
                return False
        return True

    def _is_alive(self, name: str) -> bool:
        try:
            left = LockFile.take(self._folder / name)
        except FileNotFoundError:
            return False  # it has just left
        except OSError:
            return True
        left.release(remove=True)
        return False
