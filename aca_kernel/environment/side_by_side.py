"""Reads a long log where the pool cuts answers short: several calls at a time.

An answer of four thousand characters takes a round trip like any other. Which piece of the log is
in which answer is known beforehand here (remote/spool.py), so that they need not come one after the
other. The service runs Python calls of an environment in turn, but has the next one there when one
ends. Where it does not take several, one is left.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable

from ..errors import AcaKernelError, EnvironmentGone, WaitInterrupted
from ..pool.tool_result import ToolResult
from ..remote import spool, wire
from .exchange import Exchange

# Calls at a time. More would wait for one another over there.
MOST_CALLS = 8


class SideBySide:
    """Reads the log of one generation.

    call: runs code in the environment once. call_surely: repeats it until an answer comes.
    """

    def __init__(
        self,
        exchange: Exchange,
        call: Callable[[str], Awaitable[ToolResult]],
        call_surely: Callable[[str], Awaitable[ToolResult]],
        log: logging.Logger,
    ) -> None:
        self._exchange = exchange
        self._call = call
        self._call_surely = call_surely
        self._log = log
        self._most = MOST_CALLS
        self._starts: deque[int] = deque()
        self._pieces: list[spool.Piece] = []

    async def read(self) -> list[wire.Record] | None:
        """Return the records that begin the log; None: it has to be read in another way.

        Raises as Relay.do_exchange.
        """
        self._pieces = []
        try:
            first = self._exchange.piece_of(
                0, (await self._call_surely(self._exchange.piece_code(0))).stdout
            )
            length = len(first.data)
            self._pieces.append(first)
            self._starts = deque(range(length, first.size, length) if length else ())
            await self._read_rest()
            return self._exchange.take_log(spool.joined(self._pieces))
        except (wire.FrameCut, wire.FrameMissing, ValueError) as error:
            self._log.info("cut answers cannot be read side by side: %s", error)
            self._exchange.reads_side_by_side = False
            return None

    async def _read_rest(self) -> None:
        count = min(self._most, len(self._starts))
        readers = [asyncio.ensure_future(self._read_some(is_sure=not n)) for n in range(count)]
        try:
            await asyncio.gather(*readers)
        finally:
            for reader in readers:
                reader.cancel()
            await asyncio.gather(*readers, return_exceptions=True)
        # What another one failed to read when this one had ended.
        await self._read_some(is_sure=True)

    async def _read_some(self, *, is_sure: bool) -> None:
        """Read pieces until there is none left. is_sure: it does not fail at the first error."""
        while self._starts:
            start = self._starts.popleft()
            code = self._exchange.piece_code(start)
            try:
                result = await (self._call_surely if is_sure else self._call)(code)
                piece = self._exchange.piece_of(start, result.stdout)
            except (EnvironmentGone, WaitInterrupted):
                raise
            except (AcaKernelError, wire.FrameMissing, wire.FrameCut) as error:
                if is_sure:
                    raise
                self._log.info("one call less at a time: %s", type(error).__name__)
                self._starts.append(start)
                self._most = max(1, self._most - 1)
                return
            self._pieces.append(piece)
