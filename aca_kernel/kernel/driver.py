"""Carries out what the core wants: sockets, calls to the pool, timers, tasks.

The core (core.py) decides; this does, and tells it what came of it. What the core has done in turn
is done by one task, the lane; a few things go beside it, each in a task of its own that
`_start` looks after: none fails unseen. Launcher, host calls and checkpoint engine are
coroutines that run here, and their results are events like all others.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Coroutine
from typing import TYPE_CHECKING, Any

from ..checkpoint.carrier import Carrier
from ..checkpoint.checkpoints import Checkpoints
from ..checkpoint.schedule import Schedule
from ..checkpoint.store import Store
from ..errors import AcaKernelError, CheckpointFailed, EnvironmentGone
from ..host.call import Call
from ..host.calls import Calls
from ..messaging.outgoing import Forward, ForwardReply, Publish, Reply
from .commands import (
    CallHost,
    CancelLaunch,
    CancelRestore,
    CellEnded,
    Command,
    Deliver,
    DoExchange,
    Exit,
    FailCarried,
    Forget,
    Interrupt,
    Launch,
    Leave,
    LoseVariables,
    Restore,
    RunCode,
    SendAlong,
    StopCode,
    StopWaiting,
    WaitUntil,
    Wake,
)
from .core import Core, CoreOptions
from .events import (
    CallRepeated,
    CarryAsked,
    CodeFailed,
    CodeRan,
    DriverFailed,
    EnvironmentReady,
    Event,
    Exchanged,
    ExchangeFailed,
    HostAnswered,
    InterruptAsked,
    Interrupted,
    LaunchFailed,
    LaunchInterrupted,
    Left,
    LossFound,
    Noticed,
    Poked,
    PoolWaits,
    Received,
    Restored,
    RestoreFailed,
    TimeCame,
)
from .plain_mode import CELL_TIMEOUT_SECONDS

if TYPE_CHECKING:
    from jupyter_client.session import Session

    from ..environment.environment import Environment
    from ..environment.launch import Launched, Launcher
    from ..environment.relay import Relay
    from ..messaging.channels import Channels
    from ..pool.backend import Backend
    from ..pool.mcp_client import ToolResult
    from ..remote.wire import Record
    from ..settings import AcaKernel

# What the lane does, one at a time.
_Job = DoExchange | CallHost | Launch | Leave | RunCode


class Driver:
    """One kernel: its front ends on one side, its environments on the other."""

    def __init__(
        self,
        channels: Channels,
        session: Session,
        backend: Backend,
        settings: AcaKernel,
        launcher: Launcher,
        log: logging.Logger,
    ) -> None:
        self._channels = channels
        self._session = session
        self._backend = backend
        self._launcher = launcher
        self._log = log
        config = launcher.config
        self._carrier = Carrier(config["session"], config["username"], self._carry)
        self._checkpoints = Checkpoints(
            Store(config["kernel_id"], config["session_name"]), self._carrier, settings, log
        )
        self._schedule = Schedule(settings, self._checkpoints, self._poke, log)
        options = CoreOptions(
            settings.cooldown_seconds,
            settings.restore,
            is_embedded=backend.is_embedded,
            is_launching=launcher.has_begun,
        )
        self._core = Core(options, self._checkpoints, log)
        self._calls = Calls(
            self._core.table,
            backend,
            settings,
            self._checkpoints,
            self._schedule,
            self._tell_waiting,
            self._answer_later,
            self._tell,
            log,
        )
        launcher.tell, launcher.tell_waiting = self._tell, self._tell_waiting
        self._environment: Environment | None = None
        self._relay: Relay | None = None
        # The one that was forgotten last.
        self._left: Relay | None = None
        self._job: _Job | None = None
        self._has_job = asyncio.Event()
        self._has_delivered = False
        self._tasks: set[asyncio.Task[None]] = set()
        self._launching: asyncio.Task[Launched] | None = None
        self._restoring: asyncio.Task[None] | None = None
        self._running_code: asyncio.Task[ToolResult] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._stopped = asyncio.Event()
        self._is_restarting = False

    async def serve(self) -> None:
        """Answer front ends until told to shut down, then clean up within two seconds."""
        self._carry_out_all(self._core.start(time.monotonic()))
        self._channels.listen(self._receive)
        self._start(self._schedule.run(lambda: self._core.is_idle), "take checkpoints")
        lane = asyncio.ensure_future(self._run_lane())
        try:
            await self._stopped.wait()
        finally:
            lane.cancel()
            await asyncio.gather(lane, return_exceptions=True)
            await self._close()
            await self._backend.close()
            await self._channels.close()

    def stop(self) -> None:
        """End `serve`; safe to call from a signal handler of the event loop."""
        self._stopped.set()

    def interrupt(self) -> None:
        """Interrupt the running cell, as an interrupt_request does."""
        self._handle(InterruptAsked(time.monotonic()))

    async def _close(self) -> None:
        """End the remote kernel, if that can be done at once, and forget everything."""
        if self._timer is not None:
            self._timer.cancel()
        for task in self._tasks:
            task.cancel()
        self._calls.close()
        self._checkpoints.close()
        if self._launching is not None:
            self._launching.cancel()
        self._launcher.close()
        if self._relay is not None:
            self._relay.close()
        if self._relay is not None and not self._backend.is_embedded:
            await self._relay.kill()
        if self._environment is not None:
            self._environment.release(keep=True, for_restart=self._is_restarting)

    # -- events --------------------------------------------------------------------

    def _handle(self, event: Event) -> None:
        try:
            commands = self._core.handle(event)
        except Exception:  # noqa: BLE001 - it is logged, and every request ends
            self._log.exception("the core failed at %s", type(event).__name__)
            commands = self._core.handle(DriverFailed(event.now, "go on", is_fatal=True))
        self._carry_out_all(commands)

    def _receive(
        self, channel: str, idents: list[bytes], frames: list[bytes], content: Any
    ) -> None:
        self._handle(Received(time.monotonic(), channel, idents, frames, content))

    def _tell(self, text: str) -> None:
        self._handle(Noticed(time.monotonic(), text))

    def _tell_waiting(self, error: AcaKernelError, waited: float) -> None:
        self._handle(PoolWaits(time.monotonic(), error, waited))

    def _tell_failure(self, error: AcaKernelError) -> None:
        self._handle(CallRepeated(time.monotonic(), error))

    def _poke(self) -> None:
        self._handle(Poked(time.monotonic()))

    def _carry(self, record: Record, msg_id: str) -> None:
        is_urgent = bool(self._carrier.is_urgent)
        self._handle(CarryAsked(time.monotonic(), record, msg_id, is_urgent))

    def _time_came(self) -> None:
        self._timer = None
        self._handle(TimeCame(time.monotonic()))

    # -- commands ------------------------------------------------------------------

    def _carry_out_all(self, commands: list[Command]) -> None:
        for command in commands:
            try:
                self._carry_out(command)
            except Exception:  # noqa: BLE001 - it is logged, and the others are carried out
                self._log.exception("the driver failed at %s", type(command).__name__)

    def _carry_out(self, command: Command) -> None:  # noqa: C901, PLR0912, PLR0915 - one place
        match command:
            case Forward():
                self._channels.publish(command.topic, command.frames)
            case ForwardReply():
                self._channels.reply(command.channel, command.idents, command.frames)
            case Publish():
                self._publish(command)
            case Reply():
                message = self._message(
                    command.msg_type, command.content, command.parent, command.metadata
                )
                self._channels.reply(command.channel, command.idents, message)
            case DoExchange() | CallHost() | Launch() | Leave() | RunCode():
                self._job = command
                self._has_job.set()
            case SendAlong():
                if self._relay is not None:
                    self._relay.send_along()
            case WaitUntil():
                self._wait_until(command.at)
            case Wake():
                if self._relay is not None:
                    self._start(self._relay.wake(), "end a call early")
            case Interrupt():
                if self._relay is not None:
                    self._start(self._interrupt(self._relay), "interrupt")
            case StopWaiting():
                if self._relay is not None:
                    self._relay.stop_waiting(command.place)
            case CancelLaunch():
                self._cancel_launch()
            case StopCode():
                if self._running_code is not None:
                    self._running_code.cancel()
            case Deliver():
                self._has_delivered = True
                self._carrier.takes(command.record)
            case FailCarried():
                self._carrier.fail(command.error)
            case LoseVariables():
                self._checkpoints.lose_variables()
            case CellEnded():
                self._schedule.ran_cell(command.seconds)
            case Restore():
                self._begin_restore(command)
            case CancelRestore():
                if self._restoring is not None:
                    self._restoring.cancel()
            case Forget():
                self._forget()
            case Exit():
                self._is_restarting = command.for_restart
                self.stop()

    def _publish(self, command: Publish) -> None:
        content = command.content
        is_stream = command.msg_type == "stream"
        topic = f"stream.{content['name']}" if is_stream else command.msg_type
        frames = self._message(command.msg_type, content, command.parent, command.metadata)
        self._channels.publish(f"kernel.{topic}", frames)

    def _message(
        self,
        msg_type: str,
        content: dict[str, Any],
        parent: dict[str, Any] | None,
        metadata: dict[str, Any] | None,
    ) -> list[bytes]:
        about = {"header": parent} if parent is not None else {}
        message = self._session.msg(msg_type, content, parent=about, metadata=metadata)
        return self._channels.frames_of(message)

    def _wait_until(self, at: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        # The event loop's clock is the one that all times here are of.
        self._timer = asyncio.get_running_loop().call_at(at, self._time_came)

    # -- tasks beside the lane -----------------------------------------------------

    def _start(self, work: Coroutine[Any, Any, None], what: str) -> asyncio.Task[None]:
        """Do something beside the lane. what: what cannot be done if it fails, as a verb."""
        task = asyncio.ensure_future(work)
        self._tasks.add(task)

        def ended(task: asyncio.Task[None]) -> None:
            self._tasks.discard(task)
            if not task.cancelled() and task.exception() is not None:
                self._log.error("the kernel could not %s", what, exc_info=task.exception())
                self._handle(DriverFailed(time.monotonic(), what, is_fatal=False))

        task.add_done_callback(ended)
        return task

    async def _interrupt(self, relay: Relay) -> None:
        await relay.interrupt()
        self._handle(Interrupted(time.monotonic(), relay.exchange.nonce))

    def _cancel_launch(self) -> None:
        if self._launching is not None:
            self._launching.cancel()
        elif isinstance(self._job, Launch):
            # The lane has not come to it yet.
            self._job = None
            interrupted = LaunchInterrupted(time.monotonic())
            asyncio.get_running_loop().call_soon(self._handle, interrupted)

    def _begin_restore(self, command: Restore) -> None:
        self._restoring = task = self._start(self._restore(command), "restore variables")

        def ended(task: asyncio.Task[None]) -> None:
            # Also if it was cancelled before it had begun.
            if task.cancelled():
                self._handle(RestoreFailed(time.monotonic(), command.number, None))

        task.add_done_callback(ended)

    async def _restore(self, command: Restore) -> None:
        number = command.number
        event: Event
        try:
            report = await self._checkpoints.restore(after_death=command.after_death)
        except AcaKernelError as error:
            event = RestoreFailed(time.monotonic(), number, error)
        except Exception:  # noqa: BLE001 - it is logged, and told as any other failure
            self._log.exception("restoring failed")
            failure = CheckpointFailed("The kernel failed; its log says how.")
            event = RestoreFailed(time.monotonic(), number, failure)
        else:
            event = Restored(time.monotonic(), number, report, self._checkpoints.cells_since)
        self._handle(event)

    def _answer_later(self, answering: Coroutine[Any, Any, Record]) -> None:
        """Send an answer to the remote side that takes exchanges to find."""
        relay = self._relay

        async def send() -> None:
            # The cell that asks is running, and exchanges are held open for it.
            self._carrier.is_urgent += 1
            try:
                answer = await answering
            finally:
                self._carrier.is_urgent -= 1
            if relay is not None:
                generation = relay.exchange.nonce
                self._handle(HostAnswered(time.monotonic(), generation, (answer,), is_late=True))

        self._start(send(), "answer the environment")

    # -- the lane ------------------------------------------------------------------

    async def _run_lane(self) -> None:
        """Do what the core wants done in turn, until cancelled."""
        while True:
            if self._job is None:
                self._has_job.clear()
                await self._has_job.wait()
                continue
            job, self._job = self._job, None
            try:
                event = await self._do(job)
            except Exception:  # noqa: BLE001 - it is logged, and every request ends
                self._log.exception("%s failed", type(job).__name__)
                event = DriverFailed(time.monotonic(), "go on", is_fatal=True, ends_turn=True)
            self._handle(event)
            self._calls.close_finished()

    async def _do(self, job: _Job) -> Event:
        match job:
            case DoExchange():
                return await self._exchange()
            case CallHost():
                return await self._call_host(job)
            case Launch():
                return await self._launch()
            case Leave():
                return await self._leave(job)
            case RunCode():
                return await self._run_code(job.code)

    async def _exchange(self) -> Event:
        if self._has_delivered:
            # Whoever got an answer may have the next question, which then goes along.
            self._has_delivered = False
            await asyncio.sleep(0)
        relay = self._relay
        if relay is None:
            raise EnvironmentGone("The session environment has ended.")
        generation = relay.exchange.nonce
        try:
            records = await relay.do_exchange()
        except AcaKernelError as error:
            return ExchangeFailed(time.monotonic(), generation, error)
        return Exchanged(time.monotonic(), generation, records)

    async def _call_host(self, job: CallHost) -> Event:
        relay = self._relay
        if relay is None:
            raise EnvironmentGone("The session environment has ended.")
        generation, answers, size = relay.exchange.nonce, [], 0
        for record in job.calls:
            try:
                answer = await self._calls.answer(Call(record.head, record.parts, relay, size))
            except EnvironmentGone as error:
                return LossFound(time.monotonic(), generation, error)
            if answer is not None:
                answers.append(answer)
                size += sum(map(len, answer.parts))
        return HostAnswered(
            time.monotonic(),
            generation,
            tuple(answers),
            restart=self._calls.take_restart(),
            may_continue=self._calls.has_sent_file(),
        )

    async def _launch(self) -> Event:
        launching = self._launching = self._launcher.launch()
        try:
            await asyncio.wait([launching])
        finally:
            self._launching = None
            launching.cancel()
        if launching.cancelled():
            return LaunchInterrupted(time.monotonic())
        try:
            launched = launching.result()
        except AcaKernelError as error:
            return LaunchFailed(time.monotonic(), error)
        self._environment, self._relay = launched.environment, launched.relay
        if launched.relay is not None:
            launched.relay.on_failure = self._tell_failure
            self._schedule.begin(launched.environment)
        notices = tuple(self._launcher.notices)
        self._launcher.notices.clear()
        exchange = launched.relay.exchange if launched.relay is not None else None
        return EnvironmentReady(time.monotonic(), exchange, notices)

    def _forget(self) -> None:
        if self._relay is not None:
            self._relay.close()
        if self._environment is not None:
            self._environment.release(keep=False)
        self._left, self._relay, self._environment = self._relay, None, None
        self._schedule.end()
        self._checkpoints.forget_environment()

    async def _leave(self, job: Leave) -> Event:
        if self._left is not None and not self._backend.is_embedded:
            await self._left.kill()
        await self._backend.discard_environment()
        if job.keeps_state:
            self._checkpoints.cells_since = 0
        else:
            await self._checkpoints.clear()
        return Left(time.monotonic())

    async def _run_code(self, code: str) -> Event:
        environment = self._environment
        if environment is None:
            raise EnvironmentGone("The session environment has ended.")
        running = self._running_code = asyncio.ensure_future(
            environment.run_python(code, timeout_seconds=CELL_TIMEOUT_SECONDS)
        )
        try:
            await asyncio.wait([running])
        finally:
            self._running_code = None
            running.cancel()
        if running.cancelled():
            return CodeFailed(time.monotonic(), None)
        try:
            return CodeRan(time.monotonic(), running.result())
        except AcaKernelError as error:
            return CodeFailed(time.monotonic(), error)
