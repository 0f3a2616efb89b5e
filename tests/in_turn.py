"""Kernels that several tests use in turn, each as if it had been started for it alone."""

from __future__ import annotations

import queue
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager

from .support import TIMEOUT, Client

# Takes away what code has made, where files are not fetched by themselves.
EMPTY = """
import shutil
for entry in os.scandir():
    shutil.rmtree(entry) if entry.is_dir(follow_symlinks=False) else os.unlink(entry)
%reset -f
"""


class Turns:
    """A kernel of which each test takes its turn.

    start: called for the first turn, and again when a test has left none that answers.
    """

    def __init__(self, start: Callable[[], AbstractContextManager[Client]]) -> None:
        self._start = start
        self._stack = ExitStack()
        self._kernel: Client | None = None
        self._home = ""

    def take(self, code: str = EMPTY) -> Client:
        """Return the kernel, in its first directory, after this code."""
        if self._kernel is not None and self._goes_home(code):
            return self._kernel
        kernel = self._started()
        assert self._goes_home(code)
        return kernel

    def take_anew(self) -> Client:
        """Return the kernel, in an environment of its own for this turn."""
        if self._kernel is not None and self._runs("%aca restart"):
            return self._kernel
        return self._started()

    def _started(self) -> Client:
        self.close()
        self._kernel = self._stack.enter_context(self._start())
        self._home = str(self._kernel.run("import os; os.getcwd()").result)
        return self._kernel

    def _goes_home(self, code: str) -> bool:
        return self._runs(f"import os\nos.chdir({self._home})\n{code}")

    def _runs(self, code: str) -> bool:
        assert self._kernel is not None
        if not self._kernel.manager.is_alive():
            return False
        try:
            return self._kernel.run(code, TIMEOUT / 3).error is None
        except queue.Empty:
            return False

    def close(self) -> None:
        """End the kernel."""
        self._stack.close()
        self._kernel = None


@contextmanager
def turns(start: Callable[[], AbstractContextManager[Client]]) -> Iterator[Turns]:
    """Share a kernel in turns, and end it."""
    one = Turns(start)
    try:
        yield one
    finally:
        one.close()
