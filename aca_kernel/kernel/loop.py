"""Moves messages between the front end's requests and the remote kernel.

One task (`run`) does one exchange after the other while there is something to send, to wait
for, or to look after; when there is not, nothing is pending and the environment may cool down.
When the environment ends, this brings everything that knows of it to the next one.

lifecycle.py has the environment, send_queue.py what waits to be sent, outputs.py what comes
back, and recovery.py decides what of a lost environment is brought to the next one.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any

from ..checkpoint.carrier import Carrier
from ..checkpoint.checkpoints import Checkpoints
from ..checkpoint.schedule import Schedule
from ..checkpoint.store import Store
from ..environment.tool_concurrency import ToolConcurrencyProbe
from ..errors import (
    AcaKernelError,
    CheckpointFailed,
    EnvironmentGone,
    PoolBusy,
    PoolUnreachable,
    RemoteKernelDied,
    RemoteKernelExited,
    ResultUnknown,
    WaitInterrupted,
)
from ..host.call import Call
from ..host.calls import Calls
from ..messaging.early_status import ANNOUNCE_SECONDS, EarlyStatus
from ..messaging.rate_limit import RateLimit
from ..messaging.requests import Request, RequestTable
from ..messaging.setup_code import SetupCode
from ..messaging.subshells import Subshells
from ..messaging.unlaunched import EarlyAnswers
from ..messaging.widget_scripts import WidgetScripts
from ..remote.wire import Record
from .idle_polls import IdlePolls
from .interrupt import Interrupter
from .lifecycle import Lifecycle
from .outputs import Forwarder
from .plain_mode import PlainSession
from .recovery import Recovery
from .send_queue import SendQueue

if TYPE_CHECKING:
    from ..environment.launch import Launcher
    from ..environment.relay import Relay
    from ..messaging.channels import Channels
    from ..messaging.publisher import Publisher
    from ..pool.backend import Backend
    from ..settings import AcaKernel


class Pump:
    """Runs requests in an environment; tells `on_exit` when the user's code asked to quit."""

    def __init__(
        self,
        backend: Backend,
        settings: AcaKernel,
        channels: Channels,
        publisher: Publisher,
        table: RequestTable,
        launcher: Launcher,
        on_exit: Callable[[], None],
        log: logging.Logger,
    ) -> None:
        self._backend = backend
        self._settings = settings
        self._publisher = publisher
        self._table = table
        self._on_exit = on_exit
        self._log = log
        self._work = asyncio.Event()
        self._launcher = launcher
        launcher.tell = publisher.tell_waiting_cell
        self._life = Lifecycle(launcher)
        self._is_starting = launcher.has_begun
        self._interrupter = Interrupter(self._life, table, publisher, self._aside, self._work.set)
        self._owes_answer = False
        self._polls = IdlePolls()
        self._asides: set[asyncio.Task[None]] = set()
        self._overlap = ToolConcurrencyProbe(table)
        self._subshells = Subshells()
        self._announcer = EarlyStatus(publisher, table)
        self._pacer = RateLimit()
        notices = self._launcher.notices
        setup, widgets = SetupCode(), WidgetScripts(publisher)
        self._setup = setup
        self._early = EarlyAnswers(publisher, setup, widgets, is_embedded=backend.is_embedded)
        self._backlog = SendQueue(
            table, publisher, self._subshells, self._announcer, notices, setup
        )
        config = launcher.config
        self._carrier = Carrier(config["session"], config["username"], self._hurry)
        self._checkpoints = Checkpoints(
            Store(config["kernel_id"], config["session_name"]), self._carrier, settings, log
        )
        self._schedule = Schedule(settings, self._checkpoints, self._poke, log)
        self._restoring: asyncio.Future[bool] | None = None
        self._recovery = Recovery(self._checkpoints, settings, notices, log)
        self._forwarder = Forwarder(
            channels,
            table,
            self._announcer,
            self._subshells,
            setup,
            widgets,
            self._begun,
            lambda request: self._backlog.abort(request.subshell_id),
            self._ended,
            log,
        )
        self._calls = Calls(
            table,
            backend,
            settings,
            self._checkpoints,
            self._schedule,
            self._launcher.tell_waiting,
            self._answer_later,
            publisher.tell_waiting_cell,
        )
        self.kernel_info: dict[str, Any] | None = None

    # -- from the front end ------------------------------------------------------

    def submit(self, request: Request) -> None:
        """Take a request that is to be answered by the remote kernel, if there is to be one."""
        self._early.note(request)
        if self._answer_early(request):
            return
        if request.msg_type != "input_reply":
            self._table.add(request)
        self._backlog.add(request)
        self._work.set()
        if (
            self._life.relay is not None
            and self._life.relay.is_held
            and self._table.is_urgent(request)
        ):
            # It would reach the remote kernel too late with the next exchange.
            self._aside(self._life.relay.wake())

    def _answer_early(self, request: Request) -> bool:
        """Answer what no environment is launched for, if there is none and none is coming."""
        life = self._life
        has_remote_kernel = life.relay is not None and not (
            # Asking could take a place in the pool already.
            request.only_looks
            and not len(self._table)
            and life.has_likely_ended(self._settings.cooldown_seconds)
        )
        is_coming = self._is_starting or life.is_launching or bool(self._backlog)
        return not has_remote_kernel and not is_coming and self._early.answer(request)

    def interrupt(self) -> None:
        """Interrupt the running cell; what is queued behind it follows ipykernel's rules."""
        self._interrupter.interrupt(self._carrier, self._restoring)

    def _aside(self, call: Any) -> None:
        task = asyncio.ensure_future(call)
        self._asides.add(task)
        task.add_done_callback(self._asides.discard)

    # -- the loop ----------------------------------------------------------------

    async def run(self) -> None:
        """Serve until cancelled."""
        self._aside(self._schedule.run(lambda: not len(self._table) and not self._backlog))
        while True:
            await self._until_work()
            try:
                await self._step()
            except EnvironmentGone as error:
                self._lose_environment(error)
            except AcaKernelError as error:
                self._log.warning("%s %s", error.reason, error.detail)
                self._fail_all(error)
            except Exception:  # noqa: BLE001 - it is logged, and every request ends
                # A defect of ours must not leave every request unanswered for ever.
                self._log.exception("the pump failed")
                self._fail_all(AcaKernelError("The kernel failed; its log says how. Restart it."))
            self._calls.close_finished()

    async def _until_work(self) -> None:
        while not self._has_work():
            self._work.clear()
            try:
                await asyncio.wait_for(self._work.wait(), self._polls.timeout_seconds())
            except asyncio.TimeoutError:
                self._polls.took_one()
                return

    def _answer_all_early(self) -> bool:
        """Answer all that waits if nothing of it is worth an environment; False if something is."""
        waiting = list(self._backlog)
        if self._is_starting or not waiting or not all(map(self._early.applies, waiting)):
            return False
        self._backlog.clear()
        for request in waiting:
            self._early.answer(request)
        return True

    def _has_work(self) -> bool:
        if self._backlog or self._is_starting:
            return True
        relay = self._life.relay
        return relay is not None and (
            self._owes_answer
            or self._carrier.has_outgoing
            or relay.has_more
            or self._carrier.awaits_reply
            or any(one.place is not None for one in self._table)
        )

    async def _step(self) -> None:
        is_there = self._life.relay is not None or self._life.plain is not None
        if not is_there and (self._answer_all_early() or not await self._launch()):
            return
        if self._life.plain is not None:
            await self._step_plain(self._life.plain)
            return
        relay = self._life.relay
        if relay is None:
            return
        if self._backlog:
            if self._recovery.is_due:
                await self._bring_back(relay)
            self._recovery.tell()
            self._backlog.send(relay, self.kernel_info)
        self._owes_answer = False
        is_waiting = any(one.place is not None for one in self._table)
        if is_waiting:
            self._overlap.begin(relay)
        self._life.note_use()
        asyncio.get_running_loop().call_later(ANNOUNCE_SECONDS, self._announcer.announce)
        await self._exchange(relay, is_waiting=is_waiting)
        if relay is self._life.relay:
            is_needed = relay.has_background and not len(self._table)
            # A thread that fetches a file may have the next question.
            is_first = is_waiting or self._calls.has_sent_file()
            self._polls.plan(is_needed=is_needed, after_request=is_first)

    async def _exchange(self, relay: Relay, *, is_waiting: bool) -> None:
        for record in self._carrier.take_outgoing():
            relay.send(record)
        is_waiting = is_waiting or self._carrier.awaits_reply
        wait = relay.window_seconds if is_waiting and not relay.has_more else 0.0
        await self._take_all(relay, await relay.exchange(wait))
        # Whoever got an answer may have the next question, which then goes with the next call.
        await asyncio.sleep(0)

    async def _take_all(self, relay: Relay, records: list[Record]) -> None:
        for record in records:
            if relay.is_catching_up:
                await self._pacer.wait_with(record)
            self._take(record)
            if relay is self._life.relay and self._calls.is_restart_due():
                await self._leave_environment(relay)
                return
        if not relay.has_more and self._pacer.is_through():
            relay.is_catching_up = False
        # Last, since the environment may turn out to be gone.
        await self._answer_calls(records, relay)

    async def _answer_calls(self, records: list[Record], relay: Relay) -> None:
        for record in records:
            if record.kind == "call":
                call = Call(record.head, record.parts, relay)
                answer = await self._calls.answer(call)
                if answer is not None:
                    relay.send(answer)
                    self._owes_answer = True

    # -- from the remote side ----------------------------------------------------

    def _take(self, record: Record) -> None:
        if self._carrier.takes(record):
            return
        if record.kind == "msg":
            self._forwarder.forward(record)
        elif record.kind == "ready":
            info = record.head.get("info")
            self.kernel_info = info if isinstance(info, dict) else None
            self._log.info("remote kernel is ready, pid %s", record.head.get("pid"))
        elif record.kind == "dead":
            self._bury(record.head)

    def _begun(self, request: Request) -> None:
        """The remote kernel is busy with a request."""
        if not request.is_execute:
            return
        self._early.began(request)
        # Not when it is sent: the environment may turn out to be gone by then.
        self._life.holds_state = self._life.holds_state or not request.is_hidden
        self._interrupter.begun(request)

    def _ended(self, request: Request, seconds: float) -> None:
        """The remote kernel is idle again, and the request is finished."""
        if not request.is_execute:
            return
        if not request.is_hidden:
            self._schedule.ran_cell(seconds)
        self._interrupter.is_pending = False
        if self._forwarder.asks_exit:
            # The remote kernel is ending; ipykernel's process would end now too.
            self._on_exit()

    def _bury(self, head: dict[str, Any]) -> None:
        """The remote kernel has ended: end what it was doing, start another one."""
        code = int(head.get("code", 0))
        if self._forwarder.asks_exit:
            self._log.info("the remote kernel was told to quit")
            self._on_exit()
            return
        if not head.get("ready"):
            self._log.warning("the remote kernel did not start: %s", head.get("text"))
        self._log.warning("the remote kernel ended with status %s", code)
        told = self._recovery.died(code, while_restoring=self._restoring is not None)
        self._carrier.fail(CheckpointFailed("The remote kernel ended meanwhile."))
        self._subshells.forget()
        self._announcer.forget()
        kind = RemoteKernelDied if code < 0 else RemoteKernelExited
        is_seen = self._backlog.end_sent(kind.ename, told, kind.reason)
        if self._restoring is None:
            if not is_seen:
                self._recovery.tell_later(told)
            self._backlog.abort(None)
        if self._life.relay is not None:
            self._life.relay.send(Record({"kind": "restart"}))
            self._owes_answer = True
        self._setup.begin_anew()
        self._work.set()

    # -- the environment's life --------------------------------------------------

    async def _launch(self) -> bool:
        """Get an environment and a remote kernel in it; False when interrupted."""
        self._is_starting = False
        launched = await self._life.launch()
        if launched is None:
            self._answer_hidden()
            self._backlog.fail_all(
                "KeyboardInterrupt", "Interrupted while waiting for an environment."
            )
            return False
        if launched.relay is None:
            plain = PlainSession(launched.environment, self._publisher, self._table)
            self._life.plain = plain
            self._recovery.tell()
        else:
            self._schedule.begin(launched.environment)
        self._setup.begin_anew()
        return True

    # -- checkpoints -------------------------------------------------------------

    def _poke(self) -> None:
        self._owes_answer = True
        self._work.set()

    def _answer_later(self, answering: Coroutine[Any, Any, Record]) -> None:
        """Send an answer to the remote side that takes exchanges to find."""
        relay = self._life.relay

        async def send() -> None:
            # The cell that asks is running, and exchanges are held open for it.
            self._carrier.is_urgent += 1
            try:
                answer = await answering
            finally:
                self._carrier.is_urgent -= 1
            if relay is not None and relay is self._life.relay:
                relay.send(answer)
                self._owes_answer = True
                self._work.set()
                await relay.wake()

        self._aside(send())

    def _hurry(self) -> None:
        """Something is to be carried: end the pending exchange if that is worth it."""
        self._work.set()
        if self._carrier.is_urgent and self._life.relay is not None and self._life.relay.is_held:
            self._aside(self._life.relay.wake())

    async def _bring_back(self, relay: Relay) -> None:
        """Do the exchanges of a restore, before anything else runs. Raises as Recovery does."""
        restoring = self._restoring = asyncio.ensure_future(self._recovery.bring_back())
        restoring.add_done_callback(lambda _: self._work.set())
        try:
            while not restoring.done():
                self._work.clear()
                if self._carrier.has_outgoing or self._carrier.awaits_reply or self._owes_answer:
                    self._owes_answer = False
                    await self._exchange(relay, is_waiting=False)
                else:
                    await self._work.wait()
            if restoring.cancelled():
                self._recovery.give_up("It was interrupted.")
            elif restoring.result():
                self._life.holds_state = True
            if self._interrupter.is_pending:
                self._interrupter.is_pending = False
                self._backlog.fail_all(
                    "KeyboardInterrupt", "Interrupted while variables were brought back."
                )
        finally:
            self._restoring = None
            restoring.cancel()
            await asyncio.gather(restoring, return_exceptions=True)

    def _lose_environment(self, error: EnvironmentGone) -> None:
        """The environment has ended: end what ran in it, and get ready for another."""
        relay, held_state = self._life.relay, self._life.holds_state
        self._forget_environment()
        self._log.info("environment lost: %s", error.message)
        self._backlog.put_back(
            one
            for one in self._table
            if one.place is not None and relay is not None and relay.is_safe_to_repeat(one.place)
        )
        self._backlog.end_sent(
            "EnvironmentGone",
            "The session environment ended while this was running. Its variables and files "
            "are lost, and this was not run again. The next cell gets a new environment.",
        )
        if held_state:
            self._recovery.lost_environment(self._life.idle_seconds)

    async def _leave_environment(self, relay: Relay) -> None:
        """Do what `%aca restart` asked for; what is queued behind its cell runs in the next one.

        The remote kernel begins no other cell by then (remote/magic.py), so none runs twice.
        """
        cell, keeps_state = self._calls.restarting, self._calls.keeps_state
        self._log.info("the environment is left on request")
        self._forget_environment()
        self._backlog.put_back(
            one for one in self._table if one.place is not None and one.waits_in_turn
        )
        if cell is not None and cell.has_aborted_others:
            self._backlog.abort(None)
        self._backlog.end_sent(
            "EnvironmentGone", "The session environment was restarted by another cell."
        )
        if not self._backend.is_embedded:
            await relay.kill()
        await self._backend.discard_environment()
        await self._recovery.left(keeps_state=keeps_state)

    def _forget_environment(self) -> None:
        self._life.forget()
        self._calls.restarting = None
        self._interrupter.is_pending = self._owes_answer = False
        self._subshells.forget()
        self._announcer.forget()
        self._polls.stop()
        self._overlap.cancel()
        self._schedule.end()
        self._carrier.fail(EnvironmentGone("The session environment has ended."))
        self._checkpoints.forget_environment()

    def _answer_hidden(self) -> None:
        """Answer hidden requests that have not been sent; set-up code waits for the next cell."""
        for request in self._backlog:
            if request.is_hidden:
                self._early.answer(request)

    def _fail_all(self, error: AcaKernelError) -> None:
        """Nothing can be run now: end every request with the reason; the next tries again."""
        self._answer_hidden()
        self._interrupter.is_pending = False
        self._carrier.fail(CheckpointFailed(error.message))
        relay = self._life.relay
        if relay is not None:
            # What has been reported as failed must not run when the pool is back.
            relay.withdraw()
            if isinstance(error, (PoolUnreachable, PoolBusy, ResultUnknown)):
                self._backlog.fail_left(relay, error)
        name = "KeyboardInterrupt" if isinstance(error, WaitInterrupted) else type(error).__name__
        self._backlog.fail_all(name, error.message)

    # -- plain mode --------------------------------------------------------------

    async def _step_plain(self, plain: PlainSession) -> None:
        while self._backlog:
            self._life.check_cooldown(self._settings.cooldown_seconds)
            item = self._backlog.take_first()
            self._life.note_use()
            self._life.holds_state = self._life.holds_state or item.is_execute
            succeeded = await plain.run(item)
            if not succeeded and item.aborts_on_error:
                self._backlog.abort(None)

    async def close(self, *, for_restart: bool) -> None:
        """End the remote kernel, if that can be done at once, and forget everything.

        for_restart: this kernel is about to be started again, and wants its environment back.
        """
        for task in self._asides:
            task.cancel()
        self._overlap.cancel()
        self._calls.close()
        self._checkpoints.close()
        await self._life.close(is_embedded=self._backend.is_embedded, for_restart=for_restart)
