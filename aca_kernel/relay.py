"""The local half of the relay: one generation of one environment.

Boots the agent, then carries records both ways in exchanges (remote/wire.py says how).
Every call made here is idempotent, so that all of them are repeated until an answer
comes; only the environment's end (`EnvironmentGone`) stops that.

One exchange is pending at a time. What must not wait for it goes round it through the
shell tool: `interrupt` and `wake`. Whether the service really runs the two tools side by
side is not documented, so it is found out (`window_seconds`).
"""

from __future__ import annotations

import asyncio
import base64
import json
import logging
import secrets
import shlex
import time
import zlib
from collections import deque
from dataclasses import dataclass
from importlib import resources
from typing import TYPE_CHECKING, Any

from .errors import (
    AcaKernelError,
    EnvironmentGone,
    KeyPending,
    LocalProtocolError,
    PoolBusy,
    PoolUnreachable,
    RemoteProtocolError,
    ResultUnknown,
    ToolFailed,
)
from .remote import wire
from .remote.session_ipython import EXCHANGE_BEGIN

if TYPE_CHECKING:
    from .environment import Environment, Tell
    from .mcp import ToolResult

REMOTE_FILES = ("__init__.py", "wire.py", "calls.py", "agent.py", "retirement.py", "spawn.py",
                "process.py", "launcher.py", "extension.py", "shell.py", "magic.py",
                "command_line.py", "files.py", "transfer.py", "paging.py", "session_ipython.py",
                "depot.py", "state.py", "origin.py", "large_json.py", "trimming.py",
                "beside/__init__.py", "beside/asked.py", "beside/copies.py", "beside/entries.py",
                "beside/fetching.py", "beside/hinting.py", "beside/hooks.py",
                "beside/importing.py", "beside/mirror.py", "beside/missing.py",
                "beside/receiving.py", "beside/session.py", "beside/words.py",
                "beside/writing.py")  # fmt: skip

_NO_AGENT = "~aca1:none~"

# Evaluates to None, so that no tool shows it as a result. An environment without an
# agent says so itself instead of failing with an error that would have to be read.
_EXCHANGE = EXCHANGE_BEGIN + f'lambda _:print("{_NO_AGENT}"))("%s")'

_BOOT = (
    '(lambda p:(lambda g:(exec(p["loader"],g),print(g["load"](p)))and None)'
    '({"__name__":"_aca_loader"}))(__import__("json").loads(__import__("zlib").decompress('
    '__import__("base64").b64decode("%s"))))'
)

_INSTALL = '__import__("sys").modules["_aca_remote.agent"].install()'

# A page's size: the agent compresses, and memory on both sides stays a few times this.
LARGEST_PAGE_CHARACTERS = 16 * 1024 * 1024
SMALLEST_PAGE_CHARACTERS = 512
LARGEST_SENT_BYTES = 4 * 1024 * 1024
SMALLEST_SENT_BYTES = 16 * 1024

# How long the agent may hold an exchange open: until it is known whether the shell tool
# gets past it, when it does, and when it does not (an interrupt then waits for its end).
WINDOW_UNKNOWN_SECONDS = 2.0
WINDOW_CONCURRENT_SECONDS = 20.0
WINDOW_SERIALISED_SECONDS = 1.0

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

# Answers without a frame, one after the other, before the service counts as broken.
_MOST_ANSWERS_WITHOUT_FRAME = 5

# Of these many calls without a wait the time is kept, if they carried nothing of size.
_ROUND_TRIPS_KEPT = 20
_SHORT_CODE_CHARACTERS = 4096

_BOOT_TIMEOUT_SECONDS = 60.0
_INSTALL_TIMEOUT_SECONDS = 220.0


@dataclass(frozen=True)
class Greeting:
    """What the agent found in its environment.

    missing: modules that the remote kernel needs and that are not installed.
    python: version of the session interpreter, e.g. "3.11.7". executable: its path.
    """

    missing: tuple[str, ...]
    python: str
    executable: str
    wake_path: str


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
        self._pending_number: int | None = None
        self._tools_overlap: bool | None = None
        self._greeting: Greeting | None = None
        self._remote_pid = 0
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

        Raises EnvironmentGone and the errors of Environment.persist.
        Raises RemoteProtocolError: the session interpreter cannot run the agent.
        """
        code = _BOOT % _boot_payload(self.nonce, self._config)
        return await self._greet(code, _BOOT_TIMEOUT_SECONDS)

    async def install(self) -> Greeting:
        """Install what the greeting says is missing; return the greeting after that.

        Raises as boot.
        """
        return await self._greet(_INSTALL, _INSTALL_TIMEOUT_SECONDS)

    async def _greet(self, code: str, timeout_seconds: float) -> Greeting:
        failures = 0
        while True:
            result = await self.environment.persist(
                lambda: self.environment.run_python(code, timeout_seconds=timeout_seconds),
                tell=self._tell,
            )
            try:
                _, page = wire.decode_frame(result.stdout)
                break
            except (wire.FrameMissing, wire.FrameCut, wire.FrameInvalid) as error:
                failures += 1
                if failures >= _MOST_ANSWERS_WITHOUT_FRAME:
                    raise RemoteProtocolError(
                        "The session environment could not start the kernel in it. "
                        "Restart the kernel to try another environment.",
                        detail=_reason(result),
                    ) from error
                await asyncio.sleep(0.2 * failures)
        head = page.head
        self._remote_pid = int(head.get("pid") or 0)
        self._greeting = Greeting(
            missing=tuple(str(name) for name in head.get("missing", ())),
            python=str(head.get("python", "")),
            executable=str(head.get("executable", "")),
            wake_path=str(head.get("wake", "")),
        )
        return self._greeting

    @property
    def window_seconds(self) -> float:
        """How long an exchange may be held open without making an interrupt wait."""
        if self._tools_overlap is None:
            return WINDOW_UNKNOWN_SECONDS
        return WINDOW_CONCURRENT_SECONDS if self._tools_overlap else WINDOW_SERIALISED_SECONDS

    @property
    def is_overlap_known(self) -> bool:
        """Whether it has been found out that the shell tool gets past an exchange, or not."""
        return self._tools_overlap is not None

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
        self._is_to_stop = self._pending_number is not None
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
        self._pending_number = self._number
        self.is_held = wait_seconds > 0
        started = time.monotonic()
        try:
            records = await self._exchange(wait_seconds)
        finally:
            self._pending_number = None
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
                if without_frame >= _MOST_ANSWERS_WITHOUT_FRAME:
                    raise RemoteProtocolError(
                        "The session environment does not answer as it should. "
                        "Restart the kernel to get another one.",
                        detail=_reason(result),
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
                    await self._wake_quietly(self._number)
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
        self._remote_pid = int(head["pid"])
        if head["woken"]:
            self._tools_overlap = True
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
        pid = self._remote_pid
        try:
            if not pid:
                raise EnvironmentGone("There is no remote kernel to interrupt.")
            await self._aside(f"kill -INT -{pid}")
        except AcaKernelError as error:
            self._log.info("interrupt through the exchange: %s", error.reason)
            # From now on exchanges are short, so that the next one does not wait long.
            self._tools_overlap = False
            self.send(wire.Record({"kind": "interrupt"}))

    async def wake(self) -> None:
        """End the pending exchange now, so that what is queued gets its turn."""
        if self._pending_number is not None:
            await self._wake_quietly(self._pending_number)

    async def kill(self) -> None:
        """End the remote kernel and what it has started, if the pool answers at once."""
        if self._remote_pid:
            try:
                await self.environment.run_shell(
                    f"kill -TERM -{self._remote_pid}", timeout_seconds=1.0
                )
            except AcaKernelError as error:
                self._log.info("could not end the remote kernel: %s", error.reason)

    async def _wake_quietly(self, number: int) -> None:
        if self._greeting is None:
            return
        # Opened for both directions, a FIFO without a reader does not block the shell.
        path = shlex.quote(self._greeting.wake_path)
        try:
            await self._aside(f"test -p {path} && echo {number} 1<>{path}")
        except AcaKernelError as error:  # the window's end brings the same, later
            self._log.info("could not wake the agent: %s", error.reason)

    async def _aside(self, command: str) -> None:
        number, started = self._pending_number, time.monotonic()
        result = await self.environment.run_shell(command)
        if result.exit_code:
            raise ToolFailed("The shell tool could not do it.", detail=result.stderr[-500:])
        seconds = time.monotonic() - started
        if number is None or self._tools_overlap is not None:
            return
        if self._pending_number == number:
            self._tools_overlap = True
        elif seconds > WINDOW_UNKNOWN_SECONDS / 2:
            self._tools_overlap = False


def _boot_payload(nonce: str, config: dict[str, Any]) -> str:
    folder = resources.files("aca_kernel.remote")
    payload = {
        "loader": folder.joinpath("loader.py").read_text(encoding="utf-8"),
        "files": {name: folder.joinpath(name).read_text(encoding="utf-8") for name in REMOTE_FILES},
        "nonce": nonce,
        "config": config,
    }
    # Of a start, each millisecond counts; more would take ten for a tenth of the size.
    packed = zlib.compress(json.dumps(payload).encode("ascii"), 3)
    return base64.b64encode(packed).decode("ascii")


def _reason(result: ToolResult) -> str:
    """Return what a failed call says, for the log; it ran our code, not the user's."""
    return (result.error_text or result.stderr)[-500:]
