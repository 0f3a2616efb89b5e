"""One kernel without sockets, clocks or tasks: events go in, commands come out.

`Core.handle` takes one event (events.py) and returns what is to be done about it (commands.py).
Everything that is known of requests, of the environment's life and of what is under way is here
and in the parts that this puts together; none of them does anything but change values and add
commands. driver.py carries the commands out and tells what came of them.

What is done in turn. At most one thing is under way that the others wait for (`Doing`): launching,
an exchange, calls of the remote side, leaving an environment, or in plain mode the text of a cell.
After each event `_go_on` asks what is to be done next, if nothing is.

Pacing. An exchange needs a reason (exchange_loop.py), so that whatever the remote side, the pool
or a front end says or does not say, there is one exchange at the most for one event, and without
events there are fewer and fewer.
"""

from __future__ import annotations

import logging
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
    ResultUnknown,
    WaitInterrupted,
)
from ..messaging.early_status import ANNOUNCE_SECONDS
from ..messaging.kernel_info import KernelInfo
from ..messaging.requests import Request
from ..messaging.unlaunched import EarlyAnswers
from ..remote.wire import Record
from . import commands as do
from . import events as on
from .delivery import Delivery
from .ending import Ending
from .interrupt import Interrupter
from .lifecycle import Lifecycle
from .outputs import (
    Began,
    Ended,
    Failed,
    Forwarder,
    Serving,
    SetupBegan,
    unreachable_servers,
)
from .pool_trouble import PoolTrouble
from .recovery import Recovery
from .send_queue import SendQueue
from .shared import Shared
from .usage import Usage

if TYPE_CHECKING:
    from ..host.call import Restart
    from ..pool.tool_result import ToolResult
    from .commands import Command
    from .events import Event
    from .exchange_loop import ExchangeLoop
    from .plain_mode import PlainMode


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
    network: that of this machine, as `remote.servers` tells it.
    """

    cooldown_seconds: float
    restore: str
    is_embedded: bool = False
    is_launching: bool = False
    network: str = ""


class Core:
    """One kernel. table: its unfinished requests."""

    def __init__(self, options: CoreOptions, log: logging.Logger) -> None:
        self._shared = shared = Shared(log)
        self.table = shared.table
        self.doing = Doing.NOTHING
        self._options = options
        self._log = log
        self._now = 0.0
        self._out = shared.out
        self._publisher = shared.publisher
        self._early = EarlyAnswers(
            self._publisher,
            shared.setup,
            shared.widgets,
            shared.announcer,
            is_embedded=options.is_embedded,
        )
        self._backlog = SendQueue(shared)
        self._recovery = Recovery(shared, options.restore)
        self._life = Lifecycle(shared, self._backlog, self._recovery)
        self._usage = Usage(shared, self._life, self._recovery, options.cooldown_seconds)
        self._forwarder = Forwarder(shared, self._usage)
        self._trouble = PoolTrouble(self._publisher)
        self._interrupter = Interrupter(self.table, self._out)
        self._kernel_info = KernelInfo(self.table, self._publisher)
        self._ending = Ending(shared, self._life)
        # Of servers that the user knows not to reach.
        self._told_ports: set[int] = set()
        self._was_idle = True
        # What has come of the present environment and is not done yet.
        self._delivery = Delivery()
        self._calls: list[Record] = []
        self._restart: Restart | None = None
        self._failed_last = ""
        # Times at which there is something to do.
        self._armed: float | None = None
        self._announce_at: float | None = None

    def start(self, now: float) -> list[Command]:
        """Return what is to be done first."""
        self._now = now
        self._life.call_ended(now)
        self._publisher.status("starting", None)
        if self._options.is_launching:
            self._launch()
        return self._taken()

    def handle(self, event: Event) -> list[Command]:
        """Take what has happened; return what is to be done about it."""
        self._now = event.now
        if not self._ending.has_come:
            self._take(event)
            self._kernel_info.answer_due()
            self._ending.check(self._now)
            self._go_on()
            self._tell_launch()
            self._arm()
            self._tell_idle()
        return self._taken()

    def _tell_launch(self) -> None:
        """Publish busy for the cell that an environment is launched for.

        Front ends take the idle of what came before it for the cell's, if there is nothing between.
        """
        oldest = self.table.oldest() if self.doing is Doing.LAUNCH else None
        if oldest is not None and oldest.is_cell:
            self._publisher.begin(oldest)

    def _tell_idle(self) -> None:
        is_idle = not len(self.table) and not self._backlog
        if is_idle is not self._was_idle:
            self._was_idle = is_idle
            self._out.append(do.TellIdle(is_idle))

    def _taken(self) -> list[Command]:
        taken = self._out.copy()
        self._out.clear()
        return taken

    def _take(self, event: Event) -> None:  # noqa: C901, PLR0912, PLR0915 - one place for what happens
        match event:
            case (
                on.Exchanged()
                | on.ExchangeFailed()
                | on.Interrupted()
                | on.HostAnswered()
                | on.LossFound()
            ) if not self._life.is_current(event.generation):
                pass  # it is about an environment that has been given up
            case on.Exchanged():
                self._exchanged(event.records)
            case on.Received():
                self._receive(event)
            case on.TimeCame():
                self._armed = None
                self._check_times()
            case on.ExchangeFailed():
                self._end_turn()
                self._recovery.abandon()
                if self._life.loop is not None:
                    self._life.loop.failed()
                self._fail_with(event.error)
            case on.CallRepeated():
                self._trouble.error = event.error
            case on.PoolWaits():
                self._trouble.tell(event.error, event.waited_seconds, self._now)
            case on.Noticed():
                self._publisher.tell_waiting_cell(event.text)
            case on.InterruptAsked():
                self._interrupt()
            case on.Interrupted():
                self._look()
                self._interrupter.was_sent(self._now)
            case on.HostAnswered():
                self._host_answered(event)
            case on.LossFound():
                self._end_turn()
                self._lose_environment(event.error)
            case on.CarryAsked():
                self._carry(event)
            case on.Poked():
                self._look()
            case on.CheckpointKept():
                self._recovery.kept(has_any=event.has_any)
            case on.CheckpointMissed():
                self._recovery.problem = event.problem
            case on.EnvironmentReady():
                self._launched(event)
            case on.LaunchFailed():
                self._end_turn()
                self._fail_with(event.error)
            case on.LaunchInterrupted() | on.Left():
                self._end_turn()
            case on.Restored() if self._recovery.is_current(event.number):
                self._recovery.restored(event.report, event.cells_since)
                self._life.holds_state = True
                self._end_restore()
            case on.RestoreFailed() if self._recovery.is_current(event.number):
                self._recovery.failed(event.error)
                self._end_restore()
            case on.CodeRan():
                self._code_ended(event.result)
            case on.CodeFailed():
                self._code_ended(event.error)
            case on.DriverFailed():
                self._driver_failed(event)

    # -- what is to be done next -----------------------------------------------------

    def _go_on(self) -> None:
        if self._ending.is_decided or self._delivery:
            return
        if self.doing is Doing.EXCHANGE:
            self._send_along()
        elif self.doing is Doing.NOTHING:
            if self._life.loop is not None:
                self._go_on_with(self._life.loop)
            elif self._life.plain is not None:
                self._go_on_plainly(self._life.plain)
            elif self._backlog:
                self._answer_early_or_launch()

    def _begin(self, doing: Doing, command: Command) -> None:
        """Have something done that everything else waits for."""
        self.doing = doing
        self._out.append(command)

    def _end_turn(self) -> None:
        """What was begun has ended."""
        self.doing = Doing.NOTHING
        self._life.call_ended(self._now)

    def _launch(self) -> None:
        self._trouble.forget_told()
        self._begin(Doing.LAUNCH, do.Launch())

    def _go_on_with(self, loop: ExchangeLoop) -> None:
        if self._backlog and not self._recovery.is_restoring:
            if self._recovery.is_due:
                self._recovery.begin()
                # Its first question comes at once, and brings what the agent has to say.
                loop.await_news()
            else:
                self._send(loop)
        is_waiting = any(one.is_sent for one in self.table)
        wait_seconds = loop.begin(self._now, is_waiting=is_waiting)
        if wait_seconds is not None:
            if self._life.idle_seconds(self._now) > self._options.cooldown_seconds:
                self._out.append(do.Prepare())
            self._life.call_begins(self._now)
            self._begin(Doing.EXCHANGE, do.DoExchange(wait_seconds))
            self._announce_at = self._now + ANNOUNCE_SECONDS

    def _send_along(self) -> None:
        """Have what comes meanwhile go along: with the first call, or by one of its own."""
        loop = self._life.loop
        is_free = not (self._recovery.is_restoring or self._recovery.is_due)
        if loop is None or not self._backlog or not is_free:
            return
        if not loop.exchange.is_called:
            self._send(loop)
        elif loop.exchange.may_send_along:
            self._send(loop)
            loop.send_along()
            self._out.append(do.SendAlong())

    def _send(self, loop: ExchangeLoop) -> None:
        self._recovery.tell()
        cell = self._backlog.send(loop, self._life.remote_info)
        if cell is not None and not loop.exchange.is_called:
            self._out.append(do.LookAhead(cell.commands))
        if cell is not None and cell.has_starter:
            self._out.append(do.StartAhead(cell.msg_id, cell.commands))

    def _look(self) -> None:
        """Do an exchange even if nothing is waited for."""
        if self._life.loop is not None:
            self._life.loop.look()

    # -- times -----------------------------------------------------------------------

    def _arm(self) -> None:
        """Have the driver tell when there is something to do next."""
        parts = (self._delivery, self._interrupter, self._ending)
        times = [self._announce_at, *(one.next_at for one in parts)]
        if self._life.loop is not None:
            times += self._life.loop.times(self._now, is_free=self.doing is Doing.NOTHING)
        due = [one for one in times if one is not None]
        if due and (self._armed is None or min(due) < self._armed):
            self._armed = min(due)
            self._out.append(do.WaitUntil(self._armed))

    def _check_times(self) -> None:
        if self._announce_at is not None and self._now >= self._announce_at:
            self._announce_at = None
            self._shared.announcer.announce()
        if self._delivery.next_at is not None:
            self._take_incoming()
        loop = self._life.loop
        if loop is not None and loop.check(self._now, is_free=self.doing is Doing.NOTHING):
            self._probe()
        self._check_interrupt()

    def _probe(self) -> None:
        """Find out whether the shell tool gets round an exchange: worth it for a long cell."""
        if any(one.is_execute and one.is_running for one in self.table):
            self._wake()

    def _wake(self) -> None:
        """End the exchange that the agent holds open, if it does."""
        if self._life.loop is not None and self._life.loop.exchange.is_called:
            self._out.append(do.Wake())

    # -- from the front end ----------------------------------------------------------

    def _receive(self, event: on.Received) -> None:
        request = Request.of(event.channel, event.idents, event.frames, event.content)
        self._log.debug("%s on %s", request.msg_type, request.channel)
        match request.msg_type:
            case "kernel_info_request":
                self._kernel_info.asked(request)
            case "interrupt_request":
                self._publisher.begin(request)
                self._interrupt()
                self._publisher.answer(request, {"status": "ok"})
            case "shutdown_request":
                self._ending.shut_down(request, self._now)
            case "input_reply" if request.channel == "stdin" and self._life.loop is not None:
                self._submit(request)
            case _ if request.channel == "stdin":
                # As ipykernel, which reads nothing else there, and nothing when it did not ask. Who
                # has asked may have ended: the user's answer is no reason for another environment.
                self._log.warning("a %s on stdin is dropped", request.msg_type)
            case _:
                self._early.note(request)
                if not self._answer_early(request):
                    self.table.add(request)
                    self._interrupter.note(request)
                    self._usage.sent(request, self._now)
                    self._submit(request)

    def _answer_early(self, request: Request) -> bool:
        """Answer what no environment is launched for, if there is none and none is coming.

        The one place where it is decided whether a request is worth one
        (`_answer_early_or_launch` asks the same of those that wait).
        """
        has_remote_kernel = self._life.loop is not None and not (
            # Asking could take a place in the pool already.
            request.only_looks
            and not len(self.table)
            and self._life.idle_seconds(self._now) > self._options.cooldown_seconds
        )
        is_coming = self.doing is Doing.LAUNCH or bool(self._backlog)
        has_any = has_remote_kernel or is_coming or self._life.plain is not None
        if request.asks_usage and has_any:
            return self._usage.answer(request, self._now, has_remote_kernel=has_remote_kernel)
        return not has_remote_kernel and not is_coming and self._early.answer(request)

    def _answer_early_or_launch(self) -> None:
        if self._early.answer_all(self._backlog):
            self._backlog.clear()
        else:
            self._launch()

    def _submit(self, request: Request) -> None:
        self._backlog.add(request)
        loop = self._life.loop
        if loop is not None and loop.exchange.is_held and self.table.is_urgent(request):
            # It would reach the remote kernel too late with the next exchange.
            self._wake()

    # -- from the remote side --------------------------------------------------------

    def _exchanged(self, records: list[Record]) -> None:
        self._end_turn()
        self._trouble.error = None
        self._life.answered()
        if self._life.loop is not None:
            self._life.loop.ended(self._now, has_records=bool(records))
        self._delivery.add(records)
        self._take_incoming()

    def _take_incoming(self) -> None:
        """Hand on what has come, as quickly as it may be."""
        loop = self._life.loop
        while loop is not None:
            record = self._delivery.take(self._now, is_limited=loop.exchange.is_catching_up)
            if record is None:
                break
            self._take_record(record)
            self._kernel_info.answer_due()
            if loop is not self._life.loop or self._ending.has_come:
                return
            if self._restart is not None and self.table.find(self._restart.msg_id) is None:
                self._leave_environment(self._restart)
                return
        if self._delivery:
            self._interrupter.send_due(self._delivery.ended())
        elif loop is not None:
            self._took_all(loop)

    def _took_all(self, loop: ExchangeLoop) -> None:
        if not loop.exchange.has_more and self._delivery.is_through():
            loop.exchange.is_catching_up = False
        self._backlog.end_unknown(loop.exchange)
        self._interrupter.send_due(set())
        calls, self._calls = tuple(self._calls), []
        if calls:
            self._begin(Doing.CALLS, do.CallHost(calls))
        else:
            loop.plan_polls(self._now, is_idle=not len(self.table))

    def _take_record(self, record: Record) -> None:
        match record.kind:
            case "msg":
                parent = str(record.head.get("parent", ""))
                is_output = record.head.get("channel") == "iopub" and "state" not in record.head
                if is_own(parent) and not is_output:
                    self._answered(parent, record)
                    self._out.append(do.Deliver(record))
                else:
                    self._see(record)
            case "got":
                self._out.append(do.Deliver(record))
            case "call":
                self._calls.append(record)
            case "closed":
                request = self.table.find(str(record.head.get("parent", "")))
                if request is not None and not request.wants_reply:
                    self._publisher.answer(request, {})
            case "ready":
                self._life.ready(record.head)
            case "dead":
                self._bury(record.head)

    def _see(self, record: Record) -> None:
        """Forward a message of the remote kernel, and note what it says of its request."""
        match self._forwarder.forward(record, self._now):
            case Began(request) if request.is_execute:
                self._early.began(request)
                # Not when it is sent: the environment may turn out to be gone by then.
                self._life.holds_state |= not request.is_hidden
            case SetupBegan() if self._interrupter.is_waiting:
                self._interrupter.signal()
            case Serving(request, ports, network) if network != self._options.network:
                if new := sorted(ports - self._told_ports):
                    self._told_ports |= ports
                    self._publisher.tell(unreachable_servers(new), request)
            case Failed(request):
                self._failed_last = request.msg_id
                self._backlog.abort(request.subshell_id)
            case Ended(request, seconds) if request.is_execute:
                if not request.is_hidden:
                    self._out.append(do.CellEnded(seconds))
                if self._forwarder.asks_exit:
                    self._ending.exit_soon(self._now)

    def _bury(self, head: dict[str, Any]) -> None:
        """The remote kernel has ended."""
        if self._forwarder.asks_exit:
            self._log.info("the remote kernel was told to quit")
            if not self._ending.is_decided:
                self._ending.end()
            return
        self._forget_remote_kernel()
        failure = self._life.bury(head)
        if self._life.loop is None:
            # No remote kernel starts in it.
            is_interrupted = self._interrupter.has_something_waiting
            self._forget_environment()
            self._begin(Doing.LEAVE, do.Leave(keeps_state=True))
            if is_interrupted:
                self._fail_all(WaitInterrupted("Interrupted while the remote kernel was started."))
            elif failure is not None:
                self._fail_all(failure)
        else:
            self._end_restore()

    # -- calls of the remote side, and the checkpoint engine -------------------------

    def _host_answered(self, event: on.HostAnswered) -> None:
        loop = self._life.loop
        if loop is None:
            return
        for answer in event.answers:
            loop.send(answer)
        if event.is_late:
            self._wake()
            return
        self._end_turn()
        self._restart = event.restart or self._restart
        # A thread that fetches a file may have the next question.
        is_idle = not len(self.table)
        loop.plan_polls(self._now, is_idle=is_idle, may_continue=event.may_continue)

    def _carry(self, event: on.CarryAsked) -> None:
        loop = self._life.loop
        if loop is None:
            self._out.append(do.FailCarried(EnvironmentGone("The session environment has ended.")))
            return
        loop.send(event.record)
        if event.msg_id:
            loop.awaited.add(event.msg_id)
            if self.doing is Doing.EXCHANGE and not loop.exchange.is_called:
                loop.exchange.wait_longer()
        if event.is_urgent and loop.exchange.is_held:
            self._wake()

    def _answered(self, msg_id: str, record: Record) -> None:
        """The remote kernel has said something of a message of the checkpoint engine's."""
        is_last = record.head.get("channel") != "iopub" or record.head.get("state") == "idle"
        if self._life.loop is not None and is_last:
            self._life.loop.awaited.discard(msg_id)

    def _end_restore(self) -> None:
        """A restore has ended, unless it is tried again."""
        if self._interrupter.is_restore_interrupted and not self._recovery.is_restoring:
            self._interrupter.forget()
            self._backlog.fail_all(
                "KeyboardInterrupt", "Interrupted while variables were brought back."
            )

    # -- interrupts ------------------------------------------------------------------

    def _interrupt(self) -> None:
        """Interrupt what runs; what is queued behind it follows ipykernel's rules."""
        if self.doing in (Doing.LAUNCH, Doing.LEAVE):
            # At once: what comes meanwhile is not meant, and the launch may be over already.
            self._fail_waiting()
            if self.doing is Doing.LAUNCH:
                self._out.append(do.GiveUp())
        elif self._life.plain is not None:
            self._out.append(do.GiveUp())
        elif self._life.loop is None:
            return
        elif self._recovery.is_restoring:
            self._out.append(do.StopWaiting(None))
            has_begun = bool(self._life.loop.awaited)
            self._interrupter.ask_restore(self._now, has_begun=has_begun)
        elif (first := self._interrupter.ask(self._delivery.ended())) is not None:
            # Not begun as far as we know: a signal now might come before it, which
            # ipykernel ignores. It is sent when its busy has arrived.
            self._out.append(do.StopWaiting(first.place if first.is_sent else None))
            if self._shared.setup.running:
                self._interrupter.signal()
            self._wake()

    def _fail_waiting(self) -> None:
        """End what was to run in the next environment, and is interrupted."""
        self._early.answer_hidden(self._backlog)
        self._backlog.fail_all("KeyboardInterrupt", "Interrupted while waiting for an environment.")

    def _check_interrupt(self) -> None:
        loop = self._life.loop
        if self._interrupter.is_again_due(self._now) and loop and self._recovery.is_restoring:
            self._interrupter.ask_restore(self._now, has_begun=bool(loop.awaited))
        cell = self._interrupter.unfelt(self._now)
        if cell is not None:
            self._trouble.tell_interrupted(cell)

    # -- the environment's life --------------------------------------------------------

    def _launched(self, event: on.EnvironmentReady) -> None:
        self._end_turn()
        self._life.launched(event.exchange, event.notices, is_taken_over=event.is_taken_over)

    def _lose_environment(self, error: EnvironmentGone) -> None:
        self._forget_environment()
        failure = self._life.lose(error)
        if failure is not None:
            self._fail_all(failure)

    def _leave_environment(self, restart: Restart) -> None:
        self._forget_environment()
        self._life.leave(restart, has_failed=restart.msg_id == self._failed_last)
        self._begin(Doing.LEAVE, do.Leave(keeps_state=restart.keeps_state))

    def _forget_environment(self) -> None:
        """Forget what was under way with an environment that is being given up."""
        self._restart = None
        self._delivery.clear()
        self._calls.clear()
        self._announce_at = None
        self._forget_remote_kernel()
        self._interrupter.leave()

    def _forget_remote_kernel(self) -> None:
        self._usage.forget()
        self._told_ports.clear()

    # -- what goes wrong ---------------------------------------------------------------

    def _fail_with(self, error: AcaKernelError) -> None:
        if isinstance(error, EnvironmentGone):
            self._lose_environment(error)
        else:
            self._log.warning("%s %s", error.reason, error.detail)
            self._fail_all(error)

    def _fail_all(self, error: AcaKernelError) -> None:
        """Nothing can be run now: end every request with the reason; the next tries again."""
        self._early.answer_hidden(self._backlog)
        self._interrupter.forget()
        self._out.append(do.FailCarried(CheckpointFailed(error.message)))
        loop = self._life.loop
        if loop is not None:
            loop.withdraw()
            if isinstance(error, (PoolUnreachable, PoolBusy, ResultUnknown)):
                self._backlog.fail_left(loop.exchange, error)
        name = "KeyboardInterrupt" if isinstance(error, WaitInterrupted) else type(error).__name__
        self._backlog.fail_all(name, error.message)

    def _driver_failed(self, event: on.DriverFailed) -> None:
        """A defect of ours must not leave any request unanswered for ever."""
        if event.ends_turn:
            self._end_turn()
        if event.is_fatal:
            if self._life.loop is not None:
                self._life.loop.failed()
            self._delivery.clear()
            self._calls.clear()
            self._fail_all(AcaKernelError("The kernel failed; its log says how. Restart it."))
        else:
            self._shared.notices.append(f"The kernel could not {event.what}; its log says why.")

    # -- plain mode --------------------------------------------------------------------

    def _go_on_plainly(self, plain: PlainMode) -> None:
        if not self._backlog:
            return
        self._life.call_begins(self._now)
        is_cold = self._life.idle_seconds(self._now) > self._options.cooldown_seconds
        if self._life.holds_state and is_cold:
            # Nothing in it could tell whether it is still the same one.
            self._lose_environment(EnvironmentGone("The cooldown has passed since the last call."))
            self._launch()
            return
        code = plain.next_code()
        if code is not None:
            self._life.holds_state = True
            self._begin(Doing.CODE, do.RunCode(code))

    def _code_ended(self, outcome: ToolResult | AcaKernelError | None) -> None:
        self._end_turn()
        if isinstance(outcome, EnvironmentGone):
            self._lose_environment(outcome)
        elif self._life.plain is not None:
            self._life.plain.end(outcome)
