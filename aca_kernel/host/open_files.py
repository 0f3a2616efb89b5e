"""The table of files in transfer, for all directions.

The disk is read and written in threads: it may be slow, and output still streams.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable
from typing import Generic, TypeVar

from ..errors import CallRefused
from ..remote.paged_files import FileProblem
from .call import Call

T = TypeVar("T")

NOT_OPEN = "This file is not on its way any more. Run the cell again."


class OpenFiles(Generic[T]):
    """Open files by the environment's keys, in the order of their last use (LRU).

    most: at a time. let_go: closes one.
    """

    def __init__(self, most: int, let_go: Callable[[T], object]) -> None:
        self._most = most
        self._let_go = let_go
        self._files: dict[str, T] = {}

    def __len__(self) -> int:
        return len(self._files)

    @property
    def is_full(self) -> bool:
        """Whether another file takes the place of an open one."""
        return len(self._files) >= self._most

    def add(self, file: T) -> str:
        """Add a file and return its key; close the least recently used ones for it."""
        while self.is_full:
            self._let_go(self._files.pop(next(iter(self._files))))
        key = secrets.token_hex(8)
        self._files[key] = file
        return key

    def take(self, call: Call) -> T:
        """Remove the file of a call from the table and return it; the caller closes it.

        Raises CallRefused: it is not open.
        """
        file = self._files.pop(call.text("transfer"), None)
        if file is None:
            raise CallRefused(NOT_OPEN)
        return file

    def find(self, call: Call) -> T:
        """Return the file of a call, as the most recently used one. Raises CallRefused."""
        file = self._files[call.text("transfer")] = self.take(call)
        return file

    def drop(self, call: Call) -> None:
        """Close the file of a call, unless that has happened meanwhile."""
        file = self._files.pop(call.text("transfer"), None)
        if file is not None:
            self._let_go(file)

    def close(self, is_due: Callable[[T], bool] = lambda _: True) -> None:
        """Close all files, or those that are due."""
        for key in [key for key, file in self._files.items() if is_due(file)]:
            self._let_go(self._files.pop(key))


async def in_thread(action: Callable[[], T]) -> T:
    """Run an action on a file in a thread. Raises CallRefused in place of FileProblem."""
    try:
        return await asyncio.to_thread(action)
    except FileProblem as error:
        raise CallRefused(str(error)) from error
