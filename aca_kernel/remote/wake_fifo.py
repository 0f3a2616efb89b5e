"""The FIFO by which the shell tool ends an exchange that the agent holds open.

Each line is the number of an exchange: that one, and those before it, wait no longer.
"""

from __future__ import annotations

import contextlib
import os


class WakeFifo:
    """The agent's end. descriptor: stays the same, also when code has removed the FIFO.

    number: of the last exchange that is to end.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        self.number = 0
        self.descriptor = self._open()

    def _open(self) -> int:
        os.mkfifo(self.path, 0o600)
        # Open for both, so that a writer never blocks and a reader never sees an end.
        return os.open(self.path, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)

    @property
    def is_there(self) -> bool:
        """Whether the path still leads to it."""
        try:
            return os.path.samestat(os.stat(self.path), os.fstat(self.descriptor))
        except OSError:
            return False

    def make_again(self) -> None:
        """Make it again where code has removed it. Raises OSError."""
        self.read()
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self.path)
        made = self._open()
        # By the number that pollers and the kernel know.
        os.dup2(made, self.descriptor, inheritable=False)
        os.close(made)

    def read(self) -> None:
        """Take what has been written to it."""
        try:
            tokens = os.read(self.descriptor, 4096).split()
        except BlockingIOError:
            return
        self.number = max([self.number, *(int(token) for token in tokens if token.isdigit())])

    def close(self) -> None:
        """Close it; its path stays."""
        os.close(self.descriptor)
