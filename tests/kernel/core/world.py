"""A kernel without processes: the core and the real agent, joined by a fake clock.

`World` is a driver (aca_kernel/driver.py) whose pool, front end and remote kernel are values. The
core, both ends of the wire (exchange.py, remote/agent.py) and the agent's bookkeeping are the real
ones. Time passes only when nothing else is to be done, so that hours take milliseconds, and the
same events give the same run. What goes wrong on the way is said by `faults`, by the number of the
call that it befalls.
"""

from __future__ import annotations

import contextlib
import heapq
import itertools
import json
import logging
import os
import threading
import time as real_time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

from aca_kernel.environment.exchange import NO_AGENT, Exchange
from aca_kernel.environment.tool_call import ToolCall
from aca_kernel.errors import (
    AccessDenied,
    EnvironmentGone,
    LocalProtocolError,
    PoolBusy,
    PoolUnreachable,
    RemoteProtocolError,
    ResultUnknown,
    WaitInterrupted,
)
from aca_kernel.kernel import commands as do
from aca_kernel.kernel import events as on
from aca_kernel.kernel.core import Core, CoreOptions
from aca_kernel.messaging import outgoing
from aca_kernel.remote import agent as agent_module
from aca_kernel.remote import wire
from aca_kernel.remote.kernel_messages import KernelMessages
from aca_kernel.remote.spool import Spool

LOG = logging.getLogger("test.core")

# One way, between this side and the environment; and what the shell tool takes.
LATENCY = 0.002
SHELL_SECONDS = 0.01
LAUNCH_SECONDS = 0.05

# Of the pool.
COOLDOWN_SECONDS = 300.0

# What bringing a checkpoint back takes, and reading it before.
RESTORE_SECONDS = 0.5
READ_SECONDS = 0.005

# After which a remote kernel has met packages that end it.
START_SECONDS = 0.03
# After which a lost answer counts as lost, and repeated calls are given up.
LOST_SECONDS = 3.0
PATIENCE_SECONDS = 60.0

# Where answers are cut.
CUT_CHARACTERS = 900

# What may befall a call. The first ones pass, the others end something.
PASSING = ("unreachable", "busy", "lost before", "lost after", "cut", "empty", "slow")
FINAL = ("refused", "gone", "replaced", "killed", "died")
FAULTS = (*PASSING, *FINAL)


class Clock:
    """What is to happen, in the order of its time."""

    def __init__(self) -> None:
        self.now = 100.0
        self._due: list[tuple[float, int, Callable[[], None]]] = []
        self._numbers = itertools.count()

    def at(self, when: float, what: Callable[[], None]) -> None:
        heapq.heappush(self._due, (max(when, self.now), next(self._numbers), what))

    def later(self, seconds: float, what: Callable[[], None]) -> None:
        self.at(self.now + seconds, what)

    def step(self, until: float) -> bool:
        """Let the next thing happen, if it is due by then; else it is that late."""
        if not self._due or self._due[0][0] > until:
            self.now = max(self.now, until)
            return False
        self.now, _, what = heapq.heappop(self._due)
        what()
        return True


@dataclass
class Said:
    """One message that a front end hears."""

    at: float
    channel: str
    msg_type: str
    parent: str
    content: dict[str, Any]


@dataclass
class RemoteKernel:
    """What ipykernel does, as far as the wire and the core can see.

    A cell's first line is JSON: {"out": [texts], "seconds": each takes, "end": how it ends}.
    """

    world: World
    number: int
    queue: list[tuple[str, list[bytes]]] = field(default_factory=list)
    out: dict[str, list[list[bytes]]] = field(
        default_factory=lambda: {"shell": [], "control": [], "stdin": [], "iopub": []}
    )
    running: str = ""
    code: int | None = None
    is_aborting: bool = False
    # What it writes when it starts, which it does not survive then.
    failure: str = ""
    exit_fd = 1
    _life: int = 0

    def __post_init__(self) -> None:
        self.process = SimpleNamespace(pid=1000 + self.number)
        self.iopub = SimpleNamespace(poll=lambda _: False)
        if self.failure:
            self.world.clock.later(START_SECONDS, lambda: self.die(1))

    # -- as remote/process.py has it ---------------------------------------------

    def send(self, channel: str, frames: list[bytes]) -> None:
        if self.code is not None or self.failure:
            return
        if channel == "control":
            self._serve(channel, frames)
        elif channel == "shell":
            self.queue.append((channel, frames))
            self._next()

    def receive(self, channel: str) -> Iterator[list[bytes]]:
        said, self.out[channel] = self.out[channel], []
        yield from said

    def exit_code(self) -> int | None:
        return self.code

    def startup_log(self) -> str:
        return self.failure

    def close(self) -> None:
        self.code = -9 if self.code is None else self.code

    # -- what it does ------------------------------------------------------------

    def interrupt(self) -> None:
        self.world.signals.append(self.running)
        if self.running:
            self._finish("KeyboardInterrupt")

    def die(self, code: int) -> None:
        if self.code is None:
            self.code, self.running, self.queue = code, "", []
            self._life += 1
            self._notice()

    def _next(self) -> None:
        if self.running or not self.queue or self.code is not None:
            return
        channel, frames = self.queue.pop(0)
        header = json.loads(frames[0])
        if header["msg_type"] == "execute_request" and self.is_aborting:
            self._say("iopub", "status", {"execution_state": "busy"}, frames)
            self._say("shell", "execute_reply", {"status": "aborted"}, frames)
            self._say("iopub", "status", {"execution_state": "idle"}, frames)
            self._next()
            return
        self._serve(channel, frames)

    def _serve(self, channel: str, frames: list[bytes]) -> None:
        header, content = json.loads(frames[0]), json.loads(frames[3])
        content = content if isinstance(content, dict) else {}
        msg_id, msg_type = header["msg_id"], header["msg_type"]
        self._say("iopub", "status", {"execution_state": "busy"}, frames)
        if not msg_type.endswith(("_request", "_msg")) or channel == "control":
            self._answer("ok", channel, frames)
            if channel == "shell":
                self._next()
            return
        self._frames = frames
        if not msg_id.startswith("aca-"):
            self.world.ran.append(msg_id)
        self.running = msg_id
        program = {"seconds": content.get("seconds", 0.001)}
        if msg_type == "execute_request":
            self._say("iopub", "execute_input", {"execution_count": 1, "code": ""}, frames)
            program = json.loads(content["code"].partition("\n")[0])
        self._life += 1
        self._work(program, list(program.get("out", [])), self._life)

    def _work(self, program: dict[str, Any], left: list[str], life: int) -> None:
        if life != self._life or self.code is not None:
            return
        if not left:
            end = str(program.get("end", "ok"))
            if end == "die":
                self.die(3)
                return
            seconds = 0.0 if program.get("out") else float(program.get("seconds", 0))
            self.world.clock.later(seconds, lambda: self._end(end, life))
            return
        self._say("iopub", "stream", {"name": "stdout", "text": left[0]}, self._frames)
        pause = float(program.get("seconds", 0))
        self.world.clock.later(pause, lambda: self._work(program, left[1:], life))

    def _end(self, how: str, life: int) -> None:
        if life == self._life and self.code is None:
            self._finish(how)

    def _finish(self, how: str) -> None:
        self.running = ""
        self._life += 1
        self._answer(how, "shell", self._frames)
        self._next()

    def _answer(self, how: str, channel: str, frames: list[bytes]) -> None:
        header = json.loads(frames[0])
        msg_type = str(header["msg_type"])
        is_cell = msg_type == "execute_request"
        if msg_type.endswith("_request") and (is_cell or how == "ok"):
            reply = msg_type.replace("_request", "_reply")
            status = "ok" if how in {"ok", "exit"} else "error"
            content: dict[str, Any] = {"status": status}
            if how == "exit":
                content["payload"] = [{"source": "ask_exit", "keepkernel": False}]
            if msg_type == "usage_request":
                content = self.world.usage
            self._say(channel, reply, content, frames, {"status": status})
        self._say("iopub", "status", {"execution_state": "idle"}, frames)
        if how == "exit":
            self.world.clock.later(0.1, lambda: self.die(0))
        elif is_cell and how != "ok" and json.loads(frames[3]).get("stop_on_error", True):
            self.is_aborting = True
            self.world.clock.later(0, self._stop_aborting)

    def _stop_aborting(self) -> None:
        self.is_aborting = False
        self._next()

    def _say(
        self,
        channel: str,
        msg_type: str,
        content: dict[str, Any],
        about: list[bytes],
        metadata: dict[str, Any] | None = None,
    ) -> None:
        header = {"msg_type": msg_type, "msg_id": "r", "session": "s"}
        parts = [header, json.loads(about[0]), metadata or {}, content]
        self.out[channel].append([json.dumps(part).encode() for part in parts])
        self._notice()

    def _notice(self) -> None:
        if self.world.agent is not None:
            self.world.agent.notice()


class Strand:
    """Runs what waits in the middle of its work; time and all else go on meanwhile.

    A thread, but never at the same time as another one.
    """

    def __init__(self, clock: Clock, work: Callable[[], None]) -> None:
        self._clock = clock
        self._work = work
        self._go, self._back = threading.Semaphore(0), threading.Semaphore(0)
        self._is_closed = False
        self._pauses = 0
        threading.Thread(target=self._run, daemon=True).start()
        self._resume()

    def _run(self) -> None:
        self._go.acquire()
        with contextlib.suppress(SystemExit):
            self._work()
        self._pauses = -1
        self._back.release()

    def _resume(self) -> None:
        self._go.release()
        self._back.acquire()

    def pause(self, seconds: float) -> None:
        """Called from the work: go on after so long, or when `wake` is called."""
        self._pauses += 1
        pause = self._pauses
        self._clock.later(seconds, lambda: self._end(pause))
        self._back.release()
        self._go.acquire()
        if self._is_closed:
            raise SystemExit

    def wake(self) -> None:
        pause = self._pauses
        self._clock.later(0, lambda: self._end(pause))

    def _end(self, pause: int) -> None:
        if pause == self._pauses and not self._is_closed:
            self._resume()

    def close(self) -> None:
        if self._pauses >= 0:
            self._is_closed = True
            self._resume()


class MemoryAgent(agent_module.Agent):
    """The real agent, without descriptors."""

    def __init__(self, world: World, nonce: str) -> None:
        self.world = world
        self.launch = world.launches
        self.nonce = nonce
        self.directory = os.devnull  # no folder: cells do without what they would find there
        self.config = {"session": "s"}
        self.outgoing, self.incoming = wire.SendLog(), wire.ReceiveLog()
        self.spool = Spool()
        self.exchange_number = 0
        self.wake = SimpleNamespace(number=0, read=lambda: None)
        self.answered_end = 0
        self.messages = KernelMessages(self.outgoing, self.directory)
        self.messages.reply_poller = SimpleNamespace(poll=self._pass)
        self.background = False
        self.kernel_number = 0
        self.calls = SimpleNamespace(
            read=self._read_calls,
            drain=lambda _: None,
            answer=world.answers.append,
            forget_first=lambda: None,
        )
        self.depot = SimpleNamespace(
            answer=lambda record: wire.Record({"kind": "got", "id": record.head["id"]})
        )
        self.lock = contextlib.nullcontext()  # one exchange at a time, in this thread
        self.strand: Strand | None = None
        self.is_serving = False
        self.waiting: list[Callable[[], None]] = []
        self.is_gone = False
        self._start_kernel()

    def _pass(self, milliseconds: int) -> None:
        if self.strand is not None:
            self.strand.pause(milliseconds / 1000)

    def expire(self) -> None:
        """The environment ends, and all that runs in it."""
        self.is_gone = True
        if self.kernel is not None:
            self.kernel.die(-9)

    def notice(self) -> None:
        """Something has come that the agent's poller would wake up for."""
        if self.strand is not None:
            self.strand.wake()

    def _read_calls(self) -> list[wire.Record]:
        asked, self.world.asked = self.world.asked, []
        return asked

    def _open_kernel(self) -> None:
        if self.world.is_start_impossible:
            raise OSError(28, "No space left on device")
        failure = self.world.start_failure(self.launch, self.kernel_number)
        kernel = RemoteKernel(self.world, self.kernel_number, failure=failure)
        self.messages.kernel = kernel
        self.world.kernels.append(kernel)

    def _mend_folder(self) -> None:
        pass

    def _poll(self, seconds: float) -> None:
        self._pass(int(1000 * max(0.001, seconds)))


class World:
    """One kernel, its front end, its pool. faults: by the number of a call, from 1 on."""

    def __init__(
        self,
        faults: dict[int, str] | None = None,
        *,
        has_checkpoint: bool = False,
        latency: float = LATENCY,
    ) -> None:
        self.clock = Clock()
        self.faults = faults or {}
        self.said: list[Said] = []
        self.sent: dict[str, tuple[str, str]] = {}
        self.sent_at: dict[str, float] = {}
        self.ran: list[str] = []
        self.signals: list[str] = []
        self.kernels: list[RemoteKernel] = []
        self.asked: list[wire.Record] = []
        self.answers: list[wire.Record] = []
        self.is_start_impossible = False
        # What a remote kernel says that it uses.
        self.usage: dict[str, Any] = {"kernel_cpu": 0.0}
        # What a remote kernel writes that ends when it starts, by its environment and its number
        # in it; which environments have been another kernel's.
        self.start_failure: Callable[[int, int], str] = lambda _launch, _number: ""
        self.taken_over: set[int] = set()
        self.calls = self.calls_ahead = 0
        self.latency = latency
        # Answers that have come while no exchange was pending.
        self._arrived: list[Callable[[], None]] = []
        self._is_exchanging = False
        self.launches = 0
        self.exchanges: list[float] = []
        # When an exchange has brought something.
        self.progress: list[float] = []
        self.handled: list[tuple[on.Event, list[do.Command]]] = []
        self.has_exited = False
        self.strands: list[Strand] = []
        self.agent: MemoryAgent | None = None
        self.exchange: Exchange | None = None
        self._stop: list[int | None] = []
        self._restoring: tuple[int, str] | None = None
        self._turn = 0
        self._ids = itertools.count(1)
        self.core = Core(CoreOptions(COOLDOWN_SECONDS, "auto"), LOG)
        self._carry_out(self.core.start(self.clock.now))
        self.tell(on.CheckpointKept(self.clock.now, has_checkpoint))

    # -- the front end -------------------------------------------------------------

    def send(
        self, msg_type: str, content: Any = None, channel: str = "shell", **header: Any
    ) -> str:
        msg_id = f"m{next(self._ids)}"
        self.sent[msg_id] = (msg_type, channel)
        self.sent_at[msg_id] = self.clock.now
        head = {"msg_id": msg_id, "msg_type": msg_type, "session": "front", **header}
        content = {} if content is None else content
        frames = [json.dumps(part).encode() for part in (head, {}, {}, content)]
        self.tell(on.Received(self.clock.now, channel, [b"front"], frames, content))
        return msg_id

    def cell(
        self,
        *out: str,
        seconds: float = 0.001,
        end: str = "ok",
        lines: str = "",
        **content: Any,
    ) -> str:
        """Send a cell. lines: more of its text, which nobody runs."""
        code = json.dumps({"out": out, "seconds": seconds, "end": end})
        return self.send("execute_request", {"code": f"{code}\n{lines}", **content})

    def interrupt(self) -> str:
        return self.send("interrupt_request", channel="control")

    def run(self, seconds: float) -> None:
        """Let so much time pass."""
        end = self.clock.now + seconds
        while self.clock.step(end):
            pass

    def settle(self, seconds: float = 600.0) -> None:
        """Let time pass until every request is finished, and a little more."""
        end = self.clock.now + seconds
        while len(self.core.table) and self.clock.step(end):
            pass
        self.run(1.0)

    def heard(self, msg_id: str) -> list[Said]:
        return [one for one in self.said if one.parent == msg_id]

    def reply(self, msg_id: str) -> dict[str, Any]:
        (reply,) = [one for one in self.heard(msg_id) if one.msg_type.endswith("_reply")]
        return reply.content

    def text(self, msg_id: str) -> str:
        return "".join(
            one.content["text"]
            for one in self.heard(msg_id)
            if one.msg_type == "stream" and one.content["name"] == "stdout"
        )

    # -- the driver ------------------------------------------------------------------

    def tell(self, event: on.Event) -> None:
        commands = self.core.handle(event)
        self.handled.append((event, commands))
        self._carry_out(commands)

    def _carry_out(self, commands: list[do.Command]) -> None:
        for command in commands:
            self._do(command)

    def _do(self, command: do.Command) -> None:  # noqa: C901, PLR0912, PLR0915
        now = self.clock.now
        match command:
            case outgoing.Publish():
                parent = (command.parent or {}).get("msg_id", "")
                self._hear("iopub", command.msg_type, parent, command.content)
            case outgoing.Reply():
                parent = command.parent["msg_id"]
                self._hear(command.channel, command.msg_type, parent, command.content)
            case outgoing.Forward():
                self._hear_frames("iopub", command.frames)
            case outgoing.ForwardReply():
                self._hear_frames(command.channel, command.frames)
            case do.DoExchange():
                self.exchanges.append(now)
                self._stop = []
                self._is_exchanging = True
                self.clock.later(0, self._make_calls)
            case do.SendAlong():
                self.clock.later(0, self._make_calls)
            case do.StopWaiting():
                self._stop = [command.place]
            case do.Wake():
                self._wake()
            case do.Interrupt():
                self.clock.later(SHELL_SECONDS, self._signal)
            case do.CallHost():
                answers = tuple(
                    wire.Record({"kind": "answer", "id": one.head["id"]}) for one in command.calls
                )
                nonce = self.nonce
                self.clock.later(
                    SHELL_SECONDS,
                    lambda: self.tell(on.HostAnswered(self.clock.now, nonce, answers)),
                )
            case do.Launch():
                self.clock.later(LAUNCH_SECONDS, self._launched(self._begin_turn()))
            case do.GiveUp():
                self._turn += 1
                self.clock.later(0, lambda: self.tell(on.LaunchInterrupted(self.clock.now)))
            case do.Forget():
                self.exchange = None
                self._arrived.clear()
                self._is_exchanging = False
                if self.agent is not None:
                    self.agent.expire()
            case do.Leave():
                self.clock.later(SHELL_SECONDS, lambda: self.tell(on.Left(self.clock.now)))
            case do.Restore():
                msg_id = f"aca-state-{command.number}"
                self._restoring = (command.number, msg_id)
                self.clock.later(READ_SECONDS, lambda: self._ask_restore(msg_id))
            case do.CancelRestore():
                self._end_restore(None)
            case do.FailCarried():
                self._end_restore(command.error)
            case do.Deliver():
                self._deliver(command.record)
            case do.WaitUntil():
                self.clock.at(command.at, lambda: self.tell(on.TimeCame(self.clock.now)))
            case do.Exit():
                self.has_exited = True

    @property
    def nonce(self) -> str:
        return self.exchange.nonce if self.exchange is not None else ""

    def _begin_turn(self) -> int:
        self._turn += 1
        return self._turn

    def _hear(self, channel: str, msg_type: str, parent: str, content: dict[str, Any]) -> None:
        self.said.append(Said(self.clock.now, channel, msg_type, parent, content))

    def _hear_frames(self, channel: str, frames: list[bytes]) -> None:
        header, parent = json.loads(frames[0]), json.loads(frames[1])
        self._hear(channel, header["msg_type"], parent.get("msg_id", ""), json.loads(frames[3]))

    def _launched(self, turn: int) -> Callable[[], None]:
        def launched() -> None:
            if turn != self._turn:
                return
            if self.is_start_impossible:
                error = RemoteProtocolError("It could not start the kernel in it.")
                self.tell(on.LaunchFailed(self.clock.now, error))
                return
            self.launches += 1
            self.exchange = Exchange(LOG)
            # As after the handshake with the pool.
            self.exchange.windows.round_trip.took(2 * self.latency)
            self.agent = MemoryAgent(self, self.exchange.nonce)
            is_taken_over = self.launches in self.taken_over
            self.tell(
                on.EnvironmentReady(self.clock.now, self.exchange, is_taken_over=is_taken_over)
            )

        return launched

    def _wake(self) -> None:
        agent, exchange = self.agent, self.exchange
        if agent is None or exchange is None or exchange.pending_number is None:
            return
        number = exchange.pending_number

        def wake() -> None:
            agent.wake.number = max(agent.wake.number, number)
            agent.notice()

        self.clock.later(SHELL_SECONDS, wake)

    def _signal(self) -> None:
        if self.agent is not None and self.agent.kernel is not None and not self.agent.is_gone:
            self.agent.kernel.interrupt()
        self.tell(on.Interrupted(self.clock.now, self.nonce))

    # -- restoring, as the checkpoint engine does ------------------------------------

    def _ask_restore(self, msg_id: str) -> None:
        if self._restoring is None or self._restoring[1] != msg_id:
            return
        header = {"msg_id": msg_id, "msg_type": "aca_state_request"}
        frames = tuple(
            json.dumps(one).encode() for one in (header, {}, {}, {"seconds": RESTORE_SECONDS})
        )
        record = wire.Record({"kind": "msg", "channel": "shell"}, frames)
        self.tell(on.CarryAsked(self.clock.now, record, msg_id))

    def _deliver(self, record: wire.Record) -> None:
        if record.head.get("channel") != "shell" or self._restoring is None:
            return
        number, msg_id = self._restoring
        if record.head.get("parent") == msg_id:
            self._restoring = None
            self.clock.later(0, lambda: self.tell(on.Restored(self.clock.now, number, None)))

    def _end_restore(self, error: Any) -> None:
        if self._restoring is None:
            return
        (number, _), self._restoring = self._restoring, None
        self.clock.later(0, lambda: self.tell(on.RestoreFailed(self.clock.now, number, error)))

    # -- calls to the pool -------------------------------------------------------------

    def _make_calls(self) -> None:
        """Make the calls that the pending exchange wants now, as relay.py does."""
        while self._arrived and self._is_exchanging:
            self._arrived.pop(0)()
        exchange, agent, now = self.exchange, self.agent, self.clock.now
        if exchange is None or agent is None or not exchange.is_pending:
            self._is_exchanging = False
        if not self._is_exchanging:
            return
        call = exchange.next_call(now)
        if call is not None:
            self._perform(exchange, agent, call, now)
        at = exchange.ahead_at()
        if at is not None:
            self.clock.at(at, lambda: self._call_ahead(exchange, agent))

    def _call_ahead(self, exchange: Exchange, agent: MemoryAgent) -> None:
        if exchange is self.exchange and self._is_exchanging:
            call = exchange.ahead_call(self.clock.now)
            if call is not None:
                self.calls_ahead += 1
                self._perform(exchange, agent, call, self.clock.now)

    def _in_exchange(self, exchange: Exchange, what: Callable[[], None]) -> None:
        """Do it while an exchange is pending: now, or with the next one."""
        if exchange is not self.exchange:
            return
        if self._is_exchanging:
            what()
        else:
            self._arrived.append(what)

    def _fail(self, exchange: Exchange, error: Any) -> None:
        exchange.end()
        self._arrived.clear()
        self._is_exchanging = False
        self.tell(on.ExchangeFailed(self.clock.now, exchange.nonce, error))

    def _take(self, exchange: Exchange, call: ToolCall, printed: str) -> None:
        try:
            records = exchange.answered(call, printed, self.clock.now)
        except (EnvironmentGone, Exception) as error:  # noqa: BLE001
            self._fail(exchange, error)
            return
        if records is None:
            self.clock.later(0, self._make_calls)
        else:
            self._is_exchanging = False
            self.progress += [self.clock.now] * exchange.has_progressed
            self.tell(on.Exchanged(self.clock.now, exchange.nonce, records))

    def _perform(  # noqa: C901, PLR0912, PLR0915
        self, exchange: Exchange, agent: MemoryAgent, call: ToolCall, began: float
    ) -> None:
        """Make a call, and let befall it what is to."""
        self.calls += 1
        fault = self.faults.get(self.calls, "")
        text = call.code.split('"')[-2]

        def again(error: Any, pause: float) -> None:
            if call.is_ahead:
                is_refused = not isinstance(error, (PoolUnreachable, ResultUnknown))
                exchange.dropped(call, is_refused=is_refused)
                self.clock.later(0, self._make_calls)
                return
            exchange.waits(call)
            self.tell(on.CallRepeated(self.clock.now, error))
            if self._stop and (self._stop[0] is None or exchange.is_safe_to_repeat(self._stop[0])):
                fail(WaitInterrupted("Interrupted."))
            elif self.clock.now - began > PATIENCE_SECONDS:
                fail(error)
            else:
                self.clock.later(pause, once_more)

        def once_more() -> None:
            if exchange is self.exchange and call in exchange._under_way:
                exchange.made_again(call, self.clock.now)
                self._perform(exchange, agent, call, began)

        def fail(error: Any) -> None:
            if call.is_ahead and not isinstance(error, EnvironmentGone):
                exchange.dropped(call, is_refused=True)
                self.clock.later(0, self._make_calls)
            elif call in exchange._under_way:
                exchange.failed(call)
                self._in_exchange(exchange, lambda: self._fail(exchange, error))

        def lost() -> None:
            if exchange is not self.exchange or call not in exchange._under_way:
                return
            if not call.is_ahead:
                exchange.lost(call)
                self._wake()
            again(ResultUnknown("The answer was lost."), 0.02)

        def arrive(answered: Callable[[str], None]) -> None:
            self.clock.later(self.latency, lambda: self._serve(agent, text, answered))

        def answered(printed: str) -> None:
            self.clock.later(self.latency, lambda: take(printed))

        def take(printed: str) -> None:
            if agent.is_gone and NO_AGENT not in printed:
                # It ended while the call was under way.
                lost()
            else:
                self._in_exchange(exchange, lambda: self._take(exchange, call, printed))

        def refuse() -> None:
            try:
                exchange.refused(call, LocalProtocolError("It is too large."))
            except LocalProtocolError as error:
                self._fail(exchange, error)
            else:
                self._make_calls()

        match fault:
            case "unreachable":
                self.clock.later(0, lambda: again(PoolUnreachable("It cannot be reached."), 0.5))
            case "busy":
                self.clock.later(0, lambda: again(PoolBusy("The pool is busy."), 0.5))
            case "lost before":
                self.clock.later(LOST_SECONDS, lost)
            case "lost after":
                arrive(lambda _: None)
                self.clock.later(LOST_SECONDS, lost)
            case "cut":
                arrive(lambda printed: answered(printed[:CUT_CHARACTERS]))
            case "empty":
                self.clock.later(self.latency, lambda: take(""))
            case "slow":
                arrive(lambda printed: self.clock.later(4.0, lambda: take(printed)))
            case "refused":
                refusal = AccessDenied("The pool refuses the key.")
                self.clock.later(self.latency, lambda: fail(refusal))
            case "too large":
                self._in_exchange(exchange, refuse)
            case "gone":
                agent.expire()
                self.clock.later(0, lambda: fail(EnvironmentGone("It is gone.")))
            case "replaced":
                agent.expire()
                self.clock.later(self.latency, lambda: take(NO_AGENT))
            case "killed":
                arrive(answered)
                self.clock.later(3 * self.latency, lambda: self._die(agent, -9))
            case "died":
                self._die(agent, 1)
                arrive(answered)
            case _:
                arrive(answered)

    def _die(self, agent: MemoryAgent, code: int) -> None:
        if agent.kernel is not None:
            agent.kernel.die(code)

    def _serve(self, agent: MemoryAgent, text: str, answered: Callable[[str], None]) -> None:
        """Have the agent do one exchange; calls of one environment come one after the other."""
        if agent.is_gone:
            answered(NO_AGENT)
            return
        if agent.is_serving:
            agent.waiting.append(lambda: self._serve(agent, text, answered))
            return
        agent.is_serving = True

        def serve() -> None:
            try:
                pieces = agent.exchange(text)
            except Exception as error:  # noqa: BLE001 - as the session interpreter, which prints it
                LOG.info("the agent failed: %r", error)
                pieces = []
            agent.is_serving, agent.strand = False, None
            answered(b"".join(pieces).decode("ascii"))
            if agent.waiting:
                self.clock.later(0, agent.waiting.pop(0))

        self._begin(agent, serve)

    def _begin(self, agent: MemoryAgent, work: Callable[[], None]) -> None:
        strand: list[Strand] = []

        def begin() -> None:
            # It is known before it pauses for the first time.
            agent.strand = strand[0]
            work()

        made = Strand.__new__(Strand)
        strand.append(made)
        self.strands.append(made)
        made.__init__(self.clock, begin)

    def close(self) -> None:
        for one in self.strands:
            one.close()


def fake_time(world_of: Callable[[], World | None]) -> Any:
    """What the agent has for the module `time`."""

    def monotonic() -> float:
        world = world_of()
        return world.clock.now if world is not None else real_time.monotonic()

    return SimpleNamespace(
        monotonic=monotonic, strftime=real_time.strftime, gmtime=real_time.gmtime
    )
