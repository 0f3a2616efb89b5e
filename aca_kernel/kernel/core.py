"""One kernel without sockets, clocks or tasks: events go in, commands come out.

`Core.handle` takes one event (events.py) and returns what is to be done about it (commands.py).
Everything that is known of requests, of the environment's life and of what is under way is here
and in the parts that this puts together; none of them does anything but change values and add
commands. driver.py carries the commands out and tells what came of them.

What is done in turn. At most one thing is under way that the others wait for (`Doing`): launching,
an exchange, calls of the remote side, leaving an environment, or in plain mode the text of a cell.
After each event `_go_on` asks what is to be done next, if nothing is.

Pacing. An exchange needs a reason (exchange_pacing.py), so that whatever the remote side, the pool
or a front end says or does not say, there is one exchange at the most for one event, and without
events there are fewer and fewer.
"""

from __future__ import annotations

import logging
from collections import deque
from dataclasses import dataclass
from enum import Enum, auto
from typing import TYPE_CHECKING, Any

from ..checkpoint.carrier import is_own
from ..errors import (
    AcaKernelError,
    CheckpointFailed,
    EnvironmentGone,
    PoolBusy,
    PoolUnreachable,
    RemoteKernelDied,
    RemoteKernelExited,
    RemoteProtocolError,
    RequestLost,
    ResultUnknown,
    WaitInterrupted,
)
from ..messaging.early_status import ANNOUNCE_SECONDS, EarlyStatus
from ..messaging.kernel_info import kernel_info
from ..messaging.loss_wording import death_of
from ..messaging.publisher import Notice, Publisher
from ..messaging.rate_limit import RateLimit
from ..messaging.requests import Request, RequestTable
from ..messaging.setup_code import SetupCode
from ..messaging.subshells import Subshells
from ..messaging.unlaunched import EarlyAnswers
from ..messaging.widget_scripts import WidgetScripts
from ..remote.wire import Record
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
from .exchange_pacing import ExchangePacing
from .idle_polls import IdlePolls
from .interrupt import AGAIN_SECONDS, Interrupter
from .outputs import Began, Ended, Failed, Forwarder, SetupBegan
from .plain_mode import PlainMode
from .recovery import CheckpointFacts, Recovery
from .send_queue import SendQueue

if TYPE_CHECKING:
    from ..environment.exchange import Exchange
    from ..host.call import Restart

# A cell that runs for so long is worth two calls to find out how to interrupt it well.
_LONG_CELL_SECONDS = 1.0

# The user is told of a wait again after so long.
_REPEAT_NOTICE_SECONDS = 60.0

# So many environments may be gone before anything has come from them, one after the other.
_MOST_LOST_UNUSED = 3

# So often a remote kernel may end before it was ready, one after the other, before its
# environment is given up.
_MOST_FAILED_STARTS = 2


class Doing(Enum):
    """What is under way that everything else waits for."""

    NOTHING = auto()
    LAUNCH = auto()
    EXCHANGE = auto()
    CALLS = auto()
    LEAVE = auto()
    CODE = auto()


@dataclass(frozen=True)
class CoreOptions:
    """What the core must know of the settings.

    is_embedded: environments will have the packages of this Python.
    is_launching: an environment is being launched before anybody has asked for one.
    """

    cooldown_seconds: float
    restore: str
    is_embedded: bool = False
    is_launching: bool = False


class Core:
    """One kernel. table: its unfinished requests."""

    def __init__(
        self, options: CoreOptions, checkpoints: CheckpointFacts, log: logging.Logger
    ) -> None:
        self.table = RequestTable()
        self.doing = Doing.NOTHING
        self._options = options
        self._log = log
        self._now = 0.0
        self._out: list[Command] = []
        self._publisher = Publisher(self._out, self.table)
        self._announcer = EarlyStatus(self._publisher, self.table)
        self._subshells = Subshells()
        self._notices: list[str] = []
        self._setup, widgets = SetupCode(), WidgetScripts(self._publisher)
        self._early = EarlyAnswers(
            self._publisher, self._setup, widgets, is_embedded=options.is_embedded
        )
        self._backlog = SendQueue(
            self.table,
            self._publisher,
            self._subshells,
            self._announcer,
            self._notices,
            self._setup,
        )
        self._forwarder = Forwarder(
            self._publisher,
            self.table,
            self._announcer,
            self._subshells,
            self._setup,
            widgets,
            log,
        )
        self._recovery = Recovery(checkpoints, options.restore, self._notices, log)
        self._interrupter = Interrupter(self.table)
        self._polls = IdlePolls()
        self._pacer = RateLimit()
        self._kernel_info = kernel_info()
        # kernel_info requests on shell wait for the cells that were there before them.
        self._deferred: list[tuple[Request, set[str]]] = []
        self._has_exited = False
        # The environment: the way to its remote kernel, or what runs cells without one.
        self._exchange: Exchange | None = None
        self._plain: PlainMode | None = None
        self._remote_info: dict[str, Any] | None = None
        self._failed_starts = 0
        # Environments, one after the other, that have ended before anything came from them.
        self._lost_unused = 0
        # Whether a cell has begun in it, or variables were brought there, so that something is
        # lost when it ends; when it was called last, and how long it had not been used then.
        self._holds_state = False
        self._last_call = 0.0
        self._idle_seconds = 0.0
        self._pacing = ExchangePacing()
        self._was_waiting = False
        # What has come and is not handed on yet; the first of it has its time.
        self._incoming: deque[Record] = deque()
        self._paced_at: float | None = None
        self._calls: list[Record] = []
        # Messages of the checkpoint engine's that the remote kernel has not answered.
        self._awaited: set[str] = set()
        # The number of the restore that requests wait for, 0 if there is none.
        self._restoring = 0
        self._restores = 0
        self._restart: Restart | None = None
        self._failed_last = ""
        # Times at which there is something to do.
        self._armed: float | None = None
        self._announce_at: float | None = None
        self._probe_at: float | None = None
        # Since when the pool does not do what is asked of it, and why; what was told of it.
        self._trouble: AcaKernelError | None = None
        self._told: dict[str, float] = {}

    @property
    def is_idle(self) -> bool:
        """Whether no cell waits or runs."""
        return not len(self.table) and not self._backlog

    def start(self, now: float) -> list[Command]:
        """Return what is to be done first."""
        self._now = self._last_call = now
        self._publisher.status("starting", None)
        if self._options.is_launching:
            self._launch()
        return self._taken()

    def handle(self, event: Event) -> list[Command]:
        """Take what has happened; return what is to be done about it."""
        self._now = event.now
        if not self._has_exited:
            self._take(event)
            self._answer_deferred()
            self._go_on()
            self._arm()
        return self._taken()

    def _taken(self) -> list[Command]:
        taken = self._out.copy()
        self._out.clear()
        return taken

    def _take(self, event: Event) -> None:  # noqa: C901, PLR0912, PLR0915 - one place for what happens
        match event:
            case Exchanged() if self._is_current(event.generation):
                self._exchanged(event)
            case Received():
                self._receive(event)
            case TimeCame():
                self._armed = None
                self._check_times()
            case ExchangeFailed() if self._is_current(event.generation):
                self._give_up_exchange()
                self._pacing.failed()
                self._abandon_restore()
                self._fail_with(event.error)
            case CallRepeated():
                self._trouble = event.error
            case PoolWaits():
                self._tell_waiting(event.error, event.waited_seconds)
            case Noticed():
                self._publisher.tell_waiting_cell(event.text)
            case InterruptAsked():
                self._interrupt()
            case Interrupted() if self._is_current(event.generation):
                self._pacing.came_in()
                self._interrupter.was_sent(self._now)
            case HostAnswered() if self._is_current(event.generation):
                self._host_answered(event)
            case LossFound() if self._is_current(event.generation):
                self.doing = Doing.NOTHING
                self._lose_environment(event.error)
            case CarryAsked():
                self._carry(event)
            case Poked():
                self._pacing.came_in()
            case EnvironmentReady():
                self._launched(event)
            case LaunchFailed():
                self.doing = Doing.NOTHING
                self._fail_with(event.error)
            case LaunchInterrupted():
                self.doing = Doing.NOTHING
                self._answer_hidden()
                self._backlog.fail_all(
                    "KeyboardInterrupt", "Interrupted while waiting for an environment."
                )
            case Left():
                self.doing = Doing.NOTHING
            case Restored() if event.number == self._restoring:
                self._holds_state = self._recovery.restored(event.report, event.cells_since)
                self._end_restore()
            case RestoreFailed() if event.number == self._restoring:
                self._restore_failed(event.error)
            case CodeRan():
                self._code_ended(event.result)
            case CodeFailed():
                self._code_ended(event.error)
            case DriverFailed():
                self._driver_failed(event)

    # -- what is to be done next -----------------------------------------------------

    def _go_on(self) -> None:
        if self._has_exited or self._incoming:
            return
        if self.doing is Doing.EXCHANGE:
            self._send_along()
        elif self.doing is Doing.NOTHING:
            if self._exchange is not None:
                self._go_on_with(self._exchange)
            elif self._plain is not None:
                self._go_on_plainly(self._plain)
            elif self._backlog and not self._answer_all_early():
                self._launch()

    def _launch(self) -> None:
        self.doing = Doing.LAUNCH
        self._told.clear()
        self._out.append(Launch())

    def _go_on_with(self, exchange: Exchange) -> None:
        if self._backlog and not self._restoring:
            if self._recovery.is_due:
                self._recovery.begin()
                self._restore(after_death=False)
            else:
                self._send(exchange)
        is_waiting = any(one.is_sent for one in self.table)
        wants_more = is_waiting or exchange.has_more or bool(self._awaited)
        # A call that is under way is taken whenever it comes.
        if exchange.is_called or self._pacing.may_begin(self._now, wants_more=wants_more):
            self._begin_exchange(exchange, is_waiting=is_waiting)

    def _send_along(self) -> None:
        """Have what comes meanwhile go along: with the first call, or by one of its own."""
        exchange = self._exchange
        is_free = not (self._restoring or self._recovery.is_due)
        if exchange is None or not self._backlog or not is_free:
            return
        if not exchange.is_called:
            self._send(exchange)
        elif exchange.may_send_along:
            self._send(exchange)
            exchange.wait_at_least(exchange.windows.window_seconds)
            self._out.append(SendAlong())

    def _send(self, exchange: Exchange) -> None:
        self._recovery.tell()
        self._backlog.send(exchange, self._remote_info)
        self._pacing.came_in()

    def _begin_exchange(self, exchange: Exchange, *, is_waiting: bool) -> None:
        self._pacing.began(self._now)
        self.doing = Doing.EXCHANGE
        self._was_waiting = is_waiting
        self._idle_seconds = self._now - self._last_call
        may_wait = (is_waiting or bool(self._awaited)) and not exchange.has_more
        wait_seconds = exchange.windows.window_seconds if may_wait else 0.0
        exchange.begin(wait_seconds, self._now)
        self._out.append(DoExchange(wait_seconds))
        self._announce_at = self._now + ANNOUNCE_SECONDS
        if is_waiting and not exchange.windows.is_overlap_known and self._probe_at is None:
            self._probe_at = self._now + _LONG_CELL_SECONDS

    def _is_current(self, generation: str) -> bool:
        return self._exchange is not None and self._exchange.nonce == generation

    # -- times -----------------------------------------------------------------------

    def _arm(self) -> None:
        """Have the driver tell when there is something to do next."""
        times = [self._announce_at, self._probe_at, self._paced_at, self._interrupter.next_at]
        if self.doing is Doing.NOTHING and self._exchange is not None:
            times.append(self._polls.next_at)
            times.append(self._pacing.retry_at(self._now))
        due = [one for one in times if one is not None]
        if due and (self._armed is None or min(due) < self._armed):
            self._armed = min(due)
            self._out.append(WaitUntil(self._armed))

    def _check_times(self) -> None:
        now, exchange = self._now, self._exchange
        if self._announce_at is not None and now >= self._announce_at:
            self._announce_at = None
            self._announcer.announce()
        if self._paced_at is not None and now >= self._paced_at:
            self._take_incoming()
        if self._probe_at is not None and now >= self._probe_at:
            self._probe_at = None
            is_long = any(one.is_execute and one.is_running for one in self.table)
            if exchange is not None and not exchange.windows.is_overlap_known and is_long:
                self._wake()
        if self.doing is Doing.NOTHING and self._polls.is_due(now):
            self._polls.took_one()
            self._pacing.look()
        self._check_interrupt()

    def _wake(self) -> None:
        """End the exchange that the agent holds open, if it does."""
        if self.doing is Doing.EXCHANGE and self._exchange is not None and self._exchange.is_called:
            self._out.append(Wake())

    # -- from the front end ----------------------------------------------------------

    def _receive(self, event: Received) -> None:
        request = Request.of(event.channel, event.idents, event.frames, event.content)
        self._log.debug("%s on %s", request.msg_type, request.channel)
        match request.msg_type:
            case "kernel_info_request":
                self._receive_kernel_info(request)
            case "interrupt_request":
                self._publisher.begin(request)
                self._interrupt()
                self._publisher.answer(request, {"status": "ok"})
            case "shutdown_request":
                self._receive_shutdown(request)
            case "input_reply" if request.channel == "stdin":
                self._submit(request)
            case _ if request.channel == "stdin":
                # As ipykernel, which reads nothing else there, and nothing when it did not ask.
                self._log.warning("a %s on stdin is dropped", request.msg_type)
            case _:
                self._early.note(request)
                if not self._answer_early(request):
                    self.table.add(request)
                    self._submit(request)

    def _answer_early(self, request: Request) -> bool:
        """Answer what no environment is launched for, if there is none and none is coming.

        The one place where it is decided whether a request is worth one (`_answer_all_early` asks
        the same of those that wait).
        """
        has_remote_kernel = self._exchange is not None and not (
            # Asking could take a place in the pool already.
            request.only_looks
            and not len(self.table)
            and self._now - self._last_call > self._options.cooldown_seconds
        )
        is_coming = self.doing is Doing.LAUNCH or bool(self._backlog)
        return not has_remote_kernel and not is_coming and self._early.answer(request)

    def _answer_all_early(self) -> bool:
        """Answer all that waits if nothing of it is worth an environment; False if something is."""
        waiting = list(self._backlog)
        if not waiting or not all(map(self._early.applies, waiting)):
            return False
        self._backlog.clear()
        for request in waiting:
            self._early.answer(request)
        return True

    def _answer_hidden(self) -> None:
        """Answer hidden requests that have not been sent; set-up code waits for the next cell."""
        for request in self._backlog:
            if request.is_hidden:
                self._early.answer(request)

    def _submit(self, request: Request) -> None:
        self._backlog.add(request)
        exchange = self._exchange
        if exchange is not None and exchange.is_held and self.table.is_urgent(request):
            # It would reach the remote kernel too late with the next exchange.
            self._wake()

    def _receive_kernel_info(self, request: Request) -> None:
        cells = {one.msg_id for one in self.table if one.is_execute}
        if request.channel == "shell" and cells:
            self._deferred.append((request, cells))
        else:
            self._publisher.answer(request, self._kernel_info)

    def _answer_deferred(self) -> None:
        if not self._deferred:
            return
        waiting, self._deferred = self._deferred, []
        for request, cells in waiting:
            cells -= {one for one in cells if self.table.find(one) is None}
            if cells:
                self._deferred.append((request, cells))
            else:
                self._publisher.answer(request, self._kernel_info)

    def _receive_shutdown(self, request: Request) -> None:
        restart = bool(request.content.get("restart", False))
        self._log.info("shutting down, restart: %s", restart)
        reply = {"status": "ok", "restart": restart}
        self._publisher.begin(request)
        self._publisher.reply(request, reply)
        # Other front ends of this kernel learn of it on iopub, as from ipykernel.
        self._publisher.publish("shutdown_reply", reply, request)
        self._publisher.end(request)
        self._exit(for_restart=restart)

    def _exit(self, *, for_restart: bool = False) -> None:
        self._has_exited = True
        self._out.append(Exit(for_restart))

    # -- from the remote side --------------------------------------------------------

    def _end_exchange(self) -> None:
        self.doing = Doing.NOTHING
        self._last_call = self._now

    def _give_up_exchange(self) -> None:
        self._end_exchange()
        if self._exchange is not None:
            self._exchange.end()

    def _exchanged(self, event: Exchanged) -> None:
        exchange = self._exchange
        if exchange is None:
            return
        self._end_exchange()
        self._trouble = None
        self._lost_unused = 0
        has_brought = bool(event.records) or exchange.has_progressed
        self._pacing.ended(self._now, has_brought=has_brought)
        self._incoming.extend(event.records)
        self._take_incoming()

    def _take_incoming(self) -> None:
        """Hand on what has come, as quickly as it may be."""
        exchange = self._exchange
        while self._incoming and exchange is not None:
            if self._paced_at is None and exchange.is_catching_up:
                delay = self._pacer.delay(self._incoming[0], self._now)
                if delay > 0:
                    self._paced_at = self._now + delay
                    self._interrupt_due()
                    return
            elif self._paced_at is not None and self._now < self._paced_at:
                return
            self._paced_at = None
            self._take_record(self._incoming.popleft())
            self._answer_deferred()
            if exchange is not self._exchange or self._has_exited:
                return
            if self._restart is not None and self.table.find(self._restart.msg_id) is None:
                self._leave_environment(self._restart)
                return
        if exchange is not None:
            self._took_all(exchange)

    def _took_all(self, exchange: Exchange) -> None:
        if not exchange.has_more and self._pacer.is_through():
            exchange.is_catching_up = False
        self._end_unknown(exchange)
        self._interrupt_due()
        calls, self._calls = tuple(self._calls), []
        if calls:
            self.doing = Doing.CALLS
            self._out.append(CallHost(calls))
        else:
            self._plan_polls(exchange, is_first=self._was_waiting)

    def _plan_polls(self, exchange: Exchange, *, is_first: bool) -> None:
        is_needed = exchange.has_background and not len(self.table)
        self._polls.plan(is_needed=is_needed, after_request=is_first, now=self._now)

    def _end_unknown(self, exchange: Exchange) -> None:
        """End requests that have arrived, and of which the agent knows nothing any more.

        Nothing will come of them: without this, they would be waited for for ever.
        """
        if exchange.open_count != 0 or exchange.has_more:
            return
        for request in self.table:
            if not request.is_sent or not exchange.has_arrived(request.place):
                continue
            if request.wants_reply:
                self._log.warning("a %s is lost in the environment", request.msg_type)
                self._publisher.fail_with(
                    request,
                    RequestLost("The environment does not know of this any more. Run it again."),
                )
            else:
                self._publisher.answer(request, {})

    def _take_record(self, record: Record) -> None:
        match record.kind:
            case "msg":
                parent = str(record.head.get("parent", ""))
                is_output = record.head.get("channel") == "iopub" and "state" not in record.head
                if is_own(parent) and not is_output:
                    self._awaited.discard(parent if _is_last(record) else "")
                    self._out.append(Deliver(record))
                else:
                    self._see(record)
            case "got":
                self._out.append(Deliver(record))
            case "call":
                self._calls.append(record)
            case "closed":
                request = self.table.find(str(record.head.get("parent", "")))
                if request is not None and not request.wants_reply:
                    self._publisher.answer(request, {})
            case "ready":
                info = record.head.get("info")
                self._remote_info = info if isinstance(info, dict) else None
                self._failed_starts = 0
                self._log.info("remote kernel is ready, pid %s", record.head.get("pid"))
            case "dead":
                self._bury(record.head)

    def _see(self, record: Record) -> None:
        """Forward a message of the remote kernel, and note what it says of its request."""
        match self._forwarder.forward(record, self._now):
            case Began(request) if request.is_execute:
                self._early.began(request)
                # Not when it is sent: the environment may turn out to be gone by then.
                self._holds_state = self._holds_state or not request.is_hidden
            case SetupBegan() if self._interrupter.is_waiting:
                self._out.append(Interrupt(""))
            case Failed(request):
                self._failed_last = request.msg_id
                self._backlog.abort(request.subshell_id)
            case Ended(request, seconds) if request.is_execute:
                if not request.is_hidden:
                    self._out.append(CellEnded(seconds))
                if self._forwarder.asks_exit:
                    # The remote kernel is ending; ipykernel's process would end now too.
                    self._exit()

    def _bury(self, head: dict[str, Any]) -> None:
        """The remote kernel has ended: end what it was doing, start another one."""
        code, reason = int(head.get("code", 0)), str(head.get("failure", ""))
        if self._forwarder.asks_exit:
            self._log.info("the remote kernel was told to quit")
            self._exit()
            return
        if not head.get("ready"):
            self._log.warning("the remote kernel did not start: %s", head.get("text"))
            self._failed_starts += 1
        self._log.warning("the remote kernel ended with status %s", code)
        if reason or self._failed_starts >= _MOST_FAILED_STARTS:
            self._give_up(reason or f"it {death_of(code)}")
            return
        told = self._recovery.died(code, while_restoring=bool(self._restoring))
        self._out += [
            LoseVariables(),
            FailCarried(CheckpointFailed("The remote kernel ended meanwhile.")),
        ]
        self._awaited.clear()
        self._subshells.forget()
        self._announcer.forget()
        kind = RemoteKernelDied if code < 0 else RemoteKernelExited
        is_seen = self._backlog.end_sent(kind.ename, told, kind.reason)
        if not self._restoring:
            if not is_seen:
                self._recovery.tell_later(told)
            self._backlog.abort(None)
        if self._exchange is not None:
            self._exchange.send(Record({"kind": "restart"}))
            self._pacing.came_in()
        self._setup.begin_anew()

    def _give_up(self, reason: str) -> None:
        """No remote kernel can be started in this environment: the next cell gets another one."""
        told = f"The remote kernel ended and could not be started again: {reason}."
        self._forget_environment(EnvironmentGone(told))
        self._backlog.end_sent(
            "RemoteKernelDied",
            f"{told} The environment was given up, its variables and files are lost. "
            "The next cell gets a new one.",
        )
        self._recovery.gave_up(f"{told[:-1]}, so its environment was given up")
        self.doing = Doing.LEAVE
        self._out.append(Leave(keeps_state=True))

    # -- calls of the remote side, and the checkpoint engine -------------------------

    def _host_answered(self, event: HostAnswered) -> None:
        exchange = self._exchange
        if exchange is None:
            return
        for answer in event.answers:
            exchange.send(answer)
            self._pacing.came_in()
        if event.is_late:
            self._wake()
            return
        self.doing = Doing.NOTHING
        self._last_call = self._now
        self._restart = event.restart or self._restart
        # A thread that fetches a file may have the next question.
        self._plan_polls(exchange, is_first=self._was_waiting or event.may_continue)

    def _carry(self, event: CarryAsked) -> None:
        exchange = self._exchange
        if exchange is None:
            self._out.append(FailCarried(EnvironmentGone("The session environment has ended.")))
            return
        exchange.send(event.record)
        if event.msg_id:
            self._awaited.add(event.msg_id)
        self._pacing.came_in()
        if event.is_urgent and exchange.is_held:
            self._wake()

    def _restore_failed(self, error: AcaKernelError | None) -> None:
        if error is None:
            self._recovery.give_up("It was interrupted.")
        elif self._recovery.failed(error):
            self._restore(after_death=True)
            return
        self._end_restore()

    def _restore(self, *, after_death: bool) -> None:
        self._restores += 1
        self._restoring = self._restores
        self._out.append(Restore(self._restoring, after_death))

    def _abandon_restore(self) -> None:
        """Restore at another time."""
        if self._restoring:
            self._restoring = 0
            self._out.append(CancelRestore())

    def _end_restore(self) -> None:
        self._restoring = 0
        if self._interrupter.is_restore_interrupted:
            self._interrupter.forget()
            self._backlog.fail_all(
                "KeyboardInterrupt", "Interrupted while variables were brought back."
            )

    # -- interrupts ------------------------------------------------------------------

    def _interrupt(self) -> None:
        """Interrupt what runs; what is queued behind it follows ipykernel's rules."""
        exchange = self._exchange
        if self.doing is Doing.LAUNCH:
            self._out.append(CancelLaunch())
        elif self._plain is not None:
            self._out.append(StopCode())
        elif exchange is None:
            return
        elif self._restoring:
            self._out.append(StopWaiting(None))
            self._interrupter.is_restore_interrupted = True
            self._interrupt_restore()
        else:
            running, first = self._interrupter.ask(self._ended())
            if running is not None:
                self._send_interrupt(running)
            elif first is not None:
                # Not begun as far as we know: a signal now might come before it, which
                # ipykernel ignores. It is sent when its busy has arrived.
                self._out.append(StopWaiting(first.place if first.is_sent else None))
                if self._setup.running:
                    self._out.append(Interrupt(""))
                self._wake()

    def _interrupt_due(self) -> None:
        """Interrupt what an interrupt has been waiting for, if it runs now."""
        request = self._interrupter.due(self._ended())
        if request is not None:
            self._send_interrupt(request)

    def _send_interrupt(self, request: Request) -> None:
        self._forwarder.interrupted.add(request.msg_id)
        self._out.append(Interrupt(request.msg_id))

    def _ended(self) -> set[str]:
        """Return the requests whose idle has come, though it is not handed on yet."""
        return {
            str(one.head.get("parent")) for one in self._incoming if one.head.get("state") == "idle"
        }

    def _interrupt_restore(self) -> None:
        if self._awaited:
            # ipykernel ignores what comes before it has begun with a request.
            self._out.append(Interrupt(""))
            self._interrupter.again_at = self._now + AGAIN_SECONDS
        else:
            # Nothing runs over there yet that a signal could reach.
            self._out.append(CancelRestore())

    def _check_interrupt(self) -> None:
        again_at = self._interrupter.again_at
        if again_at is not None and self._now >= again_at:
            self._interrupter.again_at = None
            if self._restoring:
                self._interrupt_restore()
        cell = self._interrupter.unfelt(self._now)
        if cell is not None and self._trouble is not None:
            text = (
                f"{self._trouble.message} The cell is interrupted as soon as the pool answers; "
                "restart the kernel to wait no longer."
            )
            self._publisher.tell(Notice(text, self._trouble.reason), cell)

    # -- the environment's life --------------------------------------------------------

    def _launched(self, event: EnvironmentReady) -> None:
        self.doing = Doing.NOTHING
        self._last_call = self._now
        self._exchange = event.exchange
        self._holds_state = False
        self._pacing, self._failed_starts = ExchangePacing(), 0
        self._notices += event.notices
        if event.exchange is None:
            self._plain = PlainMode(self._publisher)
            self._recovery.tell()
        else:
            # The agent may have said something about the remote kernel's start already.
            self._pacing.came_in()
        self._setup.begin_anew()

    def _lose_environment(self, error: EnvironmentGone) -> None:
        """The environment has ended: end what ran in it, and get ready for another."""
        exchange, held_state, idle = self._exchange, self._holds_state, self._idle_seconds
        self._forget_environment(EnvironmentGone("The session environment has ended."))
        self._log.info("environment lost: %s", error.message)
        if exchange is not None:
            self._backlog.put_back(
                one for one in self.table if one.is_sent and exchange.is_safe_to_repeat(one.place)
            )
        self._backlog.end_sent(
            "EnvironmentGone",
            "The session environment ended while this was running. Its variables and files "
            "are lost, and this was not run again. The next cell gets a new environment.",
        )
        if held_state:
            self._recovery.lost_environment(idle)
        self._lost_unused += 1
        if self._lost_unused > _MOST_LOST_UNUSED:
            self._lost_unused = 0
            self._fail_all(
                RemoteProtocolError(
                    "Every environment that the session pool launches is gone before its first "
                    "use. Check the pool, then run the cell again."
                )
            )

    def _leave_environment(self, restart: Restart) -> None:
        """Do what `%aca restart` asked for; what is queued behind its cell runs in the next one.

        The remote kernel begins no other cell by then (remote/magic.py), so none runs twice.
        """
        self._log.info("the environment is left on request")
        self._forget_environment(EnvironmentGone("The session environment has ended."))
        self._backlog.put_back(
            one for one in self.table if one.is_sent and not one.is_replied and one.waits_in_turn
        )
        if restart.msg_id == self._failed_last:
            self._backlog.abort(None)
        self._backlog.end_sent(
            "EnvironmentGone", "The session environment was restarted by another cell."
        )
        self._recovery.left(keeps_state=restart.keeps_state)
        self.doing = Doing.LEAVE
        self._out.append(Leave(keeps_state=restart.keeps_state))

    def _forget_environment(self, error: EnvironmentGone) -> None:
        self._out += [Forget(), FailCarried(error)]
        self._exchange = self._plain = None
        self._restart = self._remote_info = None
        self._holds_state = False
        self._pacing.forget_news()
        if self._restoring:
            self._abandon_restore()
            self._recovery.lost_while_restoring()
        self._incoming.clear()
        self._calls.clear()
        self._awaited.clear()
        self._paced_at = self._probe_at = self._announce_at = None
        self._interrupter.forget()
        self._subshells.forget()
        self._announcer.forget()
        self._polls.stop()

    # -- what goes wrong ---------------------------------------------------------------

    def _fail_with(self, error: AcaKernelError) -> None:
        if isinstance(error, EnvironmentGone):
            self._lose_environment(error)
        else:
            self._log.warning("%s %s", error.reason, error.detail)
            self._fail_all(error)

    def _fail_all(self, error: AcaKernelError) -> None:
        """Nothing can be run now: end every request with the reason; the next tries again."""
        self._answer_hidden()
        self._interrupter.forget()
        self._out.append(FailCarried(CheckpointFailed(error.message)))
        self._awaited.clear()
        self._polls.stop()
        exchange = self._exchange
        if exchange is not None:
            # What has been reported as failed must not run when the pool is back.
            exchange.withdraw()
            if isinstance(error, (PoolUnreachable, PoolBusy, ResultUnknown)):
                self._backlog.fail_left(exchange, error)
        name = "KeyboardInterrupt" if isinstance(error, WaitInterrupted) else type(error).__name__
        self._backlog.fail_all(name, error.message)
        self._pacing.forget_news()

    def _driver_failed(self, event: DriverFailed) -> None:
        """A defect of ours must not leave any request unanswered for ever."""
        if event.ends_turn:
            self._give_up_exchange()
        if event.is_fatal:
            self._pacing.failed()
            self._incoming.clear()
            self._calls.clear()
            self._paced_at = None
            self._fail_all(AcaKernelError("The kernel failed; its log says how. Restart it."))
        else:
            self._notices.append(f"The kernel could not {event.what}; its log says why.")

    def _tell_waiting(self, error: AcaKernelError, waited_seconds: float) -> None:
        """Tell the user, in the first waiting cell, what it waits for."""
        self._trouble = error
        last = self._told.get(error.reason)
        if last is not None and self._now - last < _REPEAT_NOTICE_SECONDS:
            return
        suffix = f" Waiting since {waited_seconds:.0f} s." if last is not None else " Waiting…"
        if self._publisher.tell_waiting_cell(Notice(error.message + suffix, error.reason)):
            self._told[error.reason] = self._now

    # -- plain mode --------------------------------------------------------------------

    def _go_on_plainly(self, plain: PlainMode) -> None:
        while self._backlog and self.doing is Doing.NOTHING:
            self._idle_seconds = self._now - self._last_call
            if self._holds_state and self._idle_seconds > self._options.cooldown_seconds:
                # Nothing in it could tell whether it is still the same one.
                self._lose_environment(
                    EnvironmentGone("The cooldown has passed since the last call.")
                )
                self._launch()
                return
            request = self._backlog.take_first()
            self._holds_state = self._holds_state or request.is_execute
            code = plain.begin(request)
            if code is not None:
                self.doing = Doing.CODE
                self._out.append(RunCode(code))
            elif plain.has_failed(request):
                self._backlog.abort(None)

    def _code_ended(self, outcome: Any) -> None:
        self.doing = Doing.NOTHING
        self._last_call = self._now
        if self._plain is None:
            return
        if isinstance(outcome, EnvironmentGone):
            self._lose_environment(outcome)
            return
        request = self._plain.end(outcome)
        if request is not None and self._plain.has_failed(request):
            self._backlog.abort(None)


def _is_last(record: Record) -> bool:
    """Tell whether nothing more is to be waited for of a message of the checkpoint engine's."""
    return record.head.get("channel") != "iopub" or record.head.get("state") == "idle"
