"""The driver of a core: handles what comes into the inbox, carries out what the core wants.

The core (core.py) decides; this does, and what comes of it is put into the inbox like all other
events. What is done in turn is a job (jobs.py); a few things go beside it, each in a task
that is looked after (tasks.py).
"""

from __future__ import annotations

import asyncio
import logging
import time
from typing import TYPE_CHECKING

from ..checkpoint.carrier import Carrier
from ..checkpoint.checkpoints import Checkpoints
from ..checkpoint.schedule import Schedule
from ..checkpoint.store import Store
from ..environment.launch import Launcher
from ..environment.relay import Relay
from ..errors import AcaKernelError, CheckpointFailed
from ..host import calls
from ..host.call import Concerned
from ..messaging.outgoing import Forward, ForwardReply, Publish, Reply
from ..pool.backend import Backend
from ..remote import servers
from ..settings import AcaKernel
from . import commands as do
from . import events as on
from .core import Core, CoreOptions
from .jobs import Jobs
from .tasks import Tasks

if TYPE_CHECKING:
    from ..messaging.front_ends import FrontEnds


class Driver:
    """One kernel: its front ends on one side, its environments on the other.

    backend: closed by who has made it. folder: the notebook's; None: the working directory.
    """

    def __init__(
        self,
        channels: FrontEnds,
        backend: Backend,
        settings: AcaKernel,
        launcher: Launcher,
        inbox: asyncio.Queue[on.Event],
        log: logging.Logger,
        folder: str | None = None,
        connection_file: str = "",
    ) -> None:
        self._channels = channels
        self._inbox = inbox
        self._log = log
        config = launcher.config
        self._carrier = Carrier(config["session"], config["username"], inbox)
        self._checkpoints = Checkpoints(
            Store(config["kernel_id"], config["session_name"], config["hash_seed"]),
            self._carrier,
            settings,
            inbox,
            log,
        )
        self._schedule = Schedule(settings, self._checkpoints, inbox, log)
        options = CoreOptions(
            settings.cooldown_seconds,
            settings.restore,
            is_embedded=backend.is_embedded,
            is_launching=launcher.has_begun,
            network=servers.network(),
        )
        self._core = Core(options, log)
        concerned = Concerned(
            self._core.table,
            backend,
            settings,
            self._checkpoints,
            self._schedule,
            inbox,
            config["packages"],
            folder,
            connection_file,
        )
        self._calls = calls.Calls(concerned, log)
        self._tasks = Tasks(inbox, log)
        self._jobs = Jobs(concerned, launcher, self._calls, self._tasks, inbox, log)
        self._restoring: asyncio.Task[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._stopped = asyncio.Event()
        self._is_restarting = False

    async def serve(self) -> None:
        """Answer front ends until told to shut down, then clean up within two seconds."""
        self._carry_out_all(self._core.start(time.monotonic()))
        self._channels.listen(self._inbox)
        self._tasks.start(asyncio.to_thread(calls.load), "import what answers calls")
        self._tasks.start(self._schedule.run(), "take checkpoints")
        running = [
            asyncio.ensure_future(one)
            for one in (self._stopped.wait(), self._handle_all(), self._jobs.run())
        ]
        try:
            done, _ = await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
            for one in done:
                # A loop of ours ends by a defect only: the kernel ends too, and says why.
                one.result()
        finally:
            for one in running:
                one.cancel()
            await asyncio.gather(*running, return_exceptions=True)
            await self._close()

    def stop(self) -> None:
        """End `serve`; safe to call from a signal handler of the event loop."""
        self._stopped.set()

    def interrupt(self) -> None:
        """Interrupt the running cell, as an interrupt_request does."""
        self._inbox.put_nowait(on.InterruptAsked(time.monotonic()))

    async def _close(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._tasks.cancel()
        self._calls.close()
        self._checkpoints.close()
        await self._jobs.close(for_restart=self._is_restarting)
        await self._channels.close()

    # -- events --------------------------------------------------------------------

    async def _handle_all(self) -> None:
        while True:
            self._handle(await self._inbox.get())
            # What belongs to cells that have ended by this event.
            self._calls.close_finished()

    def _handle(self, event: on.Event) -> None:
        try:
            commands = self._core.handle(event)
        except Exception:  # noqa: BLE001 - it is logged, and every request ends
            self._log.exception("the core failed at %s", type(event).__name__)
            commands = self._core.handle(on.DriverFailed(event.now, "go on", is_fatal=True))
        self._carry_out_all(commands)

    # -- commands ------------------------------------------------------------------

    def _carry_out_all(self, commands: list[do.Command]) -> None:
        for command in commands:
            try:
                self._carry_out(command)
            except Exception:  # noqa: BLE001 - it is logged, and the others are carried out
                self._log.exception("the driver failed at %s", type(command).__name__)

    def _carry_out(self, command: do.Command) -> None:  # noqa: C901, PLR0912 - one place
        relay = self._jobs.relay
        match command:
            case Forward() | ForwardReply() | Publish() | Reply():
                self._channels.send(command)
            case do.DoExchange() | do.CallHost() | do.Launch() | do.Leave() | do.RunCode():
                self._jobs.put(command)
            case do.WaitUntil():
                self._wait_until(command.at)
            case do.TellIdle():
                self._schedule.set_idle(is_idle=command.is_idle)
            case do.CellEnded():
                self._schedule.ran_cell(command.seconds)
            case do.SendAlong():
                if relay is not None:
                    relay.send_along()
            case do.Wake():
                if relay is not None:
                    self._tasks.start(relay.side.wake(), "end a call early")
            case do.StartAhead():
                if relay is not None:
                    starting = relay.side.start_ahead(command.msg_id, command.commands)
                    self._tasks.start(starting, "start a command ahead")
            case do.LookAhead():
                self._jobs.look_ahead(command.commands)
            case do.Interrupt():
                if relay is not None:
                    self._tasks.start(self._interrupt(relay), "interrupt")
            case do.StopWaiting():
                if relay is not None:
                    relay.stop_waiting(command.place)
            case do.Prepare():
                self._jobs.prepare_launch()
            case do.GiveUp():
                self._jobs.give_up()
            case do.Forget():
                self._jobs.forget()
            case do.Deliver():
                self._carrier.takes(command.record)
            case do.FailCarried():
                self._carrier.fail(command.error)
            case do.LoseVariables():
                self._checkpoints.lose_variables()
            case do.Restore():
                self._begin_restore(command)
            case do.CancelRestore():
                if self._restoring is not None:
                    self._restoring.cancel()
            case do.Exit():
                self._is_restarting = command.for_restart
                self.stop()

    def _wait_until(self, at: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        # The event loop's clock is the one that all times here are of.
        self._timer = asyncio.get_running_loop().call_at(at, self._time_came)

    def _time_came(self) -> None:
        self._timer = None
        self._inbox.put_nowait(on.TimeCame(time.monotonic()))

    async def _interrupt(self, relay: Relay) -> None:
        await relay.interrupt()
        self._inbox.put_nowait(on.Interrupted(time.monotonic(), relay.exchange.nonce))

    def _begin_restore(self, command: do.Restore) -> None:
        self._restoring = task = self._tasks.start(self._restore(command), "restore variables")

        def ended(task: asyncio.Task[None]) -> None:
            # Also if it was cancelled before it had begun.
            if task.cancelled():
                self._inbox.put_nowait(on.RestoreFailed(time.monotonic(), command.number, None))

        task.add_done_callback(ended)

    async def _restore(self, command: do.Restore) -> None:
        number = command.number
        event: on.Event
        try:
            report = await self._checkpoints.restore(after_death=command.after_death)
        except AcaKernelError as error:
            event = on.RestoreFailed(time.monotonic(), number, error)
        except Exception:  # noqa: BLE001 - it is logged, and told as any other failure
            self._log.exception("restoring failed")
            failure = CheckpointFailed("The kernel failed; its log says how.")
            event = on.RestoreFailed(time.monotonic(), number, failure)
        else:
            event = on.Restored(time.monotonic(), number, report, self._checkpoints.cells_since)
        self._inbox.put_nowait(event)
