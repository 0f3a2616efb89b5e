"""Notices that a line is lost while calls wait for their answers.

A network that changes, a computer that slept or a router that forgot ends connections without a
word, and a call that the other side holds open may be silent for its whole window. So the server
is asked beside it, over a second connection: it must be as old as the call, to share what becomes
of the line, and is made with the first call. An interrupt and a repeated call will find it, too.
While two exchanges are held there are two more connections: what a user does then, a slider or an
answer to `input()`, takes a call that wakes the agent and one that follows it. What asks is no tool
call. Nothing runs while no call is pending.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Awaitable, Iterator

from ..errors import AcaKernelError
from ..pool.mcp_client import McpClient

# The server is asked so often. With the time for its answer, a loss is noticed within 5 s.
_ASK_SECONDS = 2.5

# After a pause like this a server may have closed the second connection.
_STALE_SECONDS = 60.0

_SPARE_TIMEOUT_SECONDS = 30.0

# Connections that are made ahead of use: one is free beside one call, two beside two.
_MOST_CONNECTIONS = 4

# What an answer may take: a server under load, and some round trips. A false alarm costs a call.
_LEAST_PATIENCE_SECONDS = 1.5
_PATIENCE_ROUND_TRIPS = 6


class LineWatch:
    """Looks after the calls of one environment that are pending."""

    def __init__(self, client: McpClient, log: logging.Logger) -> None:
        self._client = client
        self._log = log
        self._pending = 0
        self._used_at = time.monotonic()
        self._timer: asyncio.TimerHandle | None = None
        self._asking: asyncio.Task[None] | None = None
        self._preparing: asyncio.Task[None] | None = None

    @contextlib.contextmanager
    def beside(self) -> Iterator[None]:
        """Watch the line during a call; if it is lost, the call ends with ResultUnknown."""
        self._pending += 1
        if self._pending == 1:
            # A timer and no task, because most calls are over before it comes.
            loop = asyncio.get_running_loop()
            self._timer = loop.call_later(_ASK_SECONDS, self._begin)
        is_stale = time.monotonic() - self._used_at > _STALE_SECONDS
        if is_stale or self._client.connections < self._pending + self._spares:
            # When the call has taken its connection.
            asyncio.get_running_loop().call_soon(self._prepare)
        try:
            yield
        finally:
            self._pending -= 1
            self._used_at = time.monotonic()
            if not self._pending:
                self._end()

    @property
    def _spares(self) -> int:
        """How many connections are to be free beside the calls that are pending."""
        return max(0, min(self._pending, _MOST_CONNECTIONS - self._pending))

    def _prepare(self) -> None:
        """Make the connections that are missing, or check those that there are."""
        if self._preparing is None or self._preparing.done():
            self._preparing = asyncio.ensure_future(self._make_spare())

    async def _make_spare(self) -> None:
        pings = [
            self._client.ping(timeout_seconds=_SPARE_TIMEOUT_SECONDS) for _ in range(self._spares)
        ]
        with contextlib.suppress(AcaKernelError):  # the call will say so, too
            await asyncio.gather(*pings)

    def _begin(self) -> None:
        self._asking = asyncio.ensure_future(self._ask_on())

    def _end(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._asking is not None:
            self._asking.cancel()
            self._asking = None

    async def _ask_on(self) -> None:
        was_away = False
        # Asked again, because `wait_for` lets a cancellation that comes with a result get lost
        # (until Python 3.12).
        while self._asking is asyncio.current_task():
            try:
                is_away = await self._is_away()
                # What was pending when the network went does not come back with it.
                is_lost = was_away and not is_away
            except asyncio.TimeoutError:
                is_away, is_lost = False, True
            if is_lost and self._pending:
                self._log.info("no answer: the connections are lost")
                await self._client.close()
            was_away = is_away
            await asyncio.sleep(_ASK_SECONDS)

    async def _is_away(self) -> bool:
        """Tell whether the server cannot be reached. Raises TimeoutError: it is silent."""
        round_trips = _PATIENCE_ROUND_TRIPS * self._client.round_trip.seconds
        patience = _LEAST_PATIENCE_SECONDS + round_trips
        asking: Awaitable[None]
        if self._preparing is not None and not self._preparing.done():
            # Asked over a connection that is made now, the server would answer, and it would say
            # nothing of those that were made before.
            asking = asyncio.shield(self._preparing)
        else:
            asking = self._client.ping(timeout_seconds=2 * patience)
        try:
            await asyncio.wait_for(asking, patience)
        except AcaKernelError:  # the page of a captive portal has another certificate
            return True
        return False
