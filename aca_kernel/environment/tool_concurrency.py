"""Finds out whether the pool runs the shell tool beside an exchange, once that matters.

A cell that runs for long is worth two calls to find out how to interrupt it well.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..messaging.requests import RequestTable
    from .relay import Relay

_LONG_CELL_SECONDS = 1.0


class ToolConcurrencyProbe:
    """Wakes the agent once during the first long cell; the relay draws its conclusion."""

    def __init__(self, table: RequestTable) -> None:
        self._table = table
        self._probed: Relay | None = None
        self._task: asyncio.Task[None] | None = None

    def begin(self, relay: Relay) -> None:
        """A cell is being waited for: find out, if it takes long and is not known yet."""
        if not relay.is_overlap_known and self._probed is not relay:
            self.cancel()
            self._probed = relay
            self._task = asyncio.ensure_future(self._probe(relay))

    async def _probe(self, relay: Relay) -> None:
        await asyncio.sleep(_LONG_CELL_SECONDS)
        self._probed = None
        if not relay.is_overlap_known and any(
            one.is_execute and one.is_started for one in self._table
        ):
            await relay.wake()

    def cancel(self) -> None:
        """The relay is not used any more."""
        if self._task is not None:
            self._task.cancel()
        self._probed = self._task = None
