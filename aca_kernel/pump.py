"""Moves messages between the front end's requests and the remote kernel.

Owns the life of the environment: launch, boot of the agent, recognition of its end, and
relaunch. One task (`run`) does one exchange after the other while there is something to
send, to wait for, or to look after; when there is not, nothing is pending and the
environment may cool down.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from .announcer import Announcer
from .background import BackgroundPolls
from .call import Call
from .calls import Calls
from .errors import AcaKernelError, EnvironmentGone
from .launch import death_of, loss_sentence
from .overlap import OverlapProbe
from .pacing import Pacer
from .plain import PlainSession
from .remote.wire import Record
from .requests import Request, RequestTable
from .subshells import Subshells, is_beyond

if TYPE_CHECKING:
    from .backend import Backend
    from .channels import Channels
    from .environment import Environment
    from .launch import Launched, Launcher
    from .messages import Publisher
    from .relay import Relay
    from .settings import AcaKernel


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
        self._channels = channels
        self._publisher = publisher
        self._table = table
        self._on_exit = on_exit
        self._log = log
        self._queue: deque[Request | Record] = deque()
        self._work = asyncio.Event()
        self._relay: Relay | None = None
        self._plain: PlainSession | None = None
        self._environment: Environment | None = None
        self._launcher = launcher
        launcher.tell = publisher.tell_waiting_cell
        self._launching: asyncio.Task[Launched] | None = None
        self._interrupt_pending = False
        self._exit_asked = False
        self._owes_answer = False
        self._polls = BackgroundPolls()
        self._asides: set[asyncio.Task[None]] = set()
        self._has_run_cell = False
        self._is_starting = launcher.has_begun
        self._overlap = OverlapProbe(table)
        self._idle_seconds = 0.0
        self._setup: list[Record] = []
        self._muted: set[str] = set()
        self._is_set_up = False
        self._subshells = Subshells()
        self._announcer = Announcer(publisher, table)
        self._pacer = Pacer()
        self._calls = Calls(table, backend, settings, self._launcher.tell_waiting)
        self.kernel_info: dict[str, Any] | None = None

    # -- from the front end ------------------------------------------------------

    def submit(self, request: Request) -> None:
        """Take a request that the remote kernel is to answer."""
        if request.msg_type != "input_reply":
            self._table.add(request)
        self._queue.append(request)
        self._work.set()
        if self._relay is not None and self._relay.is_held and self._table.is_urgent(request):
            # It would reach the remote kernel too late with the next exchange.
            self._aside(self._relay.wake())

    @property
    def is_in_use(self) -> bool:
        """Whether there is, or is about to be, a remote kernel that can be asked."""
        return self._relay is not None or self._is_starting or bool(self._queue)

    def run_before_first_cell(self, request: Request) -> None:
        """Keep what has been answered already; its outputs are shown to nobody."""
        self._setup.append(Record({"kind": "msg", "channel": "shell"}, tuple(request.frames)))
        self._muted.add(request.msg_id)

    def interrupt(self) -> None:
        """Interrupt the running cell; what is queued behind it follows ipykernel's rules."""
        if self._launching is not None and not self._launching.done():
            self._launching.cancel()
            return
        if self._plain is not None:
            self._plain.interrupt()
            return
        cell = next((one for one in self._table if one.is_execute), None)
        if self._relay is None or cell is None:
            return
        if cell.is_started:
            self._aside(self._send_interrupt())
        else:
            # Not begun as far as we know: a signal now might come before the cell, which
            # ipykernel ignores. It is sent when the cell's busy arrives.
            self._interrupt_pending = True
            self._aside(self._relay.wake())

    async def _send_interrupt(self) -> None:
        self._interrupt_pending = False
        if self._relay is not None:
            await self._relay.interrupt()
            self._work.set()

    def _aside(self, call: Any) -> None:
        task = asyncio.ensure_future(call)
        self._asides.add(task)
        task.add_done_callback(self._asides.discard)

    # -- the loop ----------------------------------------------------------------

    async def run(self) -> None:
        """Serve until cancelled."""
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

    def _has_work(self) -> bool:
        if self._queue or self._is_starting or self._owes_answer:
            return True
        relay = self._relay
        return relay is not None and (
            relay.has_more or any(one.place is not None for one in self._table)
        )

    async def _step(self) -> None:
        if self._relay is None and self._plain is None and not await self._launch():
            return
        if self._plain is not None:
            await self._step_plain(self._plain)
            return
        relay = self._relay
        if relay is None:
            return
        self._send_queue(relay)
        self._owes_answer = False
        is_waiting = any(one.place is not None for one in self._table)
        if is_waiting:
            self._overlap.begin(relay)
        wait = relay.window_seconds if is_waiting and not relay.has_more else 0.0
        if self._environment is not None:
            self._idle_seconds = self._environment.idle_seconds()
        # Behind the sending, which is what the cell waits for.
        asyncio.get_running_loop().call_soon(self._announcer.announce)
        records = await relay.exchange(wait)
        await self._take_all(relay, records)
        if relay is self._relay:
            self._plan_polls(relay, after_request=is_waiting)

    async def _take_all(self, relay: Relay, records: list[Record]) -> None:
        for record in records:
            if relay.is_catching_up:
                await self._pacer.wait_with(record)
            self._take(record)
            if self._is_to_be_left(relay):
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

    def _send_queue(self, relay: Relay) -> None:
        while self._queue:
            item = self._queue.popleft()
            if isinstance(item, Record):
                relay.send(item)
                continue
            if not self._is_set_up:
                self._is_set_up = True
                for record in self._setup:
                    relay.send(record)
            if item.is_execute:
                self._tell_notices(item)
            if is_beyond(item, self.kernel_info):
                self._publisher.fail(
                    item, "NotSupported", "The ipykernel in this environment has no subshells."
                )
                continue
            self._subshells.redirect(item)
            record = Record({"kind": "msg", "channel": item.channel}, tuple(item.frames))
            item.place = relay.send(record)
            self._announcer.sent(item)

    def _tell_notices(self, cell: Request) -> None:
        for notice in self._launcher.notices:
            self._publisher.tell(notice, cell)
        self._launcher.notices.clear()

    def _plan_polls(self, relay: Relay, *, after_request: bool) -> None:
        """Look after background output for a while after each request, then stop."""
        if not relay.has_background or len(self._table):
            self._polls.stop()
            return
        if after_request:
            self._polls.begin()
        self._polls.plan()

    # -- from the remote side ----------------------------------------------------

    def _take(self, record: Record) -> None:
        if record.kind == "msg":
            self._forward(record)
        elif record.kind == "ready":
            info = record.head.get("info")
            self.kernel_info = info if isinstance(info, dict) else None
            self._log.info("remote kernel is ready, pid %s", record.head.get("pid"))
        elif record.kind == "dead":
            self._bury(record.head)

    def _forward(self, record: Record) -> None:
        channel, msg_type = str(record.head["channel"]), str(record.head["type"])
        frames, parent = list(record.parts), str(record.head["parent"])
        if parent in self._muted:
            return
        request = self._table.find_any(parent)
        if channel == "iopub":
            self._forward_iopub(msg_type, record.head.get("state"), frames, request)
        elif request is None:
            self._log.warning("a %s belongs to no request and is dropped", msg_type)
        elif channel == "stdin":
            self._channels.reply("stdin", request.idents, frames)
        else:
            request.is_replied = True
            if msg_type == "execute_reply":
                self._look_at_reply(request, frames)
            elif msg_type == "create_subshell_reply":
                self._subshells.created(frames)
            self._channels.reply(request.channel, request.idents, frames)

    def _forward_iopub(
        self, msg_type: str, state: Any, frames: list[bytes], request: Request | None
    ) -> None:
        if request is not None and state == "busy":
            request.is_started = True
            # Not when it is sent: the environment may turn out to be gone by then.
            self._has_run_cell = self._has_run_cell or request.is_execute
            if self._interrupt_pending and request.is_execute:
                self._aside(self._send_interrupt())
            if request.is_busy_told:
                return
            request.is_busy_told = True
        if msg_type == "execute_input" and self._announcer.is_told(request, frames):
            return
        self._channels.publish(f"kernel.{msg_type}", frames)
        if request is not None and state == "idle":
            self._table.finish(request)
            if request.is_execute:
                self._interrupt_pending = False
                if self._exit_asked:
                    # The remote kernel is ending; ipykernel's process would end now too.
                    self._on_exit()

    def _look_at_reply(self, request: Request, frames: list[bytes]) -> None:
        """Do what ipykernel does after a cell, as far as it concerns what is still here."""
        if b'"ask_exit"' in frames[3]:
            payload = json.loads(frames[3]).get("payload", [])
            self._exit_asked = any(
                one.get("source") == "ask_exit" and not one.get("keepkernel") for one in payload
            )
        if json.loads(frames[2]).get("status") == "error" and request.aborts_on_error:
            request.has_aborted_others = True
            self._abort_queued(request.subshell_id)

    def _abort_queued(self, subshell_id: str | None) -> None:
        kept: deque[Request | Record] = deque()
        for item in self._queue:
            if isinstance(item, Request) and item.is_execute and item.subshell_id == subshell_id:
                self._publisher.abort(item)
            else:
                kept.append(item)
        self._queue = kept

    def _bury(self, head: dict[str, Any]) -> None:
        """The remote kernel has ended: end what it was doing, start another one."""
        code = int(head.get("code", 0))
        if self._exit_asked:
            self._log.info("the remote kernel was told to quit")
            self._on_exit()
            return
        if not head.get("ready"):
            self._log.warning("the remote kernel did not start: %s", head.get("text"))
        self._log.warning("the remote kernel ended with status %s", code)
        evalue = (
            f"The remote kernel {death_of(code)}. Its variables are lost, its files are still "
            "there. The next cell runs in a fresh remote kernel."
        )
        self._subshells.forget()
        self._announcer.forget()
        self._end_sent("RemoteKernelDied", evalue)
        self._abort_queued(None)
        self._queue.appendleft(Record({"kind": "restart"}))
        self._is_set_up = False
        self._work.set()

    def _end_sent(self, ename: str, evalue: str) -> None:
        """End all that was sent: what had begun with an error, the rest as aborted.

        The oldest cell had begun, even if its death was quicker than its busy.
        """
        running = self._table.running()
        for request in self._table:
            if request.place is None:
                continue
            request.place = None
            if request.is_started or request is running or not request.is_execute:
                self._publisher.fail(request, ename, evalue)
            else:
                self._publisher.abort(request)

    # -- the environment's life --------------------------------------------------

    async def _launch(self) -> bool:
        """Get an environment and a remote kernel in it; False when interrupted."""
        self._is_starting = False
        launching = self._launching = self._launcher.launch()
        try:
            await asyncio.wait([launching])
        finally:
            self._launching = None
            launching.cancel()
        if launching.cancelled():
            self._fail_queued("KeyboardInterrupt", "Interrupted while waiting for an environment.")
            return False
        launched = launching.result()
        self._environment, self._relay = launched.environment, launched.relay
        if launched.relay is None:
            self._plain = PlainSession(launched.environment, self._publisher, self._table)
        self._is_set_up = self._has_run_cell = False
        return True

    def _lose_environment(self, error: EnvironmentGone) -> None:
        """The environment has ended: end what ran in it, and get ready for another."""
        relay, has_run_cell = self._relay, self._has_run_cell
        self._forget_environment()
        self._log.info("environment lost: %s", error.message)
        undelivered: list[Request] = []
        for request in self._table:
            if request.place is None or relay is None:
                continue
            if relay.is_safe_to_repeat(request.place):
                request.place = None
                undelivered.append(request)
        self._queue = deque(
            [*undelivered, *(one for one in self._queue if isinstance(one, Request))]
        )
        self._end_sent(
            "EnvironmentGone",
            "The session environment ended while this was running. Its variables and files "
            "are lost, and this was not run again. The next cell gets a new environment.",
        )
        if has_run_cell:
            self._launcher.notices.append(loss_sentence(self._idle_seconds))

    def _is_to_be_left(self, relay: Relay) -> bool:
        """Tell whether the cell that asked for another environment has ended in this one."""
        cell = self._calls.restarting
        return cell is not None and relay is self._relay and self._table.find(cell.msg_id) is None

    async def _leave_environment(self, relay: Relay) -> None:
        """Do what `%aca restart` asked for; what is queued behind its cell runs in the next one.

        The remote kernel begins no other cell by then (remote/magic.py), so none runs twice.
        """
        cell = self._calls.restarting
        self._log.info("the environment is left on request")
        self._forget_environment()
        behind = [one for one in self._table if one.place is not None and one.waits_in_turn]
        for request in behind:
            request.place = None
            request.is_started = False
        self._queue = deque([*behind, *(one for one in self._queue if isinstance(one, Request))])
        if cell is not None and cell.has_aborted_others:
            self._abort_queued(None)
        self._end_sent("EnvironmentGone", "The session environment was restarted by another cell.")
        if not self._backend.is_embedded:
            await relay.kill()
        await self._backend.discard_environment()

    def _forget_environment(self) -> None:
        if self._environment is not None:
            self._environment.release(keep=False)
        self._relay = self._plain = self._environment = None
        self._calls.restarting = None
        self._interrupt_pending = self._has_run_cell = self._owes_answer = False
        self._subshells.forget()
        self._announcer.forget()
        self._polls.stop()
        self._overlap.cancel()

    def _fail_all(self, error: AcaKernelError) -> None:
        """Nothing can be run now: end every request with the reason; the next tries again."""
        self._queue = deque(one for one in self._queue if isinstance(one, Record))
        if self._relay is not None:
            # What has been reported as failed must not run when the pool is back.
            self._relay.withdraw()
        for request in self._table:
            self._publisher.fail_with(request, error)

    def _fail_queued(self, ename: str, evalue: str) -> None:
        self._queue.clear()
        for request in self._table:
            self._publisher.fail(request, ename, evalue)

    # -- plain mode --------------------------------------------------------------

    async def _step_plain(self, plain: PlainSession) -> None:
        environment = self._environment
        assert environment is not None  # noqa: S101 - plain mode has one
        while self._queue:
            item = self._queue.popleft()
            if not isinstance(item, Request):
                continue
            if self._has_run_cell and environment.idle_seconds() > self._settings.cooldown_seconds:
                # Nothing in it could tell whether it is still the same one.
                self._queue.appendleft(item)
                raise EnvironmentGone("The cooldown has passed since the last call.")
            if item.is_execute:
                self._tell_notices(item)
                self._has_run_cell = True
            item.place = 0
            self._idle_seconds = environment.idle_seconds()
            succeeded = await plain.run(item)
            if not succeeded and item.aborts_on_error:
                self._abort_queued(None)

    async def close(self, *, for_restart: bool) -> None:
        """End the remote kernel, if that can be done at once, and forget everything.

        for_restart: this kernel is about to be started again, and wants its environment back.
        """
        for task in [*self._asides, self._launching]:
            if task is not None:
                task.cancel()
        self._launcher.close()
        self._overlap.cancel()
        self._calls.close()
        if self._relay is not None and not self._backend.is_embedded:
            await self._relay.kill()
        if self._environment is not None:
            self._environment.release(keep=True, for_restart=for_restart)
