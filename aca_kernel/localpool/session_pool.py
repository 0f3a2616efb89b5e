"""The pool: which environments there are, how many may live, and when they end.

Launching makes an id and nothing else. The first command takes a session, a prewarmed
one if there is one, and with it one of `max_concurrent_sessions` slots, which it keeps
until it has cooled down. The cooldown clock starts anew when a call starts and when it
ends, and stands still between the two.

All methods belong to one event loop. Source of the rules: the service's pages on
session pools; see also the tutorial's note on lazy allocation.
"""

from __future__ import annotations

import asyncio
import logging
import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeVar

from ..errors import EnvironmentGone, PoolBusy
from .session import PythonOutcome, Session, SessionEnded, ShellOutcome

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine

    from .directories import PoolDirectory
    from .options import PoolOptions
    from .sandbox import Sandbox, SandboxLauncher

# Prewarmed sessions are replaced when the pool has been left alone for a moment, so
# that starting one does not slow the call that took it.
_REPLENISH_AFTER_SECONDS = 2.0


_log = logging.getLogger(__name__)
_Outcome = TypeVar("_Outcome")


@dataclass
class _Environment:
    id: str
    session: Session | None = None
    running_calls: int = 0
    timer: asyncio.TimerHandle | None = None
    # Held by each call in turn where the two tools are serialised.
    turn: asyncio.Lock = field(default_factory=asyncio.Lock)


@dataclass
class PoolCounters:
    """What happened since the start; `live` and `ready` are of this moment."""

    launched: int = 0
    allocated: int = 0
    destroyed: int = 0
    live: int = 0
    ready: int = 0


class Pool:
    """See the module. `first`: a sandbox that was started before the loop was there."""

    def __init__(
        self,
        options: PoolOptions,
        directory: PoolDirectory,
        launcher: SandboxLauncher,
        first: Sandbox | None = None,
    ) -> None:
        self.options = options
        self._directory = directory
        self._launcher = launcher
        self._loop = asyncio.get_running_loop()
        self._environments: dict[str, _Environment] = {}
        self._ready: list[Session] = []
        self._ending: set[asyncio.Task[None]] = set()
        self._replenish_timer: asyncio.TimerHandle | None = None
        self._is_closed = False
        self._counters = PoolCounters()
        if first is not None:
            self._ready.append(self._attach(first))
        self._replenish()

    def launch(self) -> str:
        """Return a new environment id. Nothing is allocated yet."""
        environment = self._add(_new_id())
        self._counters.launched += 1
        return environment.id

    async def run_python(self, environment_id: str, source: str) -> PythonOutcome:
        """Run source in the environment's interpreter.

        Raises EnvironmentGone: no such environment, or it ended under the call.
        Raises PoolBusy: it needs a session and the pool is full; nothing ran.
        """
        return await self._run(
            environment_id,
            lambda session: session.run_python(source, self.options.call_timeout_seconds),
        )

    async def run_shell(self, environment_id: str, argv: list[str]) -> ShellOutcome:
        """Run a command in the environment's sandbox; raises as `run_python`."""
        return await self._run(
            environment_id,
            lambda session: session.run_shell(argv, self.options.call_timeout_seconds),
        )

    async def expire(self, environment_id: str) -> bool:
        """End an environment as if it had cooled down; False if there is none."""
        environment = self._environments.pop(environment_id, None)
        if environment is None:
            return False
        await self._end(environment)
        return True

    async def expire_all(self) -> None:
        """End every environment as if it had cooled down."""
        await asyncio.gather(*(self.expire(one) for one in list(self._environments)))

    def counters(self) -> PoolCounters:
        """Return a copy of the counters."""
        self._counters.live = self._live()
        self._counters.ready = len(self._ready)
        return PoolCounters(**vars(self._counters))

    async def reconfigure(
        self, options: PoolOptions, launcher: SandboxLauncher | None = None
    ) -> None:
        """Let other limits apply from the next call on, and start sessions by `launcher`."""
        self.options = options
        if launcher is not None:
            self._launcher = launcher
            stale, self._ready = self._ready, []
            await asyncio.gather(*(session.close() for session in stale))
        self._replenish()

    async def close(self) -> None:
        """End all sessions."""
        self._is_closed = True
        if self._replenish_timer is not None:
            self._replenish_timer.cancel()
        environments = list(self._environments.values())
        self._environments.clear()
        closing = [self._end(environment) for environment in environments]
        closing += [session.close() for session in self._ready]
        self._ready.clear()
        await asyncio.gather(*closing, *self._ending)

    async def _run(
        self, environment_id: str, call: Callable[[Session], Awaitable[_Outcome]]
    ) -> _Outcome:
        environment = self._find(environment_id)
        self._start_clock(environment)  # also for a call that the full pool refuses
        session = environment.session or self._allocate(environment)
        self._stop_clock(environment)
        environment.running_calls += 1
        try:
            if self.options.quirks.serialise_tools:
                async with environment.turn:
                    return await call(session)
            return await call(session)
        except SessionEnded as error:
            raise EnvironmentGone(
                f"Environment '{environment_id}' does not exist or has expired: "
                "it ended while the call was running. Launch a new one."
            ) from error
        finally:
            environment.running_calls -= 1
            if not environment.running_calls and self._is_current(environment):
                self._start_clock(environment)

    def _find(self, environment_id: str) -> _Environment:
        environment = self._environments.get(environment_id)
        if environment is not None:
            return environment
        if self.options.quirks.silent_replacement:
            return self._add(environment_id)
        raise EnvironmentGone(
            f"Environment '{environment_id}' does not exist or has expired. Launch a new one."
        )

    def _is_current(self, environment: _Environment) -> bool:
        return self._environments.get(environment.id) is environment

    def _add(self, environment_id: str) -> _Environment:
        environment = self._environments[environment_id] = _Environment(environment_id)
        self._start_clock(environment)
        return environment

    def _live(self) -> int:
        holding = sum(1 for item in self._environments.values() if item.session is not None)
        return holding + len(self._ending)

    def _allocate(self, environment: _Environment) -> Session:
        if self._live() >= self.options.max_concurrent_sessions:
            raise PoolBusy(
                f"All {self.options.max_concurrent_sessions} sessions of the pool are in use. "
                "Try again when one has cooled down.",
                retry_after_seconds=self.options.retry_after_seconds,
            )
        session = self._ready.pop(0) if self._ready else self._start()
        environment.session = session
        self._counters.allocated += 1
        self._replenish_later()
        return session

    def _start(self) -> Session:
        return self._attach(self._launcher.start(self._directory.new_session()))

    def _attach(self, sandbox: Sandbox) -> Session:
        session = Session(
            sandbox, self.options.max_output_bytes, lambda: self._session_ended(session)
        )
        return session

    def _session_ended(self, session: Session) -> None:
        """Forget a session whose sandbox ended by itself, and clean up after it."""
        if session in self._ready:
            self._ready.remove(session)
            self._finish(session.close())
        for environment in list(self._environments.values()):
            if environment.session is session:
                self._expire_now(environment)

    def _start_clock(self, environment: _Environment) -> None:
        self._stop_clock(environment)
        environment.timer = self._loop.call_later(
            self.options.cooldown_seconds, self._expire_now, environment
        )

    def _stop_clock(self, environment: _Environment) -> None:
        if environment.timer is not None:
            environment.timer.cancel()
            environment.timer = None

    def _expire_now(self, environment: _Environment) -> None:
        if self._is_current(environment):
            del self._environments[environment.id]
            if environment.session is not None:
                self._finish(self._end(environment))

    def _finish(self, work: Coroutine[None, None, None]) -> None:
        # A session that is being removed still holds its slot.
        task = self._loop.create_task(work)
        self._ending.add(task)
        task.add_done_callback(self._ending.discard)

    async def _end(self, environment: _Environment) -> None:
        self._stop_clock(environment)
        if environment.session is not None:
            await environment.session.close()
            self._counters.destroyed += 1

    def _replenish_later(self) -> None:
        if self.options.ready_sessions and self.options.replenish:
            if self._replenish_timer is not None:
                self._replenish_timer.cancel()
            self._replenish_timer = self._loop.call_later(_REPLENISH_AFTER_SECONDS, self._replenish)

    def _replenish(self) -> None:
        try:
            while len(self._ready) < self.options.ready_sessions and not self._is_closed:
                self._ready.append(self._start())
        except OSError:
            _log.warning("A ready session could not be started", exc_info=True)


def _new_id() -> str:
    # A random UUID, version 4, without importing uuid.
    data = bytearray(os.urandom(16))
    data[6] = data[6] & 0x0F | 0x40
    data[8] = data[8] & 0x3F | 0x80
    text = data.hex()
    return "-".join((text[:8], text[8:12], text[12:16], text[16:20], text[20:]))
