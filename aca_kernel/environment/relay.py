"""The local half of the relay: one generation of one environment.

Carries records both ways in exchanges (remote/wire.py says how), once the agent is booted
(boot.py). Every call made here is idempotent, so that all of them are repeated until an answer
comes; only the environment's end (`EnvironmentGone`) stops that.

One exchange is pending at a time. What must not wait for it goes round it (side_channel.py).
"""

from __future__ import annotations

import asyncio
import logging
import secrets
import time
from collections import deque
from typing import TYPE_CHECKING, Any

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
from ..remote import wire
from ..remote.session_ipython import EXCHANGE_BEGIN
from .boot import MOST_ANSWERS_WITHOUT_FRAME, Greeting, boot, install, reason_of
from .side_channel import SideChannel

if TYPE_CHECKING:
    from ..pool.mcp_client import ToolResult
    from .environment import Environment
    from .retry import Tell

_NO_AGENT = "~aca1:none~"

# Evaluates to None, so that no tool shows it as a result. An environment without an
# agent says so itself instead of failing with an error that would have to be read.
_EXCHANGE = EXCHANGE_BEGIN + f'lambda _:print("{_NO_AGENT}"))("%s")'

# A page's size: the agent compresses, and memory on both sides stays a few times this.
LARGEST_PAGE_CHARACTERS = 16 * 1024 * 1024
SMALLEST_PAGE_CHARACTERS = 512
LARGEST_SENT_BYTES = 4 * 1024 * 1024
SMALLEST_SENT_BYTES = 16 * 1024

# What an exchange takes beyond its window on a slow line, before its answer counts as lost.
EXCHANGE_GRACE_SECONDS = 30.0

# Output is collected for this long before it is sent: seldom output nearly at once, and
# output that follows on the heels of the last in ever larger pieces.
SETTLE_FIRST_SECONDS = 0.015
SETTLE_STEADY_SECONDS = 0.1
_HEELS_SECONDS = 0.03

# An exchange that lasts so much longer than it was to wait has been held up, and output has
# piled up on the other side.
_STALL_SECONDS = 2.0

# Of these many calls without a wait the time is kept, if they carried nothing of size.
_ROUND_TRIPS_KEPT = 20
_SHORT_CODE_CHARACTERS = 4096


class Relay:
    """One generation: from the agent's boot to the end of the environment."""

    def __init__(
        self, environment: Environment, config: dict[str, Any], tell: Tell, log: logging.Logger
    ) -> None:
        self.environment = environment
        self.nonce = secrets.token_hex(6)
        self._config = config
        self._tell = tell
        self._log = log
        self._outgoing = wire.SendLog()
        self._incoming = wire.ReceiveLog()
        self._number = 0
        self._acknowledged = 0
        self._risked = 0
        # Messages that end there or before are dropped by the agent if they are new to it.
        self._void = 0
        self._page_characters = LARGEST_PAGE_CHARACTERS
        self._sent_bytes = LARGEST_SENT_BYTES
        self._settle_seconds = SETTLE_FIRST_SECONDS
        self._side = SideChannel(environment, log)
        # Seconds that recent calls took in which nothing was waited for.
        self.round_trips: deque[float] = deque(maxlen=_ROUND_TRIPS_KEPT)
        # Whether an exchange is pending that the agent may hold open.
        self.is_held = False
        # What the last answer said: more of the log waits to be fetched; something may
        # print though no request is unfinished.
        self.has_more = False
        self.has_background = False
        # Whether what comes now has piled up while nothing could be fetched.
        self.is_catching_up = False
        # Why the pool does not do what is asked of it at present.
        self.trouble: AcaKernelError | None = None
        self._is_to_stop = False
        self._stop_place: int | None = None

    # -- life --------------------------------------------------------------------

    async def boot(self) -> Greeting:
        """Put the agent into the session interpreter and let it start the remote kernel.

        Raises as boot.boot.
        """
        greeting = await boot(self.environment, self.nonce, self._config, self._tell)
        self._side.greeted(greeting)
        return greeting

    async def install(self) -> Greeting:
        """Install what the greeting says is missing; return the greeting after that.

        Raises as boot.boot.
        """
        greeting = await install(self.environment, self._tell)
        self._side.greeted(greeting)
        return greeting

    @property
    def window_seconds(self) -> float:
        """See SideChannel."""
        return self._side.window_seconds

    @property
    def is_overlap_known(self) -> bool:
        """See SideChannel."""
        return self._side.is_overlap_known

    # -- records -----------------------------------------------------------------

    def send(self, record: wire.Record) -> int:
        """Queue a record for the next exchange; return its place for `is_safe_to_repeat`."""
        self._settle_seconds = SETTLE_FIRST_SECONDS
        return self._outgoing.append(record)

    @property
    def waiting_bytes(self) -> int:
        """How much is queued that has not reached the agent, as far as we know."""
        return self._outgoing.end - self._acknowledged

    def is_safe_to_repeat(self, place: int) -> bool:
        """Tell whether what was queued at this place has certainly not reached the agent."""
        return place > max(self._acknowledged, self._risked)

    def withdraw(self) -> None:
        """Take back the messages that are queued: what they wanted was reported as failed.

        Those of which it is not known are sent again, since their bytes may have arrived in
        part; the agent drops what it has not seen before.
        """
        self._outgoing.withdraw(max(self._acknowledged, self._risked))
        self._void = self._outgoing.end

    def stop_waiting(self, place: int | None) -> None:
        """Let the pending exchange end with WaitInterrupted when it would have to be repeated.

        place: what must not have reached the agent then; None: it has not been sent at all.
        """
        self._is_to_stop = self._side.pending_number is not None
        self._stop_place = place

    def _is_stopped(self) -> bool:
        place = self._stop_place
        return self._is_to_stop and (place is None or self.is_safe_to_repeat(place))

    async def exchange(self, wait_seconds: float) -> list[wire.Record]:
        """Deliver what is queued and return what the agent has to say.

        wait_seconds: how long the agent may wait for something to say while requests
        are unfinished; 0 to look only.
        Raises EnvironmentGone: the environment, or the agent in it, is not there.
        Raises WaitInterrupted: see stop_waiting.
        Raises the errors of Environment.persist, when its time is over.
        """
        self._number += 1
        self._side.pending_number = self._number
        self.is_held = wait_seconds > 0
        started = time.monotonic()
        try:
            records = await self._exchange(wait_seconds)
        finally:
            self._side.pending_number = None
            self.is_held = False
            self._is_to_stop = False
        seconds = time.monotonic() - started
        if seconds > wait_seconds + _STALL_SECONDS:
            self.is_catching_up = True
        is_steady = seconds < self._settle_seconds + _HEELS_SECONDS
        if records and is_steady:
            self._settle_seconds = min(2 * self._settle_seconds, SETTLE_STEADY_SECONDS)
        else:
            self._settle_seconds = SETTLE_FIRST_SECONDS
        return records

    async def _exchange(self, wait_seconds: float) -> list[wire.Record]:
        records: list[wire.Record] = []
        without_frame = 0
        while True:
            start = self._acknowledged
            data = self._outgoing.slice(start, self._sent_bytes)
            is_last = start + len(data) == self._outgoing.end
            seconds = wait_seconds if is_last and not records else 0.0
            head = {
                "n": self._number,
                "got": self._incoming.received,
                "off": start,
                "void": self._void,
                "wait": seconds,
                "settle": self._settle_seconds,
                "limit": self._page_characters,
            }
            code = _EXCHANGE % wire.encode_frame(self.nonce, wire.Page(head, data))
            try:
                result = await self._call(code, seconds, start + len(data))
                page = self._page_of(result)
            except wire.FrameCut as cut:
                self._shrink_page(cut.received)
                wait_seconds = 0.0
                continue
            except wire.FrameMissing:
                # Seen once from a real ipykernel: the call after an interrupted one comes
                # back empty. Nothing ran, and asking again is safe.
                without_frame += 1
                if without_frame >= MOST_ANSWERS_WITHOUT_FRAME:
                    raise RemoteProtocolError(
                        "The session environment does not answer as it should. "
                        "Restart the kernel to get another one.",
                        detail=reason_of(result),
                    ) from None
                await asyncio.sleep(0.05 * without_frame)
                continue
            except LocalProtocolError:
                # Too large for the service, most likely: try smaller pieces.
                if self._sent_bytes <= SMALLEST_SENT_BYTES:
                    raise
                self._sent_bytes //= 4
                continue
            records.extend(self._take(page))
            if is_last or records:
                return records

    async def _call(self, code: str, wait_seconds: float, end: int) -> ToolResult:
        async def attempt() -> ToolResult:
            started = time.monotonic()
            try:
                result = await self.environment.run_python(
                    code, timeout_seconds=wait_seconds + EXCHANGE_GRACE_SECONDS
                )
            except (PoolBusy, PoolUnreachable, KeyPending) as error:
                self.trouble = error
                raise
            except ResultUnknown as error:
                self.trouble = error
                self._risked = max(self._risked, end)
                # The lost exchange may still be pending over there, and the next one
                # would wait behind it.
                if wait_seconds:
                    await self._side.wake_from(self._number)
                raise
            self.trouble = None
            if not wait_seconds and len(code) < _SHORT_CODE_CHARACTERS:
                self.round_trips.append(time.monotonic() - started)
            return result

        return await self.environment.persist(attempt, tell=self._tell, is_stopped=self._is_stopped)

    async def measure_round_trip(self) -> None:
        """Add the time of a call that does nothing; only while no exchange is pending.

        Raises as exchange.
        """
        await self._call("None", 0.0, self._acknowledged)

    def _page_of(self, result: ToolResult) -> wire.Page:
        try:
            nonce, page = wire.decode_frame(result.stdout)
        except (wire.FrameMissing, wire.FrameCut):
            if _NO_AGENT in result.stdout:
                raise EnvironmentGone(
                    "The session environment was replaced by an empty one."
                ) from None
            raise
        except wire.FrameInvalid as error:
            raise wire.FrameCut(len(result.stdout)) from error
        if nonce != self.nonce:
            raise EnvironmentGone("The session environment was replaced by another one.")
        return page

    def _take(self, page: wire.Page) -> list[wire.Record]:
        head = page.head
        self._acknowledged = max(self._acknowledged, int(head["got"]))
        self._outgoing.acknowledge(self._acknowledged)
        try:
            records = self._incoming.feed(int(head["off"]), page.data)
        except ValueError as error:
            raise RemoteProtocolError(
                "The session environment's answer does not fit the one before. Restart the kernel.",
                detail=str(error),
            ) from error
        self.has_more = int(head["end"]) > self._incoming.received
        self.has_background = bool(head["background"])
        self._side.remote_pid = int(head["pid"])
        if head["woken"]:
            self._side.tools_overlap = True
        return records

    def _shrink_page(self, received: int) -> None:
        """Ask for less from now on: an answer came cut after so many characters."""
        if self._page_characters <= SMALLEST_PAGE_CHARACTERS:
            raise RemoteProtocolError(
                "The session pool cuts answers so short that nothing can be read from them."
            )
        fits = received - wire.FRAME_OVERHEAD if received < self._page_characters else 0
        self._page_characters = max(
            SMALLEST_PAGE_CHARACTERS, min(self._page_characters // 2, fits or self._page_characters)
        )
        self._log.info("answers arrive cut; asking for %s characters", self._page_characters)

    # -- round the exchange ------------------------------------------------------

    async def interrupt(self) -> None:
        """Send SIGINT to the remote kernel's process group, at once if the pool lets us.

        Where there is no usable shell tool the next exchange carries it.
        """
        if not await self._side.interrupt():
            self.send(wire.Record({"kind": "interrupt"}))

    async def wake(self) -> None:
        """End the pending exchange now, so that what is queued gets its turn."""
        await self._side.wake()

    async def kill(self) -> None:
        """End the remote kernel and what it has started, if the pool answers at once."""
        await self._side.kill()
