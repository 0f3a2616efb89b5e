"""`!` commands in the remote kernel, run by the service's shell tool.

IPython parses and expands; only `system` and `getoutput` of its shell are replaced. A private
folder for each command holds starter.py, its job, and a script that the kernel runs with the shell
tool, unless it has sent a starter ahead (ahead.py). Output comes back through a terminal (`!cmd`)
or a FIFO (`x = !cmd`), the exit status through a second FIFO: it streams, has no time limit and
needs no further call. Both ends open all of them before the command starts.

Needs IPython; POSIX systems.
"""

from __future__ import annotations

import contextlib
import errno
import marshal
import os
import pty
import select
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from typing import Any

from . import agent_folder, ahead
from .call_socket import Connection, is_readable

# Linux takes no single argument over 128 KiB; a longer command goes into a file.
_LONGEST_ARGUMENT_BYTES = 100_000

# The grace period of an interrupted command, as in IPython.
_INTERRUPT_GRACE_SECONDS = 1.0

# The limit for output on its way through a terminal; the system needs microseconds.
_LATE_SECONDS = 0.02

# How long a command waits for a starter that was sent ahead, before it is asked for by a call. The
# two have left at the same time, by different connections.
_AHEAD_SECONDS = 1.0


def replace_system(
    ip: Any, calls_path: str, prepare: Callable[[str], None], cell_of: Callable[[], str]
) -> None:
    """Make IPython's shell run its commands through the kernel.

    ip: the InteractiveShell; calls_path: the agent's socket. prepare: called with each command
    before it runs. cell_of: returns the id of the message that runs code.
    """
    # Read now: code may remove the file or change sys.executable.
    with open(os.path.join(os.path.dirname(__file__), "starter.py"), "rb") as file:
        starter = sys.executable, file.read()
    sent_ahead = _SentAhead(calls_path, cell_of)

    def start(text: str, *, terminal: bool) -> _Command:
        prepare(text)
        return _Command(text, starter, calls_path, sent_ahead, terminal=terminal)

    def finish(cmd: str, exit_code: int) -> None:
        ip.user_ns["_exit_code"] = exit_code
        if exit_code and getattr(ip, "system_raise_on_error", False):
            raise subprocess.CalledProcessError(exit_code, cmd)

    def system(cmd: str) -> None:
        """Run a command, showing its output; the exit status goes to `_exit_code`."""
        _refuse_background(cmd)
        command = start(ip.var_expand(cmd, depth=1), terminal=True)
        finish(cmd, command.run(_print))

    def getoutput(cmd: str, split: bool = True, depth: int = 0) -> Any:
        """Run a command and return its output, stderr included."""
        from IPython.utils.text import LSString, SList

        _refuse_background(cmd)
        taken: list[str] = []
        command = start(ip.var_expand(cmd, depth=depth + 1), terminal=False)
        exit_code = command.run(taken.append)
        if getattr(ip, "system_raise_on_error", False):
            finish(cmd, exit_code)
        # As with IPython, whose getoutput has nothing of a command that was interrupted.
        text = "" if command.is_interrupted else "".join(taken)
        return SList(text.splitlines()) if split else LSString(text)

    ip.system = system
    ip.getoutput = getoutput


def _refuse_background(cmd: str) -> None:
    if cmd.rstrip().endswith("&"):
        raise OSError("Background processes not supported.")


def _print(text: str) -> None:
    sys.stdout.write(text)
    sys.stdout.flush()


class _SentAhead:
    """The starter that was sent ahead of the running cell, if there is one."""

    def __init__(self, calls_path: str, cell_of: Callable[[], str]) -> None:
        self._folder = os.path.dirname(calls_path)
        self._cell_of = cell_of
        self._missed = ""

    def offer(self, job: str) -> bool:
        """Tell it of a job; False: there is none."""
        path = ahead.path_of(self._folder, self._cell_of())
        return path != self._missed and ahead.offer(path, job)

    def missed(self) -> None:
        """It did not come: the cell's other commands do not wait for it."""
        self._missed = ahead.path_of(self._folder, self._cell_of())


class _Command:
    """One command: its job, its output, and its end. starter: interpreter and source."""

    def __init__(
        self,
        text: str,
        starter: tuple[str, bytes],
        calls_path: str,
        sent_ahead: _SentAhead,
        *,
        terminal: bool,
    ) -> None:
        self.text = text
        self.python, self.source = starter
        self.calls_path = calls_path
        self.sent_ahead = sent_ahead
        # When it is asked for by a call unless it has begun, and what the call needs.
        self.call_at: float | None = None
        self.script = ""
        self.is_terminal = terminal
        self.directory = ""
        self.status_fd = self.output_fd = self.slave_fd = -1
        self.status = b""
        self.pid = 0
        self.exit_code: int | None = None
        self.is_interrupted = False
        # Why it could not be executed, as an errno.
        self.failure = 0

    def run(self, show: Callable[[str], object]) -> int:
        """Run the command; `show` gets the output as it comes. Return the exit status.

        Raises OSError: there is no such shell, or it cannot be executed.
        """
        import codecs

        decoder = codecs.getincrementaldecoder("utf-8")("replace")
        program = _shell_of_terminal() if self.is_terminal else os.environ.get("SHELL", "/bin/sh")
        connection = None
        try:
            self.script = self._prepare(program)
            connection = Connection(self.calls_path)
            if self.sent_ahead.offer(self._path("job")):
                self.call_at = time.monotonic() + _AHEAD_SECONDS
            else:
                self._call(connection)
            while True:
                try:
                    if self._step(connection, decoder, show):
                        break
                except KeyboardInterrupt:
                    self._stop(decoder, show)
                    break
            show(decoder.decode(b"", final=True))
        finally:
            if connection is not None:
                connection.close()
            self._close()
        if self.failure:
            # IPython starts one by pexpect and the other by Popen, which names the program.
            named = None if self.is_terminal else program
            raise OSError(self.failure, os.strerror(self.failure), named)
        code = self.exit_code or 0
        # A shell reports a signal as 128 + its number, IPython as -number.
        return 128 - code if code > 128 else code

    def _call(self, connection: Connection) -> None:
        """Have the kernel start it by the shell tool."""
        self.call_at = None
        connection.call("shell", script=self.script, command=self.text)

    def _prepare(self, program: str) -> str:
        """Open this end of the FIFOs and write the script for the shell tool; return its path.

        However often it is run, it starts the command at most once.
        """
        folder = os.path.dirname(self.calls_path)
        agent_folder.make(folder)
        self.directory = tempfile.mkdtemp(prefix="sh-", dir=folder)
        status = self._path("status")
        os.mkfifo(status, 0o600)
        # For reading only: it ends when the starter does.
        self.status_fd = os.open(status, os.O_RDONLY | os.O_NONBLOCK)
        if self.is_terminal:
            self.output_fd, self.slave_fd = pty.openpty()
            output = os.ttyname(self.slave_fd)
            _copy_window_size(self.slave_fd)
        else:
            output = self._path("output")
            os.mkfifo(output, 0o600)
            self.output_fd = os.open(output, os.O_RDONLY | os.O_NONBLOCK)
            # Keeps the FIFO from ending before the command has opened it.
            self.slave_fd = os.open(output, os.O_WRONLY)
        job = {
            "once": self._path("once"),
            "status": status,
            "output": output,
            "terminal": self.is_terminal,
            "programs": _places_of(program),
            # An empty name cannot be executed; an empty SHELL fails anyway.
            "arguments": [os.fsencode(program) or b"sh", *self._arguments()],
            "variables": dict(os.environb),
            **_inherited(),
        }
        words = [
            # Without site-packages, which would take longer than the start.
            *(self.python, "-s", "-S"),
            self._write("starter", self.source),
            self._write("job", marshal.dumps(job)),
        ]
        return self._write("run", os.fsencode(f"exec {shlex.join(words)}\n"))

    def _arguments(self) -> list[bytes]:
        text = os.fsencode(self.text)
        if b"\0" in text:
            raise ValueError("embedded null byte")
        if len(text) > _LONGEST_ARGUMENT_BYTES:
            return [os.fsencode(self._write("command", text))]
        return [b"-c", text]

    def _path(self, name: str) -> str:
        return os.path.join(self.directory, name)

    def _write(self, name: str, data: bytes) -> str:
        path = self._path(name)
        with open(path, "wb") as file:
            file.write(data)
        return path

    def _step(self, connection: Connection, decoder: Any, show: Callable[[str], object]) -> bool:
        """Wait for output or an end; return True when the command has ended."""
        readable = self._wait(connection)
        if self.output_fd in readable:
            data = self._read_output()
            if data:
                show(decoder.decode(data))
                return False
        if self.status_fd in readable:
            self._read_status()
        if self.exit_code is not None:
            self._drain(decoder, show)
            return True
        if connection.fileno() in readable:
            for answer in connection.receive():
                # An error of a running one: a repeated call did not find its folder.
                if answer.head.get("error") and not self.pid:
                    sys.stderr.write(str(answer.head["error"]) + "\n")
                    self.exit_code = 127
                    return True
        return False

    def _wait(self, connection: Connection) -> set[int]:
        """Wait for anything, and no longer for a starter that does not come."""
        poll = select.poll()
        for one in (self.output_fd, self.status_fd, connection.fileno()):
            poll.register(one, select.POLLIN)
        if self.call_at is not None:
            found = poll.poll(max(0.0, 1000 * (self.call_at - time.monotonic())))
            if found or self.call_at > time.monotonic():
                return {descriptor for descriptor, _ in found}
            self.sent_ahead.missed()
            self._call(connection)
        return {descriptor for descriptor, _ in poll.poll()}

    def _read_output(self) -> bytes:
        try:
            return os.read(self.output_fd, 65536)
        except BlockingIOError:
            return b""
        except OSError as error:
            if error.errno == errno.EIO:  # a terminal that nobody holds any more
                return b""
            raise

    def _read_status(self) -> None:
        data = os.read(self.status_fd, 4096)
        *lines, self.status = (self.status + data).split(b"\n")
        for line in lines:
            self.call_at = None  # it has begun
            word, _, number = line.partition(b" ")
            if word == b"pid":
                self.pid = int(number)
            elif word == b"failed":
                self.failure = int(number)
            elif word == b"end":
                self.exit_code = int(number)
        if not data and self.exit_code is None:  # the starter was killed
            self.exit_code = -int(signal.SIGKILL)

    def _drain(self, decoder: Any, show: Callable[[str], object]) -> None:
        """Show the rest of the output.

        Without our own end of it, it ends by itself unless the command has left a process.
        """
        if self.slave_fd >= 0:
            os.close(self.slave_fd)
            self.slave_fd = -1
        while is_readable(self.output_fd, _LATE_SECONDS):
            data = self._read_output()
            if not data:
                return
            show(decoder.decode(data))

    def _stop(self, decoder: Any, show: Callable[[str], object]) -> None:
        """Interrupt the command as a terminal would, then kill it, as IPython does."""
        self.is_interrupted = True
        if self.is_terminal:
            os.write(self.output_fd, b"\x03\n")
        else:
            _print("^C\n")
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGKILL):
            if self.exit_code is not None:
                break
            if self.pid:
                try:
                    os.killpg(self.pid, number)
                except (ProcessLookupError, PermissionError):
                    break
            deadline = time.monotonic() + _INTERRUPT_GRACE_SECONDS
            while self.exit_code is None and (left := deadline - time.monotonic()) > 0:
                if is_readable(self.status_fd, left):
                    self._read_status()
        self._drain(decoder, show)
        if self.exit_code is None:
            self.exit_code = -int(signal.SIGINT)

    def _close(self) -> None:
        for descriptor in (self.output_fd, self.slave_fd, self.status_fd):
            if descriptor >= 0:
                os.close(descriptor)
        if self.directory:
            shutil.rmtree(self.directory, ignore_errors=True)


def _shell_of_terminal() -> str:
    """Return IPython's shell for `!cmd`: SHELL at the first command, or `sh`. Raises OSError."""
    from IPython.utils import _process_posix

    handler: Any = _process_posix.system
    return str(handler.__self__.sh)


def _places_of(program: str) -> list[bytes]:
    """Return the candidate paths of a program, as Popen does for `x = !cmd`."""
    name = os.fsencode(program)
    if os.path.dirname(name):
        return [name]
    return [os.path.join(os.fsencode(folder), name) for folder in os.get_exec_path()]


def _inherited() -> dict[str, Any]:
    """Return the attributes that a child of this process would inherit, for starter.py."""
    import resource

    place = os.stat(".")
    directories = [f"/proc/{os.getpid()}/cwd".encode("ascii")]
    with contextlib.suppress(OSError):  # it has been removed
        directories.insert(0, os.getcwdb())
    limits = {getattr(resource, name) for name in dir(resource) if name.startswith("RLIMIT_")}
    affinity = getattr(os, "sched_getaffinity", None)  # Linux
    return {
        "directories": directories,
        "directory": (place.st_dev, place.st_ino),
        "umask": _umask(),
        "nice": os.getpriority(os.PRIO_PROCESS, 0),
        "limits": {kind: resource.getrlimit(kind) for kind in limits},
        "processors": None if affinity is None else affinity(0),
        "ignored": [int(one) for one in signal.valid_signals() if _is_ignored(one)],
        "blocked": [int(one) for one in signal.pthread_sigmask(signal.SIG_BLOCK, [])],
    }


def _is_ignored(number: int) -> bool:
    """Tell whether code has this process ignore a signal; Python itself ignores two."""
    by_python = (signal.SIGPIPE, signal.SIGXFSZ)
    return number not in by_python and signal.getsignal(number) is signal.SIG_IGN


def _umask() -> int:
    # os.umask can only read it by changing it for a moment, in all threads.
    with contextlib.suppress(OSError), open("/proc/self/status", "rb") as file:
        for line in file:
            if line.startswith(b"Umask:"):
                return int(line.split()[1], 8)
    mask = os.umask(0o077)
    os.umask(mask)
    return mask


def _copy_window_size(descriptor: int) -> None:
    """Give the terminal the size that IPython's own `!` terminal has: 24 by 80."""
    import fcntl
    import struct
    import termios

    fcntl.ioctl(descriptor, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
