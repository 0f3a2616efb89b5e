"""The agent: keeps the remote kernel's messages in a log and answers exchanges.

Lives in the session interpreter, runs only while an exchange is pending, in its one
thread. Between exchanges zmq's own thread keeps what the remote kernel says.

Records from the kernel, by kind:

    msg         {channel, keep, ahead}           a message for the remote kernel; ahead: a starter
                                                 of `!` commands is sent beside it
    interrupt   {}                               SIGINT to the remote kernel
    restart     {}                               a new remote kernel after a death
    answer      {id, ...} and parts              to a call of the extension
    facts       {found}                          about names in a cell's `!` lines: facts_ahead.py
    put, get, look, drop                         files of checkpoints: depot.py

Records to the kernel:

    msg         {channel, type, parent, state}   a message of the remote kernel
    ready       {pid, info}                      it answers; info is its kernel_info
    dead        {code, ready, text, failure}     it ended; code as subprocess gives it; failure:
                                                 why it could not even be started, if so
    closed      {parent}                         a message was done without a busy and an idle
    call        {id, op, ...} and parts          the extension asks the kernel for something;
                                                 parent, if given: the cell that it comes from
    got         {id, ...} and parts              what came of put, get, look and drop

A request is open from its arrival here until the remote kernel has published idle for
it and, if one is due, sent its reply. An exchange that waits ends when nothing is open
any more, when there is output (coalesced for `settle` seconds), when it is woken through
the FIFO, or when its time is over. Replies are held back until the outputs before them
are in the log, because the two come over different sockets.
"""

from __future__ import annotations

import contextlib
import importlib.util
import io
import json
import os
import re
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterable
from typing import Any

from . import agent_folder, retirement, session_ipython, wire
from .ahead import AheadFifo, path_of
from .ahead_of_replies import BEHIND
from .call_socket import CallSocket
from .depot import KINDS as DEPOT_KINDS
from .depot import Depot
from .facts_ahead import FactsAhead
from .loader import write_module
from .spawn import spawn
from .spool import Spool
from .state_messages import REQUEST as STATE_REQUEST

# busy, idle and execute_input alone are not worth an answer of their own before this
# many seconds: most cells are over by then and cost one call in all.
QUIET_SECONDS = 0.2

# How long to wait for the reply that belongs to an idle, for the busy of a cell that calls,
# and for outputs that belong to a prompt: the other socket's thread needs some milliseconds
# at the most.
REPLY_GRACE_SECONDS = 0.2
BUSY_GRACE_SECONDS = 2.0
OUTPUT_GRACE_SECONDS = 0.005

# After a pause, text that is flushed is not collected: somebody looks at a progress bar. The
# end of a cell, which flushes, too, follows within this time and comes along.
FLUSHED_SECONDS = 0.001

# Somebody drags a slider beside a cell that awaits. Nothing tells that its callback has ended, so
# that what comes soon after the message is not collected for long.
CALLBACK_SECONDS = 0.3
QUICK_SECONDS = 0.005
# When a cell has run for so many times the span in which output is collected, which grows with the
# distance, its end may cost a call of its own, and such text waits for nothing.
LONG_CELL_SETTLES = 20

# How long an exchange that waits for nothing lets an answer go to its caller: a thread that
# goes on after its cell. A page of a file takes some milliseconds.
DRAIN_SECONDS = 1.0

# kernel_info is repeated at this interval until the new kernel has answered on shell
# and something has come over iopub: before that, a subscription may not have arrived.
PROBE_SECONDS = 0.25

# Without a descriptor for the process's end, look at it this often.
DEATH_POLL_SECONDS = 0.25

# pip may take this long to install ipykernel; the service ends a call at 220 s.
INSTALL_SECONDS = 150

_PROBE = "aca-probe-"

# These say nothing that a user waits to see.
_QUIET_TYPES = frozenset({"status", "execute_input"})

AGENT: Agent


def start(
    nonce: str,
    directory: str,
    config: dict[str, Any],
    found: set[str] | None,
    files: dict[str, bytes],
) -> str:
    """Make this interpreter's agent; return its greeting as a frame.

    found: what the agent before this one returned when it was retired. files: the sources of this
    package, by their paths in it, of which those are written that the agent has imported.
    """
    global AGENT  # noqa: PLW0603 - one agent per interpreter, found by its module
    AGENT = Agent(nonce, directory, config, found, files)
    session_ipython.pass_exchanges()
    return AGENT.greeting()


def serve(text: str) -> None:
    """Do one exchange; its answer goes to stdout, where the tool's result has it from."""
    pieces = AGENT.exchange(text)
    if type(sys.stdout) is io.TextIOWrapper:
        # Bytes are spared three copies; another stdout may lead them elsewhere than text.
        sys.stdout.flush()
        for piece in pieces:
            sys.stdout.buffer.write(piece)
    else:
        sys.stdout.write(b"".join(pieces).decode("ascii"))
    sys.stdout.flush()


def install() -> None:
    """Install what the remote kernel needs, start it, print the new greeting."""
    AGENT.install()
    sys.stdout.write(AGENT.greeting())
    sys.stdout.flush()


class Agent:
    """One generation: the log of both directions and the remote kernel behind it."""

    def __init__(
        self,
        nonce: str,
        directory: str,
        config: dict[str, Any],
        found: set[str] | None,
        files: dict[str, bytes],
    ) -> None:
        self.nonce = nonce
        self.directory = directory
        self.config = config
        self.modules = files
        self.home = os.getcwd()
        # What a generation before this one has found, if there was one.
        self.found = set(os.listdir(self.home)) if found is None else found
        self.missing = _missing()
        self.outgoing = wire.SendLog()
        self.incoming = wire.ReceiveLog()
        self.spool = Spool()
        self.exchange_number = 0
        self.woken_number = 0
        # Up to where the last answer went, and the end of the last question to this side.
        self.answered_end = 0
        self.question_end = 0
        self.open_requests: dict[str, _OpenRequest] = {}
        # Cells that were sent ahead, by the request that each waits for.
        self.behind: dict[str, tuple[str, list[bytes]]] = {}
        self.background = False
        self.loud_offset = 0
        # Whether what came since then is text, as code flushes it in the middle of a cell.
        self.has_streams_only = True
        self.is_urgent = False
        # When the last message to a widget came.
        self.moved_at = 0.0
        # When the last cell began.
        self.cell_began = 0.0
        self.kernel: Any = None
        self.kernel_number = 0
        self.ready_at = 0.0
        self.wake_path = os.path.join(directory, "wake")
        self.wake_fd = self._open_wake()
        self.calls = CallSocket(os.path.join(directory, "calls"))
        self.depot = Depot(directory, config["compiled"])
        self.facts_ahead = FactsAhead()
        if not self.missing:
            self._start_kernel()

    def _open_wake(self) -> int:
        os.mkfifo(self.wake_path, 0o600)
        # Open for both, so that a writer never blocks and a reader never sees an end.
        return os.open(self.wake_path, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)

    def _mend_folder(self) -> None:
        """Make what code has removed of the folder, if it has; see agent_folder.py."""
        has_wake = agent_folder.is_same(self.wake_path, self.wake_fd)
        has_calls = os.path.exists(self.calls.path)
        if has_wake and has_calls and os.path.exists(os.path.dirname(__file__)):
            return
        with contextlib.suppress(OSError):  # no room on the disk: tried again the next time
            agent_folder.make(self.directory)
            self._write_modules(self.modules)
            agent_folder.write(self.directory, self.depot.sources)
            if not has_calls:
                self.calls.listen_again()
            if not has_wake:
                self._read_wake()
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(self.wake_path)
                wake_fd = self._open_wake()
                # By the number that pollers and the kernel know.
                os.dup2(wake_fd, self.wake_fd, inheritable=False)
                os.close(wake_fd)

    def _write_modules(self, names: Iterable[str]) -> bool:
        """Write those of some modules that are missing; False: one of them is to be compiled."""
        here, is_compiled = os.path.dirname(__file__), True
        for name in names:
            if not os.path.exists(os.path.join(here, *name.split("/"))):
                compiled = self.config["compiled"]
                is_compiled &= write_module(self.directory, name, self.modules[name], compiled)
        return is_compiled

    def retire(self) -> set[str]:
        """End this generation, so that another can begin as if there had been none.

        Ends the remote kernel and everything that it has started, and removes what has come
        into the working directory. Returns the names that were there before.
        """
        if self.kernel is not None:
            self.kernel.close()
            self.kernel = None
        self._forget_requests()
        retirement.end_processes(self.nonce)
        self.calls.close()
        os.close(self.wake_fd)
        retirement.remove_all_but(self.found, self.home)
        shutil.rmtree(self.directory, ignore_errors=True)
        return self.found

    def greeting(self) -> str:
        """Return the frame that tells the kernel what it has found here."""
        head = {
            "missing": self.missing,
            "python": ".".join(str(part) for part in sys.version_info[:3]),
            "executable": sys.executable,
            "directory": self.directory,
            "wake": [self.wake_path, f"/proc/{os.getpid()}/fd/{self.wake_fd}"],
            "pid": self.kernel.process.pid if self.kernel else 0,
        }
        return wire.encode_frame(self.nonce, wire.Page(head))

    def install(self) -> None:
        """Install ipykernel with pip, if it is missing; quick to fail without a network."""
        if not self.missing:
            return
        command = [sys.executable, "-m", "pip", "install", "--quiet", "--retries", "0"]
        try:
            subprocess.run(
                [*command, "--timeout", "10", "ipykernel"],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                timeout=INSTALL_SECONDS,
                check=False,
            )
        except (OSError, subprocess.TimeoutExpired):
            return
        importlib.invalidate_caches()
        self.missing = _missing()
        if not self.missing:
            self._start_kernel()

    def exchange(self, text: str) -> list[bytes | memoryview]:
        """Take what the kernel sends, wait as told, return what it has not seen yet.

        Both are frames, the second in pieces.
        """
        began = time.monotonic()
        nonce, page = wire.decode_frame(text)
        if nonce != self.nonce:
            page = wire.Page({"stranger": True})
            return wire.frame_pieces(self.nonce, page, may_be_text=False)
        head = page.head
        if "spool" in head:
            page = self.spool.answer(self.outgoing, head)
            return wire.frame_pieces(self.nonce, page, may_be_text=False)
        self.spool.forget()
        self._mend_folder()
        # A call that was sent before the answer to the last one had come goes on behind it.
        is_next = head["after"] and head["after"] == self.exchange_number
        start = max(head["got"], self.answered_end if is_next else 0)
        self.exchange_number = head["n"]
        self.outgoing.acknowledge(head["got"])
        self.is_urgent = False
        # Behind a gap lies what is sent again when the kernel sees how much has come.
        is_gap = head["off"] > self.incoming.received
        for record in [] if is_gap else self.incoming.feed(head["off"], page.data):
            if record.end > head["void"] or not record.can_be_withdrawn:
                self._handle(record)
        if not self.open_requests:
            self.calls.drain(DRAIN_SECONDS)
        # Nor is a question answered by a call that was made before it was known.
        is_asked = self.question_end > head["got"]
        seconds = 0.0 if is_gap or is_asked else head["wait"]
        self._wait(start, seconds, head["settle"], 3 * head["limit"])
        answer = {
            "n": head["n"],
            "got": self.incoming.received,
            "off": start,
            "end": self.outgoing.end,
            "background": self.background,
            "woken": self.woken_number == self.exchange_number,
            "open": len(self.open_requests),
            "pid": self.kernel.process.pid if self.kernel else 0,
            "held": time.monotonic() - began,
        }
        page = wire.fill_page(self.outgoing, answer, start, head["limit"])
        self.answered_end = start + len(page.data)
        return wire.frame_pieces(self.nonce, page, may_be_text=True)

    # -- from the kernel ---------------------------------------------------------

    def _handle(self, record: wire.Record) -> None:
        if record.kind == "msg":
            is_ahead = bool(record.head.get("ahead"))
            self._accept(str(record.head["channel"]), list(record.parts), is_ahead=is_ahead)
        elif record.kind == "interrupt":
            if self.kernel:
                self.kernel.interrupt()
        elif record.kind == "restart":
            self._restart_kernel()
        elif record.kind == "answer":
            self.calls.answer(record)
        elif record.kind == "facts":
            self.facts_ahead.take(record)
        elif record.kind in DEPOT_KINDS:
            self.outgoing.append(self.depot.answer(record))
            self.is_urgent = True

    def _accept(self, channel: str, frames: list[bytes], *, is_ahead: bool = False) -> None:
        if self.kernel is None:  # it died: the kernel fails all it sent before it knew
            return
        if channel != "stdin":
            header = _load(frames[0])
            msg_type = str(header.get("msg_type", ""))
            in_turn = channel == "shell" and header.get("subshell_id") is None
            msg_id = str(header.get("msg_id", ""))
            if msg_type == STATE_REQUEST:
                # Behind the files that it needs: they are written, and the reply tells as much.
                self.is_urgent = False
            request = self.open_requests[msg_id] = _OpenRequest(
                needs_reply=msg_type.endswith("_request"),
                is_cell=msg_type == "execute_request",
                is_in_turn=in_turn,
                may_be_silent=in_turn and msg_type.startswith("comm_"),
                is_state=msg_type == STATE_REQUEST,
            )
            if request.may_be_silent:
                self.moved_at = time.monotonic()
            if is_ahead:
                with contextlib.suppress(OSError):  # no room on the disk: the cell does without
                    request.ahead = AheadFifo(path_of(self.directory, msg_id))
            behind = _load(frames[2]).get(BEHIND) if BEHIND.encode() in frames[2] else None
            if behind in self.open_requests:
                # What ends its process takes what zmq has not sent yet of the cell before with it.
                self.behind[behind] = (channel, frames)
                return
        self._pass_on(channel, frames)

    def _pass_on(self, channel: str, frames: list[bytes]) -> None:
        if not self.kernel_ready:
            self.kernel_queue.append((channel, frames))
        else:
            self.kernel.send(channel, frames)

    # -- the remote kernel -------------------------------------------------------

    def _start_kernel(self) -> None:
        if self.kernel is not None:
            self.kernel.close()
            self.kernel = None
        self._mend_folder()
        self.calls.forget_first()
        self.kernel_number += 1
        self.kernel_ready = False
        self.kernel_heard = False
        self.kernel_info: dict[str, Any] | None = None
        self.kernel_queue: list[tuple[str, list[bytes]]] = []
        self.probed_at = 0.0
        self._open_kernel()
        self._probe()

    def _open_kernel(self) -> None:
        config = {**self.config, "calls": self.calls.path, "nonce": self.nonce}
        self._write_modules(["launcher.py"])
        spawned = spawn(self.directory, self.kernel_number, config)
        # The first time, this takes as long as a Python to come up, and ipykernel to be imported.
        try:
            is_compiled = self._write_modules(self.modules)
        finally:
            os.close(spawned.gate)
        import zmq

        from .process import RemoteKernel

        self.kernel = RemoteKernel(spawned)
        self.poller = zmq.Poller()
        self.kernel.register(self.poller)
        self.poller.register(self.wake_fd, zmq.POLLIN)
        self.calls.register(self.poller, zmq.POLLIN, zmq.POLLOUT)
        self.reply_poller = zmq.Poller()
        for channel in ("shell", "control"):
            self.reply_poller.register(self.kernel.sockets[channel], zmq.POLLIN)
        if not is_compiled:
            packages = self.config.get("packages", {})
            is_wanted = bool(packages.get("wanted") or packages.get("notebook"))
            threading.Thread(target=_compile_package, args=(is_wanted,), daemon=True).start()

    def _restart_kernel(self) -> None:
        """Start another one; if that cannot be, the kernel has to know."""
        try:
            self._start_kernel()
        except Exception as error:  # noqa: BLE001 - whatever it is, there is no remote kernel
            why = getattr(error, "strerror", None) or f"{type(error).__name__}: {error}"
            self._log({"kind": "dead", "code": 0, "ready": False, "text": "", "failure": why})
            self._forget_requests()
            self.is_urgent = True

    def _probe(self) -> None:
        """Ask the new kernel for kernel_info: its answer and its idle prove both ways."""
        self.probed_at = time.monotonic()
        header = {
            "msg_id": f"{_PROBE}{self.kernel_number}-{self.probed_at}",
            "session": self.config["session"],
            "username": "aca",
            "date": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
            "msg_type": "kernel_info_request",
            "version": "5.3",
        }
        self.kernel.send("shell", [json.dumps(header).encode("ascii"), b"{}", b"{}", b"{}"])

    def _become_ready(self) -> None:
        self.kernel_ready = True
        self.ready_at = time.monotonic()
        self._log({"kind": "ready", "pid": self.kernel.process.pid, "info": self.kernel_info})
        for channel, frames in self.kernel_queue:
            self.kernel.send(channel, frames)
        self.kernel_queue = []

    # -- waiting -----------------------------------------------------------------

    def _wait(self, seen: int, seconds: float, settle: float, enough_bytes: int) -> None:
        started = time.monotonic()
        deadline = started + seconds
        loud_since = None
        if self.loud_offset <= seen:
            self.has_streams_only = True
        while True:
            self._collect()
            now = time.monotonic()
            until = deadline
            if self.loud_offset > seen:
                loud_since = now if loud_since is None else loud_since
                until = min(until, loud_since + self._collecting(loud_since - started, settle))
            elif self.outgoing.end > seen and not self._does_state_only():
                # Nor is it that the remote kernel is ready, shortly before its first cell ends.
                until = min(until, max(started, self.ready_at) + QUIET_SECONDS)
            if (
                not self.open_requests
                or self.is_urgent
                or self.woken_number >= self.exchange_number
                or self.outgoing.end - seen >= enough_bytes
                or now >= until
            ):
                return
            self._poll(until - now)

    def _does_state_only(self) -> bool:
        """Tell whether nothing is done but a checkpoint: nobody waits for less than its end."""
        return all(one.is_state for one in self.open_requests.values())

    def _collecting(self, after: float, settle: float) -> float:
        """Return for how long output is collected that began so long after the exchange."""
        now = time.monotonic()
        if now - self.moved_at < CALLBACK_SECONDS and len(self.open_requests) > 1:
            return QUICK_SECONDS
        if not (self.has_streams_only and after >= settle):
            return settle
        # Most commands end on the heels of what they say.
        if any(one.ahead is not None for one in self.open_requests.values()):
            return QUICK_SECONDS
        is_long = now - self.cell_began >= LONG_CELL_SETTLES * settle
        return 0.0 if is_long else FLUSHED_SECONDS

    def _poll(self, seconds: float) -> None:
        if not self.kernel_ready:
            seconds = min(seconds, PROBE_SECONDS)
        if self.kernel.exit_fd is None:
            seconds = min(seconds, DEATH_POLL_SECONDS)
        self.poller.poll(max(1, int(seconds * 1000)))

    def _collect(self) -> None:
        """Move everything that has arrived into the log."""
        self._read_wake()
        if self.kernel is None:
            return
        # The end is looked for first: what is read afterwards is all there will be.
        code = self.kernel.exit_code()
        self._read_replies("control")
        self._read_replies("shell")
        self._read_iopub()
        self._read_stdin()
        for call in self.calls.read():
            if "background" in call.head:
                self.background = bool(call.head["background"])
            elif (known := self.facts_ahead.answer(call)) is not None:
                self.calls.answer(known)
            else:
                self.is_urgent = True
                self._await_busy(str(call.head.get("parent", "")))
                record = wire.Record({**call.head, "kind": "call"}, call.parts)
                end = self.outgoing.append(record)
                # What a command says and how it ends comes without an answer from the kernel.
                if call.head.get("op") != "shell":
                    self.question_end = end
        if code is not None:
            self._bury(code)
        elif not self.kernel_ready:
            if self.kernel_info is not None and self.kernel_heard:
                self._become_ready()
            elif time.monotonic() - self.probed_at > PROBE_SECONDS:
                self._probe()

    def _await_busy(self, parent: str) -> None:
        """Let the log have the busy of a cell before its call, which comes another way."""
        deadline = time.monotonic() + BUSY_GRACE_SECONDS
        while parent in self.open_requests and not self.open_requests[parent].is_busy:
            if time.monotonic() > deadline:
                return
            self.kernel.iopub.poll(int(OUTPUT_GRACE_SECONDS * 1000))
            self._read_iopub()

    def _read_wake(self) -> None:
        try:
            tokens = os.read(self.wake_fd, 4096).split()
        except BlockingIOError:
            return
        numbers = [int(token) for token in tokens if token.isdigit()]
        self.woken_number = max([self.woken_number, *numbers])

    def _read_replies(self, channel: str) -> None:
        for frames in self.kernel.receive(channel):
            parent = str(_load(frames[1]).get("msg_id", ""))
            if parent.startswith(_PROBE):
                self.kernel_info = _load(frames[3])
                continue
            request = self.open_requests.get(parent)
            if request is None:
                self._log_message(channel, frames)
            else:
                request.held.append((channel, frames))

    def _read_iopub(self) -> None:
        for frames in self.kernel.receive("iopub"):
            self.kernel_heard = True
            header, parent = _load(frames[0]), str(_load(frames[1]).get("msg_id", ""))
            msg_type = header.get("msg_type")
            if parent.startswith(_PROBE) and self.kernel_ready:
                self._close_silent(None)
            if msg_type == "iopub_welcome" or parent.startswith(_PROBE):
                continue
            if not parent and not self.kernel_ready:
                # Said while it started, which the clients of a local kernel never hear.
                continue
            state = None
            if msg_type == "status":
                state = _load(frames[3]).get("execution_state")
                if state == "starting":
                    continue
                if parent in self.open_requests:
                    if not self.open_requests[parent].is_busy:
                        self._begin(parent)
                    if state == "idle":
                        self._finish(parent)
            self._log_message("iopub", frames, header, state)

    def _begin(self, parent: str) -> None:
        """The remote kernel has begun with a request."""
        request = self.open_requests[parent]
        request.is_busy = True
        if request.is_cell:
            self.cell_began = time.monotonic()
        self._close_silent(parent)

    def _finish(self, parent: str) -> None:
        """Put the replies of a request that is idle now into the log, before its idle."""
        request = self.open_requests[parent]
        if request.needs_reply and not request.held:
            # On its way over the other socket: published before the idle was.
            deadline = time.monotonic() + REPLY_GRACE_SECONDS
            while not request.held and time.monotonic() < deadline:
                self.reply_poller.poll(int(REPLY_GRACE_SECONDS * 1000))
                self._read_replies("shell")
                self._read_replies("control")
        for channel, frames in request.held:
            self._log_message(channel, frames)
        if request.is_cell:
            self.facts_ahead.forget()
        # A slider or a completion beside a cell: nothing that follows belongs to it.
        self.is_urgent = self.is_urgent or not request.is_cell
        # ipykernel sends no reply to a type that it does not know: idle ends it all the same.
        self.open_requests.pop(parent).close()
        if parent in self.behind:
            self._pass_on(*self.behind.pop(parent))
        if any(one.may_be_silent and not one.is_busy for one in self.open_requests.values()):
            # It is behind them, and its busy tells what became of them.
            self._probe()

    def _close_silent(self, parent: str | None) -> None:
        """Close comm messages that were done without a word: what came behind them has begun.

        ipykernel does so if they come while a cell awaits something. parent: what has begun, None
        for a probe, which came behind all.
        """
        if parent is not None and not self.open_requests[parent].is_in_turn:
            return
        for msg_id, request in list(self.open_requests.items()):
            if msg_id == parent:
                return
            if request.may_be_silent and not request.is_busy:
                del self.open_requests[msg_id]
                self._log({"kind": "closed", "parent": msg_id})

    def _read_stdin(self) -> None:
        for frames in self.kernel.receive("stdin"):
            # What was printed before the prompt must be seen before it.
            while self.kernel.iopub.poll(int(OUTPUT_GRACE_SECONDS * 1000)):
                self._read_iopub()
            self._log_message("stdin", frames)
            self.question_end = self.outgoing.end
            self.is_urgent = True

    def _forget_requests(self) -> None:
        for request in self.open_requests.values():
            request.close()
        self.open_requests.clear()
        self.behind.clear()

    def _bury(self, code: int) -> None:
        """Tell that the remote kernel has ended; what was open will never be answered."""
        self._read_iopub()
        for request in self.open_requests.values():
            for channel, frames in request.held:
                self._log_message(channel, frames)
        text = "" if self.kernel_ready else self.kernel.startup_log()
        self._log({"kind": "dead", "code": code, "ready": self.kernel_ready, "text": text})
        self._forget_requests()
        self.background = False
        self.is_urgent = True
        self.kernel.close()
        self.kernel = None

    # -- the log -----------------------------------------------------------------

    def _log_message(
        self,
        channel: str,
        frames: list[bytes],
        header: dict[str, Any] | None = None,
        state: str | None = None,
    ) -> None:
        header = _load(frames[0]) if header is None else header
        msg_type = str(header.get("msg_type", ""))
        head: dict[str, Any] = {"kind": "msg", "channel": channel, "type": msg_type}
        head["parent"] = str(_load(frames[1]).get("msg_id", ""))
        if state is not None:
            head["state"] = state
        self.outgoing.append(wire.Record(head, tuple(frames)))
        if msg_type not in _QUIET_TYPES:
            self.loud_offset = self.outgoing.end
            self.has_streams_only = self.has_streams_only and msg_type == "stream"

    def _log(self, head: dict[str, Any]) -> None:
        self.outgoing.append(wire.Record(head))


def _missing() -> list[str]:
    return [name for name in ("zmq", "ipykernel") if importlib.util.find_spec(name) is None]


class _OpenRequest:
    """A request that the remote kernel has not finished, with replies that came early."""

    def __init__(
        self,
        *,
        needs_reply: bool,
        is_cell: bool,
        is_in_turn: bool,
        may_be_silent: bool,
        is_state: bool,
    ) -> None:
        self.needs_reply = needs_reply
        self.is_cell = is_cell
        self.is_in_turn = is_in_turn
        self.may_be_silent = may_be_silent
        self.is_state = is_state
        self.is_busy = False
        self.held: list[tuple[str, list[bytes]]] = []
        self.ahead: AheadFifo | None = None

    def close(self) -> None:
        if self.ahead is not None:
            self.ahead.close()


def _load(data: bytes) -> dict[str, Any]:
    """Read a JSON object; what is none becomes an empty one, so that nothing is lost."""
    try:
        value = json.loads(data.decode("utf-8", "surrogatepass"))
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}


def _compile_package(installs_packages: bool) -> None:
    """Compile for the remote kernel what it will import of ours, while it imports ipykernel."""
    import compileall

    here = os.path.dirname(__file__)
    # What is seldom needed is compiled when it is.
    seldom = re.compile(rf"{re.escape(os.path.join(here, 'packages'))}/(?!__init__|attach|distrib)")
    compileall.compile_dir(here, quiet=2, rx=None if installs_packages else seldom)
