"""The local half of the relay: one generation of one environment.

Makes the calls of exchanges (exchange.py says which), once the agent is booted (boot.py). Every
call made here is idempotent, so that all of them are repeated until an answer comes; only the
environment's end (`EnvironmentGone`) stops that.

One exchange is pending at a time, and over a distance its next call is under way already. What
must not wait for it goes round it (side_channel.py).
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import itertools
import logging
import time
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

from ..errors import (
    AcaKernelError,
    EnvironmentGone,
    KeyPending,
    LocalProtocolError,
    PoolBusy,
    PoolUnreachable,
    RemoteProtocolError,
    ResultUnknown,
)
from ..pool.tool_result import ToolResult
from ..remote import wire
from .boot import BOOT_TIMEOUT_SECONDS, Greeting, boot, code_of, install, reason_of, split_greeting
from .environment import Environment
from .exchange import Exchange
from .line_watch import LineWatch
from .near_files import NearFiles
from .retry import CallRepeated
from .side_by_side import SideBySide
from .side_channel import SideChannel
from .tool_call import ToolCall

# What an exchange takes beyond its window before its answer counts as lost: some seconds for the
# environment, some round trips, and what it carries on a slow line. Asking again costs a call and
# changes nothing; who is late again gets more time.
_GRACE_SECONDS = 3.0
_GRACE_ROUND_TRIPS = 10
_SLOW_LINE_BYTES_PER_SECOND = 32 * 1024
_LONGEST_GRACE_SECONDS = 30.0

# A call that ends after more than this, because its environment is gone, may have run: a refusal
# comes at once. Whether the service says which of the two it was is not known.
_REFUSAL_SECONDS = 2.0

# An exchange that is repeated may stand behind the lost one, which the agent still holds open.
_HELD_UP_SECONDS = 0.3


class Relay:
    """One generation: from the agent's boot to the end of the environment.

    side: the way round a pending exchange.
    """

    def __init__(
        self, environment: Environment, config: dict[str, Any], log: logging.Logger
    ) -> None:
        self.environment = environment
        self.exchange = Exchange(log)
        if not environment.is_near:
            self.exchange.windows.round_trip = environment.client.round_trip
        self._config = config
        self.side = SideChannel(environment, self.exchange, log)
        self._watch = None if environment.is_near else LineWatch(environment.client, log)
        # Wakes, and what is done beside the boot.
        self._tasks: set[asyncio.Task[None]] = set()
        self._boot_code = ""
        self._beside_boot: Callable[[], Coroutine[Any, Any, None]] | None = None
        self._side_by_side = SideBySide(
            exchange=self.exchange, call=self._run_once, call_surely=self._run_surely, log=log
        )
        self._log = log
        # The calls that are under way.
        self._calls: dict[asyncio.Future[ToolResult | None], ToolCall] = {}
        self._interrupts = itertools.count(1)
        self._is_stirred = asyncio.Event()
        self._is_to_stop = False
        self._stop_place: int | None = None

    # -- life --------------------------------------------------------------------

    async def boot(self) -> Greeting:
        """Put the agent into the session interpreter and let it start the remote kernel.

        Raises as boot.boot.
        """
        greeting = await boot(self.environment, self.exchange.nonce, self._config)
        self.side.greeted(greeting)
        return greeting

    async def install(self) -> Greeting:
        """Install what the greeting says is missing; return the greeting after that.

        Raises as boot.boot.
        """
        greeting = await install(self.environment)
        self.side.greeted(greeting)
        return greeting

    def boot_with_first_exchange(self, beside: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Put the agent into the session interpreter by the call of the first exchange.

        For an environment in which an agent has run, so that nothing is to be found out before.
        beside: what is done at the same time.
        """
        is_near = self.environment.is_near
        self._boot_code = code_of(self.exchange.nonce, self._config, is_near=is_near)
        self._beside_boot = beside

    @property
    def near_files(self) -> NearFiles:
        """The files of the agent's folder, as far as this machine sees them."""
        return NearFiles(self.environment.near, self.side.directory)

    @property
    def is_booted(self) -> bool:
        """Whether the agent runs, as far as is known."""
        return not self._boot_code

    # -- exchanges ---------------------------------------------------------------

    def stop_waiting(self, place: int | None) -> None:
        """Let the pending exchange end with WaitInterrupted when it would have to be repeated.

        place: what must not have reached the agent then; None: it has not been sent at all.
        """
        self._is_to_stop = self.exchange.is_pending
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
            if self.exchange.is_worth_many_calls:
                log = await self._side_by_side.read()
                if log is not None:
                    return log
            while True:
                records = await self._next_answer()
                if records is not None:
                    return records
        except RemoteProtocolError as error:
            self.close()
            if self.is_booted:
                raise
            raise EnvironmentGone("The session environment cannot be used again.") from error
        except BaseException:  # an interrupt of the task, too: no call stays under way
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
        self._is_stirred.clear()
        call = exchange.next_call(time.monotonic())
        # What arrived ahead of the boot would find no agent.
        may_overlap = exchange.windows.may_overlap and self.is_booted
        if call is not None and not self._calls and not may_overlap:
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
        return self.exchange.answered(
            call, result.stdout, time.monotonic(), reason=reason, is_booted=self.is_booted
        )

    async def _try(self, call: ToolCall) -> ToolResult | None:
        """Make a call that need not succeed; None: it did not. Raises EnvironmentGone."""
        try:
            return await self._run(call, 0)
        except EnvironmentGone:
            raise
        except AcaKernelError as error:
            is_refused = not isinstance(error, (PoolUnreachable, ResultUnknown, KeyPending))
            self._log.info("a call ahead came to nothing: %s", error.reason)
            self.exchange.dropped(call, is_refused=is_refused)
            return None

    async def _make(self, call: ToolCall) -> ToolResult:
        losses = 0

        async def attempt() -> ToolResult:
            nonlocal losses
            self.exchange.made_again(call, time.monotonic())
            waking = self._wake_later(call) if losses else None
            try:
                return await self._run(call, losses)
            except (PoolBusy, PoolUnreachable, KeyPending) as error:
                self._tell_failure(call, error)
                raise
            except ResultUnknown as error:
                losses += 1
                self._tell_failure(call, error)
                self.exchange.lost(call)
                raise
            finally:
                if waking is not None:
                    waking.cancel()

        if call.pause_seconds:
            await asyncio.sleep(call.pause_seconds)
        return await self.environment.persist(attempt, self._is_stopped)

    def _tell_failure(self, call: ToolCall, error: AcaKernelError) -> None:
        self.exchange.waits(call)
        self.environment.inbox.put_nowait(CallRepeated(time.monotonic(), error))

    async def _run(self, call: ToolCall, losses: int) -> ToolResult:
        """Make a call once, and notice if the line is lost meanwhile."""
        patience = _GRACE_SECONDS + _GRACE_ROUND_TRIPS * self.environment.client.round_trip.seconds
        patience = min(_LONGEST_GRACE_SECONDS, patience * 2**losses)
        code = call.code
        if self._boot_code:
            code = f"{self._boot_code}\n{code}"
            patience += BOOT_TIMEOUT_SECONDS
        # Those under way are answered one after the other.
        waits = [one.wait_seconds for one in self._calls.values()]
        patience += max(call.wait_seconds, sum(waits)) + len(code) / _SLOW_LINE_BYTES_PER_SECOND
        if self._beside_boot is not None:
            beside, self._beside_boot = self._beside_boot, None
            self._start(beside())
        started = time.monotonic()
        with self._watch.beside() if self._watch is not None else contextlib.nullcontext():
            try:
                result = await self.environment.run_python(code, timeout_seconds=patience)
            except ResultUnknown:
                if time.monotonic() - started >= patience:
                    # Silence: the other connections may be lost, too.
                    await self.environment.client.close()
                raise
            except EnvironmentGone as error:
                refusal_seconds = _REFUSAL_SECONDS + self.environment.client.round_trip.seconds
                if error.has_begun or time.monotonic() - started > refusal_seconds:
                    self.exchange.lost(call)  # what it carried may have run
                raise
        return self._greeted(result) if self._boot_code else result

    def _greeted(self, result: ToolResult) -> ToolResult:
        """Take the greeting off an answer; what is left belongs to the exchange."""
        greeting, rest = split_greeting(result.stdout)
        if greeting is not None:
            if greeting.missing:
                raise EnvironmentGone("The session environment has lost its ipykernel.")
            self._boot_code = ""
            self.side.greeted(greeting)
        return dataclasses.replace(result, stdout=rest)

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        """Do what fails by itself and matters to nobody else."""
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _wake_later(self, call: ToolCall) -> asyncio.TimerHandle | None:
        """End what was lost, and is held over there, if the repetition is not answered soon."""
        if not call.wait_seconds:
            return None

        def wake() -> None:
            self._start(self.side.wake_from(self.exchange.last_number))

        seconds = _HELD_UP_SECONDS + 2 * self.environment.client.round_trip.seconds
        return asyncio.get_running_loop().call_later(seconds, wake)

    async def _run_once(self, code: str) -> ToolResult:
        return await self.environment.run_python(code, timeout_seconds=_LONGEST_GRACE_SECONDS)

    async def _run_surely(self, code: str) -> ToolResult:
        return await self._make(ToolCall(0, code, 0.0, 0))

    async def measure_round_trip(self) -> float:
        """Return the seconds that a call takes which does nothing; while no exchange is pending.

        Raises as do_exchange.
        """
        started = time.monotonic()
        await self._run_surely("None")
        return time.monotonic() - started

    async def interrupt(self) -> None:
        """Send SIGINT to the remote kernel's process group, at once if the pool lets us.

        Where there is no usable shell tool the next exchange carries it.
        """
        number = next(self._interrupts)
        if not await self.side.interrupt(number):
            self.exchange.send(wire.Record({"kind": "interrupt", "number": number}))
