"""The agent: keeps the remote kernel's messages in a log and answers exchanges.

Lives in the session interpreter, runs only while an exchange is pending, in its one
thread. Between exchanges zmq's own thread keeps what the remote kernel says.

Records from the kernel, by kind:

    msg         {channel, keep, ahead}           a message for the remote kernel; ahead: a starter
                                                 of `!` commands is sent beside it
    interrupt   {number}                         SIGINT to the remote kernel, unless the shell tool
                                                 has sent that one
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
it and, if one is due, sent its reply (kernel_messages.py). An exchange that waits ends when
nothing is open any more, when there is output (coalesced for `settle` seconds), when it is woken
through the FIFO, or when its time is over.
"""

from __future__ import annotations

import io
import os
import select
import shutil
import sys
import threading
import time
from typing import Any

from . import agent_folder, install_ipykernel, retirement, session_ipython, wire
from .call_socket import CallSocket
from .depot import KINDS as DEPOT_KINDS
from .depot import Depot
from .kernel_messages import KernelMessages
from .loader import write_missing
from .readiness import PROBE_SECONDS, Readiness
from .spawn import compile_package, spawn
from .spool import Spool
from .wake_fifo import WakeFifo

# How long an exchange that waits for nothing lets an answer go to its caller: a thread that
# goes on after its cell. A page of a file takes some milliseconds.
DRAIN_SECONDS = 1.0

# Without a descriptor for the process's end, look at it this often.
DEATH_POLL_SECONDS = 0.25

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
        self.sources = {f"{__package__}/{name}": source for name, source in files.items()}
        self.home = os.getcwd()
        # What a generation before this one has found, if there was one.
        self.found = set(os.listdir(self.home)) if found is None else found
        self.missing = install_ipykernel.missing()
        self.outgoing = wire.SendLog()
        self.incoming = wire.ReceiveLog()
        self.spool = Spool()
        self.exchange_number = 0
        # Up to where the last answer went.
        self.answered_end = 0
        self.messages = KernelMessages(self.outgoing, directory)
        self.background = False
        self.kernel_number = 0
        self.wake = WakeFifo(os.path.join(directory, "wake"))
        self.calls = CallSocket(os.path.join(directory, "calls"))
        self.depot = Depot(directory, config["compiled"])
        # An exchange has it, or who sees a remote kernel end meanwhile.
        self.lock = threading.Lock()
        if not self.missing:
            self._start_kernel()

    @property
    def kernel(self) -> Any:
        """The remote kernel, None if there is none."""
        return self.messages.kernel

    def _mend_folder(self) -> None:
        """Make what code has removed of the folder, if it has; see agent_folder.py."""
        sources = {**self.sources, **self.depot.sources}
        agent_folder.mend(self.directory, sources, self.wake, self.calls)

    def retire(self) -> set[str]:
        """End this generation, so that another can begin as if there had been none.

        Ends the remote kernel and everything that it has started, and removes what has come
        into the working directory. Returns the names that were there before.
        """
        with self.lock:
            self._close_kernel()
        self.messages.open_requests.forget()
        retirement.end_processes(self.nonce)
        self.calls.close()
        self.wake.close()
        retirement.remove_all_but(self.found, self.home)
        shutil.rmtree(self.directory, ignore_errors=True)
        return self.found

    def greeting(self) -> str:
        """Return the frame that tells the kernel what it has found here."""
        head = {
            "missing": self.missing,
            "executable": sys.executable,
            "directory": self.directory,
            "wake": [self.wake.path, f"/proc/{os.getpid()}/fd/{self.wake.descriptor}"],
            "pid": self.kernel.process.pid if self.kernel else 0,
        }
        return wire.encode_frame(self.nonce, wire.Page(head))

    def install(self) -> None:
        """Install ipykernel with pip, if it is missing; quick to fail without a network."""
        if not self.missing:
            return
        install_ipykernel.install()
        self.missing = install_ipykernel.missing()
        if not self.missing:
            self._start_kernel()

    def exchange(self, text: str) -> list[bytes | memoryview]:
        """Take what the kernel sends, wait as told, return what it has not seen yet.

        Both are frames, the second in pieces.
        """
        with self.lock:
            return self._exchange(text)

    def _exchange(self, text: str) -> list[bytes | memoryview]:
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
        self.messages.is_urgent = False
        # Behind a gap lies what is sent again when the kernel sees how much has come.
        is_gap = head["off"] > self.incoming.received
        for record in [] if is_gap else self.incoming.feed(head["off"], page.data):
            if record.end > head["void"] or not record.can_be_withdrawn:
                self._handle(record)
        if not self.messages.open_requests:
            self.calls.drain(DRAIN_SECONDS)
        # Nor is a question answered by a call that was made before it was known.
        is_asked = self.messages.question_end > head["got"]
        seconds = 0.0 if is_gap or is_asked else head["wait"]
        self._wait(start, seconds, head["settle"], 3 * head["limit"])
        answer = {
            "n": head["n"],
            "got": self.incoming.received,
            "off": start,
            "end": self.outgoing.end,
            "background": self.background,
            "woken": self.wake.number == self.exchange_number,
            "open": len(self.messages.open_requests),
            "pid": self.kernel.process.pid if self.kernel else 0,
            "held": time.monotonic() - began,
        }
        page = wire.fill_page(self.outgoing, answer, start, head["limit"])
        self.answered_end = start + len(page.data)
        return wire.frame_pieces(self.nonce, page, may_be_text=True)

    # -- from the kernel ---------------------------------------------------------

    def _handle(self, record: wire.Record) -> None:
        if record.kind == "msg":
            channel, is_ahead = str(record.head["channel"]), bool(record.head.get("ahead"))
            self.messages.accept(channel, list(record.parts), is_ahead=is_ahead)
        elif record.kind == "interrupt":
            if self.kernel and agent_folder.note_interrupt(self.directory, record.head["number"]):
                self.kernel.interrupt()
        elif record.kind == "restart":
            self._restart_kernel()
        elif record.kind == "answer":
            self.calls.answer(record)
        elif record.kind == "facts":
            self.messages.facts_ahead.take(record)
        elif record.kind in DEPOT_KINDS:
            self.outgoing.append(self.depot.answer(record))
            self.messages.is_urgent = True

    # -- the remote kernel -------------------------------------------------------

    def _start_kernel(self) -> None:
        self._close_kernel()
        self._mend_folder()
        self.calls.forget_first()
        self.kernel_number += 1
        self.messages.readiness = Readiness(self.kernel_number, self.config["session"])
        self._open_kernel()
        self.messages.probe()

    def _close_kernel(self) -> None:
        if self.kernel is not None:
            self.kernel.close()
            self.messages.kernel = None

    def _take_end(self, kernel: Any, exit_fd: int) -> None:
        """Take what a remote kernel leaves when it ends, though nobody may ask for it.

        Its sockets would look for it until somebody does, hundreds of times a second. One that was
        never ready is left to whoever waits for it, and is told why it did not start.
        """
        try:
            poll = select.poll()
            poll.register(exit_fd, select.POLLIN)
            poll.poll()
        finally:
            os.close(exit_fd)
        with self.lock:
            if self.kernel is kernel and self.messages.readiness.is_ready:
                self._collect()

    def _open_kernel(self) -> None:
        config = {**self.config, "calls": self.calls.path, "nonce": self.nonce}
        compiled = self.config["compiled"]
        write_missing(self.directory, {"launcher.py": self.modules["launcher.py"]}, compiled)
        spawned = spawn(self.directory, self.kernel_number, config)
        # The first time, this takes as long as a Python to come up, and ipykernel to be imported.
        try:
            is_compiled = write_missing(self.directory, self.modules, compiled)
        finally:
            os.close(spawned.gate)
        import zmq

        from .process import RemoteKernel

        kernel = self.messages.kernel = RemoteKernel(spawned)
        self.poller = zmq.Poller()
        kernel.register(self.poller)
        self.poller.register(self.wake.descriptor, zmq.POLLIN)
        self.calls.register(self.poller, zmq.POLLIN, zmq.POLLOUT)
        if kernel.exit_fd is not None:
            watched = (kernel, os.dup(kernel.exit_fd))
            threading.Thread(target=self._take_end, args=watched, daemon=True).start()
        replies = self.messages.reply_poller = zmq.Poller()
        for channel in ("shell", "control"):
            replies.register(kernel.sockets[channel], zmq.POLLIN)
        if not is_compiled:
            packages = self.config.get("packages", {})
            is_wanted = bool(packages.get("wanted") or packages.get("notebook"))
            threading.Thread(target=compile_package, args=(is_wanted,), daemon=True).start()

    def _restart_kernel(self) -> None:
        """Start another one; if that cannot be, the kernel has to know."""
        try:
            self._start_kernel()
        except Exception as error:  # noqa: BLE001 - whatever it is, there is no remote kernel
            why = getattr(error, "strerror", None) or f"{type(error).__name__}: {error}"
            self.messages.never_started(why)

    # -- waiting -----------------------------------------------------------------

    def _wait(self, seen: int, seconds: float, settle: float, enough_bytes: int) -> None:
        messages = self.messages
        messages.pacing.begin(time.monotonic(), seen, seconds, settle)
        while True:
            self._collect()
            now, still_open = time.monotonic(), messages.open_requests
            until = messages.pacing.until(now, self.outgoing.end, still_open.values())
            if (
                not still_open
                or messages.is_urgent
                or self.wake.number >= self.exchange_number
                or self.outgoing.end - seen >= enough_bytes
                or now >= until
            ):
                return
            self._poll(until - now)

    def _poll(self, seconds: float) -> None:
        if not self.messages.readiness.is_ready:
            seconds = min(seconds, PROBE_SECONDS)
        if self.kernel.exit_fd is None:
            seconds = min(seconds, DEATH_POLL_SECONDS)
        self.poller.poll(max(1, int(seconds * 1000)))

    def _collect(self) -> None:
        """Move everything that has arrived into the log."""
        self.wake.read()
        if self.kernel is None:
            return
        # The end is looked for first: what is read afterwards is all there will be.
        code = self.kernel.exit_code()
        self.messages.read()
        for call in self.calls.read():
            self._take_call(call)
        if code is not None:
            self.messages.bury(code)
            self.background = False
        else:
            self.messages.look_after_start(time.monotonic())

    def _take_call(self, call: wire.Record) -> None:
        messages = self.messages
        if "background" in call.head:
            self.background = bool(call.head["background"])
        elif (known := messages.facts_ahead.answer(call)) is not None:
            self.calls.answer(known)
        else:
            messages.is_urgent = True
            messages.await_busy(str(call.head.get("parent", "")))
            end = self.outgoing.append(wire.Record({**call.head, "kind": "call"}, call.parts))
            # What a command says and how it ends comes without an answer from the kernel.
            if call.head.get("op") != "shell":
                messages.question_end = end
