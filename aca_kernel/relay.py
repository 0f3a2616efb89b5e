"""The local half of the relay: one generation of one environment.

Boots the agent, then makes the calls of exchanges (exchange.py says which).
Every call made here is idempotent, so that all of them are repeated until an answer
comes; only the environment's end (`EnvironmentGone`) stops that.

One exchange is pending at a time. What must not wait for it goes round it through the
shell tool: `interrupt` and `wake`. Whether the service really runs the two tools side by
side is not documented, so it is found out (`Exchange.window_seconds`).
"""

from __future__ import annotations

import asyncio
import base64
import json
import logging
import shlex
import time
import zlib
from collections import deque
from collections.abc import Callable
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
from .exchange import MOST_ANSWERS_WITHOUT_FRAME, Call, Exchange
from .remote import wire

if TYPE_CHECKING:
    from .environment import Environment, Tell
    from .mcp import ToolResult

REMOTE_FILES = ("__init__.py", "wire.py", "calls.py", "agent.py", "retirement.py", "spawn.py",
                "process.py", "launcher.py", "extension.py", "shell.py", "magic.py",
                "command_line.py", "files.py", "transfer.py", "session_ipython.py", "depot.py",
                "state.py", "origin.py", "large_json.py", "trimming.py",
                "beside/__init__.py", "beside/asked.py", "beside/copies.py", "beside/entries.py",
                "beside/fetching.py", "beside/hinting.py", "beside/hooks.py",
                "beside/importing.py", "beside/mirror.py", "beside/missing.py",
                "beside/receiving.py", "beside/session.py", "beside/words.py",
                "beside/writing.py")  # fmt: skip

_BOOT = (
    '(lambda p:(lambda g:(exec(p["loader"],g),print(g["load"](p)))and None)'
    '({"__name__":"_aca_loader"}))(__import__("json").loads(__import__("zlib").decompress('
    '__import__("base64").b64decode("%s"))))'
)

_INSTALL = '__import__("sys").modules["_aca_remote.agent"].install()'

# What an exchange takes beyond its window on a slow line, before its answer counts as lost.
EXCHANGE_GRACE_SECONDS = 30.0

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


class Relay:
    """One generation: from the agent's boot to the end of the environment."""

    def __init__(
        self, environment: Environment, config: dict[str, Any], tell: Tell, log: logging.Logger
    ) -> None:
        self.environment = environment
        self.exchange = Exchange(log)
        self._config = config
        self._tell = tell
        self._log = log
        self._wake_path = ""
        # Seconds that recent calls took in which nothing was waited for.
        self.round_trips: deque[float] = deque(maxlen=_ROUND_TRIPS_KEPT)
        # Told of each call that fails and is repeated.
        self.on_failure: Callable[[AcaKernelError], None] = lambda _: None
        self._is_to_stop = False
        self._stop_place: int | None = None

    # -- life --------------------------------------------------------------------

    async def boot(self) -> Greeting:
        """Put the agent into the session interpreter and let it start the remote kernel.

        Raises EnvironmentGone and the errors of Environment.persist.
        Raises RemoteProtocolError: the session interpreter cannot run the agent.
        """
        code = _BOOT % _boot_payload(self.exchange.nonce, self._config)
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
                if failures >= MOST_ANSWERS_WITHOUT_FRAME:
                    raise RemoteProtocolError(
                        "The session environment could not start the kernel in it. "
                        "Restart the kernel to try another environment.",
                        detail=_reason(result),
                    ) from error
                await asyncio.sleep(0.2 * failures)
        head = page.head
        self.exchange.remote_pid = int(head.get("pid") or 0)
        self._wake_path = str(head.get("wake", ""))
        return Greeting(
            missing=tuple(str(name) for name in head.get("missing", ())),
            python=str(head.get("python", "")),
            executable=str(head.get("executable", "")),
        )

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
                records = exchange.answered(result.stdout, time.monotonic(), reason=_reason(result))
                if records is not None:
                    return records
        finally:
            exchange.end()
            self._is_to_stop = False

    async def _make(self, call: Call) -> ToolResult:
        async def attempt() -> ToolResult:
            started = time.monotonic()
            try:
                result = await self.environment.run_python(
                    call.code, timeout_seconds=call.wait_seconds + EXCHANGE_GRACE_SECONDS
                )
            except (PoolBusy, PoolUnreachable, KeyPending) as error:
                self.on_failure(error)
                raise
            except ResultUnknown as error:
                self.on_failure(error)
                self.exchange.lost(call)
                # The lost exchange may still be pending over there, and the next one
                # would wait behind it.
                if call.wait_seconds:
                    await self._wake_quietly(call.number)
                raise
            if not call.wait_seconds and len(call.code) < _SHORT_CODE_CHARACTERS:
                self.round_trips.append(time.monotonic() - started)
            return result

        return await self.environment.persist(attempt, tell=self._tell, is_stopped=self._is_stopped)

    async def measure_round_trip(self) -> None:
        """Add the time of a call that does nothing; only while no exchange is pending.

        Raises as exchange.
        """
        await self._make(Call(0, "None", 0.0, 0))

    # -- round the exchange ------------------------------------------------------

    async def interrupt(self) -> None:
        """Send SIGINT to the remote kernel's process group, at once if the pool lets us.

        Where there is no usable shell tool the next exchange carries it.
        """
        pid = self.exchange.remote_pid
        try:
            if not pid:
                raise EnvironmentGone("There is no remote kernel to interrupt.")
            await self._aside(f"kill -INT -{pid}")
        except AcaKernelError as error:
            self._log.info("interrupt through the exchange: %s", error.reason)
            self.exchange.no_way_round()
            self.exchange.send(wire.Record({"kind": "interrupt"}))

    async def wake(self) -> None:
        """End the pending exchange now, so that what is queued gets its turn."""
        number = self.exchange.pending_number
        if number is not None:
            await self._wake_quietly(number)

    async def kill(self) -> None:
        """End the remote kernel and what it has started, if the pool answers at once."""
        if self.exchange.remote_pid:
            try:
                await self.environment.run_shell(
                    f"kill -TERM -{self.exchange.remote_pid}", timeout_seconds=1.0
                )
            except AcaKernelError as error:
                self._log.info("could not end the remote kernel: %s", error.reason)

    async def _wake_quietly(self, number: int) -> None:
        if not self._wake_path:
            return
        # Opened for both directions, a FIFO without a reader does not block the shell.
        path = shlex.quote(self._wake_path)
        try:
            await self._aside(f"test -p {path} && echo {number} 1<>{path}")
        except AcaKernelError as error:  # the window's end brings the same, later
            self._log.info("could not wake the agent: %s", error.reason)

    async def _aside(self, command: str) -> None:
        number, started = self.exchange.pending_number, time.monotonic()
        result = await self.environment.run_shell(command)
        if result.exit_code:
            raise ToolFailed("The shell tool could not do it.", detail=result.stderr[-500:])
        self.exchange.went_round(number, time.monotonic() - started)


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
