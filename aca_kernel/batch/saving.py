"""Saving of a running notebook, as its cells finish."""

from __future__ import annotations

import asyncio
import time

from nbformat import NotebookNode

from .atomic_write import write_whole
from .notebook_io import remember, text_of

# The share of a run that saving may take: a large notebook is saved less often. A small one takes
# some milliseconds, and is on disk before its next cell starts.
_LARGEST_SHARE = 0.2


class Saver:
    """Saves one notebook to one file; used by one task. Errors are raised by `finish` only."""

    def __init__(self, notebook: NotebookNode, path: str, print_: str) -> None:
        self._notebook = notebook
        self._path = path
        self._fingerprint = print_
        self._task: asyncio.Task[None] | None = None
        self._is_stale = False
        self._pause = 0.0

    def changed(self) -> None:
        """Save soon: a cell has finished."""
        self._is_stale = True
        if self._task is None or self._task.done():
            self._task = asyncio.ensure_future(self._save_while_stale())

    async def finish(self, state: str) -> None:
        """Save the notebook for the last time, with the state of its run. Raises OSError."""
        self._is_stale = False
        if self._task is not None:
            self._task.cancel()
            # A write under way is waited for: it must not come after the last one.
            await asyncio.gather(self._task, return_exceptions=True)
        await self._write(state, is_final=True)

    async def _save_while_stale(self) -> None:
        while self._is_stale:
            await asyncio.sleep(self._pause)
            self._is_stale = False
            started = time.monotonic()
            # Its text is not held here: a cancelled task keeps its variables for a while.
            writing = asyncio.ensure_future(self._write("running", is_final=False))
            try:
                await asyncio.shield(writing)
            except asyncio.CancelledError:
                await asyncio.gather(writing, return_exceptions=True)
                raise
            except OSError:
                pass  # if it stays, `finish` raises it
            self._pause = (time.monotonic() - started) * (1 / _LARGEST_SHARE - 1)

    async def _write(self, state: str, *, is_final: bool) -> None:
        remember(self._notebook, state, self._fingerprint)
        # Not in the thread: cells go on changing it.
        text = text_of(self._notebook)
        await asyncio.to_thread(write_whole, self._path, text, is_final=is_final)
