"""Jobs of one kernel: launches, exchanges, host calls and cells in plain mode, one at a time.

Each job ends in an event, also one that fails. What must not wait for its end (an interrupt, a
wake, a restore) goes beside it; see driver.py.
"""

from __future__ import annotations

import asyncio
import logging
import time
from typing import Any, TypeVar

from ..environment.environment import Environment
from ..environment.launch import Launcher
from ..environment.relay import Relay
from ..errors import AcaKernelError, EnvironmentGone
from ..host.call import Call, Concerned, Later
from ..host.calls import Calls
from ..messaging.inbox import Inbox
from . import commands as do
from . import events as on
from .plain_mode import CELL_TIMEOUT_SECONDS
from .tasks import Tasks

T = TypeVar("T")

# What a cell has asked for, and needs no environment to go on, is waited for so long.
_LONGEST_BESIDE_SECONDS = 0.25


class Jobs:
    """Does the jobs of one kernel. relay: of the present environment, None in plain mode too.

    kernel: its backend, checkpoints and schedule.
    """

    def __init__(
        self,
        kernel: Concerned,
        launcher: Launcher,
        calls: Calls,
        tasks: Tasks,
        inbox: Inbox[on.Event],
        log: logging.Logger,
    ) -> None:
        self.relay: Relay | None = None
        self._kernel = kernel
        self._launcher = launcher
        self._calls = calls
        self._tasks = tasks
        self._inbox = inbox
        self._log = log
        self._wanted: asyncio.Queue[do.Job] = asyncio.Queue()
        self._environment: Environment | None = None
        # The one that was forgotten last.
        self._left: Relay | None = None
        self._left_id = ""
        # What of the present job may be given up.
        self._waiting_for: asyncio.Future[Any] | None = None
        # What is looked for to go along with the next exchange.
        self._looking: asyncio.Task[None] | None = None

    def put(self, job: do.Job) -> None:
        """Have a job done; there is one at a time."""
        self._wanted.put_nowait(job)

    async def run(self) -> None:
        """Do jobs until cancelled."""
        while True:
            job = await self._wanted.get()
            try:
                event = await self._do(job)
            except Exception:  # noqa: BLE001 - it is logged, and every request ends
                self._log.exception("%s failed", type(job).__name__)
                event = on.DriverFailed(time.monotonic(), "go on", is_fatal=True, ends_turn=True)
            self._inbox.put_nowait(event)

    async def _do(self, job: do.Job) -> on.Event:
        match job:
            case do.DoExchange():
                return await self._exchange()
            case do.CallHost():
                return await self._call_host(job)
            case do.Launch():
                return await self._launch()
            case do.Leave():
                return await self._leave(job)
            case do.RunCode():
                return await self._run_code(job.code)

    # -- what goes round the jobs ----------------------------------------------------

    def prepare_launch(self) -> None:
        """Have an id for the next environment, which takes no place."""
        if not self._kernel.backend.is_embedded:
            self._launcher.prepare_id()

    def look_ahead(self, commands: tuple[str, ...]) -> None:
        """Find out what is to go along with the next exchange (host/notebook_files/sending.py)."""
        if self._looking is not None:
            self._looking.cancel()
        if self.relay is not None:
            looking = self._look_ahead(self.relay, commands)
            self._looking = self._tasks.start(looking, "look at the files that a command names")

    async def _look_ahead(self, relay: Relay, commands: tuple[str, ...]) -> None:
        record = await self._calls.facts_ahead(commands)
        if record is not None:
            relay.exchange.send(record)

    def give_up(self) -> None:
        """Wait no longer for a launch, or for the text of a cell."""
        if self._waiting_for is not None:
            self._waiting_for.cancel()
        elif not self._wanted.empty():
            # It has not begun.
            is_launch = isinstance(self._wanted.get_nowait(), do.Launch)
            self._inbox.put_nowait(_launch_interrupted() if is_launch else _code_stopped())

    def forget(self) -> None:
        """The environment has ended, or is given up: no kernel is to have it."""
        if self.relay is not None:
            self.relay.close()
        if self._environment is not None:
            self._environment.release(keep=False)
            self._left_id = self._environment.environment_id
        self._left, self.relay, self._environment = self.relay, None, None
        self._kernel.schedule.end()
        self._kernel.checkpoints.forget_environment()

    async def close(self, *, for_restart: bool) -> None:
        """End the remote kernel, if that can be done at once, and release its environment."""
        if self._waiting_for is not None:
            self._waiting_for.cancel()
        self._launcher.close()
        if self.relay is not None:
            self.relay.close()
        await self._kill(self.relay)
        if self._environment is not None:
            self._environment.release(keep=True, for_restart=for_restart)

    async def _kill(self, relay: Relay | None) -> None:
        if relay is not None and not self._kernel.backend.is_embedded:
            await relay.side.kill()

    # -- jobs ------------------------------------------------------------------------

    async def _exchange(self) -> on.Event:
        relay = self._present()
        await self._kernel.checkpoints.await_question(_LONGEST_BESIDE_SECONDS)
        await self._await_facts()
        generation = relay.exchange.nonce
        try:
            records = await relay.do_exchange()
        except AcaKernelError as error:
            return on.ExchangeFailed(time.monotonic(), generation, error)
        return on.Exchanged(time.monotonic(), generation, records)

    async def _await_facts(self) -> None:
        """Wait for what is to go along; from a slow disk, the environment asks for it."""
        looking, self._looking = self._looking, None
        if looking is not None:
            await asyncio.wait([looking], timeout=_LONGEST_BESIDE_SECONDS)
            looking.cancel()

    def _present(self) -> Relay:
        if self.relay is None:
            raise EnvironmentGone("The session environment has ended.")
        return self.relay

    async def _call_host(self, job: do.CallHost) -> on.Event:
        relay = self._present()
        generation, answers, size = relay.exchange.nonce, [], 0
        for record in job.calls:
            try:
                answer = await self._calls.answer(Call(record.head, record.parts, relay, size))
            except EnvironmentGone as error:
                return on.LossFound(time.monotonic(), generation, error)
            if isinstance(answer, Later):
                self._tasks.start(self._answer_later(answer, generation), "answer the environment")
            elif answer is not None:
                answers.append(answer)
                size += sum(map(len, answer.parts))
        return on.HostAnswered(
            time.monotonic(),
            generation,
            tuple(answers),
            restart=self._calls.take_restart(),
            may_continue=self._calls.has_sent_file(),
        )

    async def _answer_later(self, later: Later, generation: str) -> None:
        answer = await self._calls.finish(later)
        if answer is not None:
            now = time.monotonic()
            self._inbox.put_nowait(on.HostAnswered(now, generation, (answer,), is_late=True))

    async def _unless_given_up(self, work: asyncio.Future[T]) -> T | None:
        """Return what comes of it, None if it is given up."""
        self._waiting_for = work
        try:
            await asyncio.wait([work])
        finally:
            self._waiting_for = None
            work.cancel()
        return None if work.cancelled() else work.result()

    async def _launch(self) -> on.Event:
        try:
            launched = await self._unless_given_up(self._launcher.launch())
        except AcaKernelError as error:
            return on.LaunchFailed(time.monotonic(), error)
        if launched is None:
            return _launch_interrupted()
        self._environment, self.relay = launched.environment, launched.relay
        if launched.relay is None:
            return on.EnvironmentReady(time.monotonic(), None, launched.notices)
        self._kernel.schedule.begin(launched.environment)
        self._kernel.checkpoints.begin_environment(launched.relay.near_files)
        return on.EnvironmentReady(
            time.monotonic(), launched.relay.exchange, launched.notices, launched.is_taken_over
        )

    async def _leave(self, job: do.Leave) -> on.Event:
        await self._kill(self._left)
        await self._kernel.backend.discard_environment(self._left_id)
        if job.keeps_state:
            self._kernel.checkpoints.cells_since = 0
        else:
            await self._kernel.checkpoints.clear()
        return on.Left(time.monotonic())

    async def _run_code(self, code: str) -> on.Event:
        if self._environment is None:
            raise EnvironmentGone("The session environment has ended.")
        running = self._environment.run_python(code, timeout_seconds=CELL_TIMEOUT_SECONDS)
        try:
            result = await self._unless_given_up(asyncio.ensure_future(running))
        except AcaKernelError as error:
            return on.CodeFailed(time.monotonic(), error)
        return _code_stopped() if result is None else on.CodeRan(time.monotonic(), result)


def _launch_interrupted() -> on.Event:
    return on.LaunchInterrupted(time.monotonic())


def _code_stopped() -> on.Event:
    return on.CodeFailed(time.monotonic(), None)
