"""Files that are on their way, in whatever direction: the table of them, and work on one.

The disk is read and written in threads: it may be a slow one, and output still streams.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable
from typing import TYPE_CHECKING, Generic, TypeVar

from ..errors import CallRefused
from ..remote.paged_files import FileProblem

if TYPE_CHECKING:
    from .call import Call

T = TypeVar("T")

NOT_OPEN = "This file is not on its way any more. Run the cell again."


class OpenFiles(Generic[T]):
    """Open files by the keys that the environment has for them, in the order of their last use.

    most: at a time. let_go: closes one.
    """

    def __init__(self, most: int, let_go: Callable[[T], object]) -> None:
        self._most = most
        self._let_go = let_go
        self._files: dict[str, T] = {}

    @property
    def is_full(self) -> bool:
        """Whether another one takes the place of one that is open."""
        return len(self._files) >= self._most

    def add(self, file: T) -> str:
        """Return a key for another file; those that have waited longest make room for it."""
        while self.is_full:
            self._let_go(self._files.pop(next(iter(self._files))))
        key = secrets.token_hex(8)
        self._files[key] = file
        return key

    def take(self, call: Call) -> T:
        """Return the file that a call is about; it is the caller's to close from now on.

        Raises CallRefused: it is not open.
        """
        file = self._files.pop(call.text("transfer"), None)
        if file is None:
            raise CallRefused(NOT_OPEN)
        return file

    def find(self, call: Call) -> T:
        """Return the same and keep it, behind those that have waited longer. Raises CallRefused."""
        file = self._files[call.text("transfer")] = self.take(call)
        return file

    def drop(self, call: Call) -> None:
        """Let go of it, if that has not been done meanwhile."""
        file = self._files.pop(call.text("transfer"), None)
        if file is not None:
            self._let_go(file)

    def close(self, is_due: Callable[[T], bool] = lambda _: True) -> None:
        """Let go of all files, or of those of which this is true."""
        for key in [key for key, file in self._files.items() if is_due(file)]:
            self._let_go(self._files.pop(key))


async def in_thread(action: Callable[[], T]) -> T:
    """Do something with a file in a thread. Raises CallRefused for what is wrong with it."""
    try:
        return await asyncio.to_thread(action)
    except FileProblem as error:
        raise CallRefused(str(error)) from error
