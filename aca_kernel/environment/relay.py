"""The local half of the relay: one generation of one environment.

Makes the calls of exchanges (exchange.py says which), once the agent is booted (boot.py). Every
call made here is idempotent, so that all of them are repeated until an answer comes; only the
environment's end (`EnvironmentGone`) stops that.

One exchange is pending at a time, and over a distance its next call is under way already. What
must not wait for it goes round it (side_channel.py).
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import Awaitable
from typing import TYPE_CHECKING, Any

from ..errors import (
    AcaKernelError,
    EnvironmentGone,
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
        self._log = log
        # The calls that are under way.
        self._calls: dict[asyncio.Future[ToolResult | None], ToolCall] = {}
        self._is_stirred = asyncio.Event()
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
        try:
            while True:
                records = await self._next_answer()
                if records is not None:
                    return records
        except BaseException:
            self.close()
            raise
        finally:
            self._is_to_stop = False

    def send_along(self) -> None:
        """Make another call for what was queued while one is under way."""
        self._is_stirred.set()

    def close(self) -> None:
        """Give up the calls that are under way."""
        for task in self._calls:
            task.cancel()
        self._calls.clear()
        self.exchange.end()

    async def _next_answer(self) -> list[wire.Record] | None:
        """Wait for the next answer; return the records if the exchange is over with it."""
        exchange = self.exchange
        exchange.windows.round_trip_seconds = self.environment.client.least_seconds
        self._is_stirred.clear()
        call = exchange.next_call(time.monotonic())
        if call is not None and not self._calls and not exchange.windows.may_overlap:
            # Alone, it needs no task, which would cost some of a loopback's round trip.
            return await self._take(call, self._make(call))
        if call is not None:
            self._begin(call)
        await self._wait_for_something()
        for task, call in list(self._calls.items()):
            if task.done():
                del self._calls[task]
                records = await self._take(call, task)
                if records is not None:
                    return records
        return None

    def _begin(self, call: ToolCall) -> None:
        making = self._try(call) if call.is_ahead else self._make(call)
        self._calls[asyncio.ensure_future(making)] = call

    async def _wait_for_something(self) -> None:
        """Wait for an answer, for something to send along, or for the time to send ahead."""
        at = self.exchange.ahead_at()
        seconds = None if at is None else max(0.0, at - time.monotonic())
        stirred: asyncio.Future[Any] = asyncio.ensure_future(self._is_stirred.wait())
        waiting: list[asyncio.Future[Any]] = [*self._calls, stirred]
        try:
            await asyncio.wait(waiting, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        finally:
            stirred.cancel()
        if not any(task.done() for task in self._calls):
            call = self.exchange.ahead_call(time.monotonic())
            if call is not None:
                self._begin(call)

    async def _take(
        self, call: ToolCall, making: Awaitable[ToolResult | None]
    ) -> list[wire.Record] | None:
        if isinstance(making, asyncio.Future) and making.cancelled():
            raise EnvironmentGone("The session environment has ended.")
        try:
            result = await making
        except LocalProtocolError as error:
            self.exchange.refused(call, error)
            return None
        except AcaKernelError:
            self.exchange.failed(call)
            raise
        if result is None:
            return None
        reason = reason_of(result)
        return self.exchange.answered(call, result.stdout, time.monotonic(), reason=reason)

    async def _try(self, call: ToolCall) -> ToolResult | None:
        """Make a call that need not succeed; None: it did not. Raises EnvironmentGone."""
        try:
            # It waits for those before it, too.
            return await self.environment.run_python(
                call.code, timeout_seconds=2 * call.wait_seconds + EXCHANGE_GRACE_SECONDS
            )
        except EnvironmentGone:
            raise
        except AcaKernelError as error:
            is_refused = not isinstance(error, (PoolUnreachable, ResultUnknown, KeyPending))
            self._log.info("a call ahead came to nothing: %s", error.reason)
            self.exchange.dropped(call, is_refused=is_refused)
            return None

    async def _make(self, call: ToolCall) -> ToolResult:
        async def attempt() -> ToolResult:
            started = time.monotonic()
            try:
                result = await self.environment.run_python(
                    call.code, timeout_seconds=self._timeout_seconds(call)
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
                    await self._side.wake()
                raise
            is_alone = len(self._calls) <= 1
            if is_alone and not call.wait_seconds and len(call.code) < _SHORT_CODE_CHARACTERS:
                self.round_trips.append(time.monotonic() - started)
            return result

        if call.pause_seconds:
            await asyncio.sleep(call.pause_seconds)
        return await self.environment.persist(attempt, self._is_stopped)

    def _tell_failure(self, error: AcaKernelError) -> None:
        self.environment.inbox.put_nowait(CallRepeated(time.monotonic(), error))

    def _timeout_seconds(self, call: ToolCall) -> float:
        """Return how long an answer may take: those under way are answered one after the other."""
        waits = [one.wait_seconds for one in self._calls.values()]
        return max([call.wait_seconds, sum(waits)]) + EXCHANGE_GRACE_SECONDS

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
