"""The local half of the relay: one generation of one environment.

Makes the calls of exchanges (exchange.py says which), once the agent is booted (boot.py). Every
call made here is idempotent, so that all of them are repeated until an answer comes; only the
environment's end (`EnvironmentGone`) stops that.

One exchange is pending at a time. What must not wait for it goes round it (side_channel.py).
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from typing import TYPE_CHECKING, Any

from ..errors import (
    AcaKernelError,
    KeyPending,
    LocalProtocolError,
    PoolBusy,
    PoolUnreachable,
    ResultUnknown,
)
from ..remote import wire
from .boot import Greeting, boot, install, reason_of
from .exchange import Exchange, ToolCall
from .retry import CallRepeated
from .side_channel import SideChannel

if TYPE_CHECKING:
    from ..pool.mcp_client import ToolResult
    from .environment import Environment

# What an exchange takes beyond its window on a slow line, before its answer counts as lost.
EXCHANGE_GRACE_SECONDS = 30.0

# Of these many calls without a wait the time is kept, if they carried nothing of size.
_ROUND_TRIPS_KEPT = 20
_SHORT_CODE_CHARACTERS = 4096


class Relay:
    """One generation: from the agent's boot to the end of the environment.

    round_trips: seconds that recent calls took in which nothing was waited for.
    """

    def __init__(
        self, environment: Environment, config: dict[str, Any], log: logging.Logger
    ) -> None:
        self.environment = environment
        self.exchange = Exchange(log)
        self.round_trips: deque[float] = deque(maxlen=_ROUND_TRIPS_KEPT)
        self._config = config
        self._side = SideChannel(environment, self.exchange, log)
        self._is_to_stop = False
        self._stop_place: int | None = None

    # -- life --------------------------------------------------------------------

    async def boot(self) -> Greeting:
        """Put the agent into the session interpreter and let it start the remote kernel.

        Raises as boot.boot.
        """
        greeting = await boot(self.environment, self.exchange.nonce, self._config)
        self._side.greeted(greeting)
        return greeting

    async def install(self) -> Greeting:
        """Install what the greeting says is missing; return the greeting after that.

        Raises as boot.boot.
        """
        greeting = await install(self.environment)
        self._side.greeted(greeting)
        return greeting

    # -- exchanges ---------------------------------------------------------------

    def stop_waiting(self, place: int | None) -> None:
        """Let the pending exchange end with WaitInterrupted when it would have to be repeated.

        place: what must not have reached the agent then; None: it has not been sent at all.
        """
        self._is_to_stop = self.exchange.pending_number is not None
        self._stop_place = place

    def _is_stopped(self) -> bool:
        place = self._stop_place
        return self._is_to_stop and (place is None or self.exchange.is_safe_to_repeat(place))

    async def do_exchange(self) -> list[wire.Record]:
        """Make the calls of the exchange that has been begun; return what the agent has to say.

        Raises EnvironmentGone and RemoteProtocolError as Exchange.answered.
        Raises WaitInterrupted: see stop_waiting.
        Raises the errors of Environment.persist, when its time is over.
        """
        exchange = self.exchange
        try:
            while True:
                call = exchange.next_call()
                if call.pause_seconds:
                    await asyncio.sleep(call.pause_seconds)
                try:
                    result = await self._make(call)
                except LocalProtocolError as error:
                    exchange.refused(error)
                    continue
                records = exchange.answered(
                    result.stdout, time.monotonic(), reason=reason_of(result)
                )
                if records is not None:
                    return records
        finally:
            exchange.end()
            self._is_to_stop = False

    async def _make(self, call: ToolCall) -> ToolResult:
        async def attempt() -> ToolResult:
            started = time.monotonic()
            try:
                result = await self.environment.run_python(
                    call.code, timeout_seconds=call.wait_seconds + EXCHANGE_GRACE_SECONDS
                )
            except (PoolBusy, PoolUnreachable, KeyPending) as error:
                self._tell_failure(error)
                raise
            except ResultUnknown as error:
                self._tell_failure(error)
                self.exchange.lost(call)
                # The lost exchange may still be pending over there, and the next one
                # would wait behind it.
                if call.wait_seconds:
                    await self._side.wake_from(call.number)
                raise
            if not call.wait_seconds and len(call.code) < _SHORT_CODE_CHARACTERS:
                self.round_trips.append(time.monotonic() - started)
            return result

        return await self.environment.persist(attempt, self._is_stopped)

    def _tell_failure(self, error: AcaKernelError) -> None:
        self.environment.inbox.put_nowait(CallRepeated(time.monotonic(), error))

    async def measure_round_trip(self) -> None:
        """Add the time of a call that does nothing; only while no exchange is pending.

        Raises as do_exchange.
        """
        await self._make(ToolCall(0, "None", 0.0, 0))

    # -- round the exchange ------------------------------------------------------

    async def interrupt(self) -> None:
        """Send SIGINT to the remote kernel's process group, at once if the pool lets us.

        Where there is no usable shell tool the next exchange carries it.
        """
        if not await self._side.interrupt():
            self.exchange.send(wire.Record({"kind": "interrupt"}))

    async def wake(self) -> None:
        """End the pending exchange now, so that what is queued gets its turn."""
        await self._side.wake()

    async def kill(self) -> None:
        """End the remote kernel and what it has started, if the pool answers at once."""
        await self._side.kill()
