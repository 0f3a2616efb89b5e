"""`!` in the remote kernel: the command runs in the service's shell tool, not here.

IPython parses and expands as ever; only `system` and `getoutput` of its shell are ours.
A command is written to a script in a private folder, with the working directory and
the environment variables it must see. The kernel is asked to start that script with the
shell tool; its output comes back through a terminal (`!cmd`) or a pipe (`x = !cmd`) that
both ends know by name, so it streams, has no time limit and needs no further call.

Standard library only; POSIX systems.
"""

from __future__ import annotations

import errno
import os
import pty
import select
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable
from typing import Any

from .calls import Connection, is_readable

# Linux takes no single argument over 128 KiB; a longer command goes into a file.
_LONGEST_ARGUMENT_BYTES = 100_000

# The interrupted command has this long to end by itself, as in IPython.
_INTERRUPT_GRACE_SECONDS = 1.0


def replace_system(ip: Any, calls_path: str, prepare: Callable[[str], None]) -> None:
    """Make IPython's shell run its commands through the kernel.

    ip: the InteractiveShell; calls_path: the agent's socket. prepare: called with each command
    before it runs.
    """

    def start(text: str, *, terminal: bool) -> _Command:
        prepare(text)
        return _Command(text, calls_path, terminal=terminal)

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
        text = "".join(taken)
        return SList(text.splitlines()) if split else LSString(text)

    ip.system = system
    ip.getoutput = getoutput


def _refuse_background(cmd: str) -> None:
    if cmd.rstrip().endswith("&"):
        raise OSError("Background processes not supported.")


def _print(text: str) -> None:
    sys.stdout.write(text)
    sys.stdout.flush()


class _Command:
    """One command: its script, the two ends of its output, and its end."""

    def __init__(self, text: str, calls_path: str, terminal: bool) -> None:
        self.text = text
        self.calls_path = calls_path
        self.directory = tempfile.mkdtemp(prefix="sh-", dir=os.path.dirname(calls_path))
        self.status_path = os.path.join(self.directory, "status")
        os.mkfifo(self.status_path, 0o600)
        self.status_fd = os.open(self.status_path, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
        if terminal:
            self.output_fd, self.slave_fd = pty.openpty()
            self.output_path = os.ttyname(self.slave_fd)
            _copy_window_size(self.slave_fd)
        else:
            self.output_path = os.path.join(self.directory, "output")
            os.mkfifo(self.output_path, 0o600)
            self.output_fd = os.open(self.output_path, os.O_RDONLY | os.O_NONBLOCK)
            # Keeps the pipe from ending before the command has opened it.
            self.slave_fd = os.open(self.output_path, os.O_WRONLY)
        self.is_terminal = terminal
        self.pid = 0
        self.exit_code: int | None = None

    def run(self, show: Callable[[str], object]) -> int:
        """Run to the end; `show` gets the output as it comes. Return the exit status."""
        import codecs

        decoder = codecs.getincrementaldecoder("utf-8")("replace")
        script = self._write_script()
        connection = None
        try:
            connection = Connection(self.calls_path)
            connection.call("shell", script=script, command=self.text)
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
        return 0 if self.exit_code is None else self.exit_code

    def _write_script(self) -> str:
        """Write what the shell tool will run; it runs at most once, however often asked."""
        once = shlex.quote(os.path.join(self.directory, "once"))
        status, output = shlex.quote(self.status_path), shlex.quote(self.output_path)
        user_shell = shlex.quote(shutil.which(os.environ.get("SHELL") or "sh") or "/bin/sh")
        command = f"-c {shlex.quote(self.text)}"
        if len(os.fsencode(self.text)) > _LONGEST_ARGUMENT_BYTES:
            command = shlex.quote(self._write("command", self.text))
        # The first shell leads a session of its own. Opening the terminal makes it the
        # session's, so that ^C reaches the command; the trap keeps the first shell alive
        # to tell how the command ended, and is not inherited by it.
        leader = self._write(
            "leader",
            f"exec {'<' + output if self.is_terminal else '</dev/null'} >{output} 2>&1\n"
            "trap : INT TERM HUP\n"
            f"echo pid $$ 1<>{status}\n"
            f"{user_shell} {command}\n"
            f"echo end $? 1<>{status}\n",
        )
        # Not `&`, where there is a choice: what a shell puts into the background ignores ^C.
        if shutil.which("setsid"):
            detached = f"setsid -f sh {shlex.quote(leader)} </dev/null >/dev/null 2>&1\n"
        else:
            detached = f"sh {shlex.quote(leader)} </dev/null >/dev/null 2>&1 &\n"
        exports = "".join(
            f"export {name}={shlex.quote(value)}\n"
            for name, value in os.environ.items()
            if name.isidentifier()
        )
        return self._write(
            "run",
            f"mkdir {once} 2>/dev/null || exit 0\n"
            f"cd {shlex.quote(os.getcwd())} || exit 1\n"
            f"{exports}{detached}",
        )

    def _write(self, name: str, text: str) -> str:
        path = os.path.join(self.directory, name)
        with open(path, "w", encoding="utf-8", errors="surrogateescape") as file:
            file.write(text)
        return path

    def _step(self, connection: Connection, decoder: Any, show: Callable[[str], object]) -> bool:
        """Wait for the next thing to happen; return True when the command is over."""
        poll = select.poll()
        for one in (self.output_fd, self.status_fd, connection.fileno()):
            poll.register(one, select.POLLIN)
        readable = {descriptor for descriptor, _ in poll.poll()}
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
                if answer.head.get("error"):
                    sys.stderr.write(str(answer.head["error"]) + "\n")
                    self.exit_code = 127
                    return True
        return False

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
        for line in os.read(self.status_fd, 4096).decode("ascii", "replace").splitlines():
            word, _, number = line.partition(" ")
            if word == "pid":
                self.pid = int(number)
            elif word == "end":
                code = int(number)
                # A shell reports a signal as 128 + its number, IPython as -number.
                self.exit_code = 128 - code if code > 128 else code

    def _drain(self, decoder: Any, show: Callable[[str], object]) -> None:
        """Show what the command wrote before its end and is still under way."""
        while is_readable(self.output_fd, 0):
            data = self._read_output()
            if not data:
                return
            show(decoder.decode(data))

    def _stop(self, decoder: Any, show: Callable[[str], object]) -> None:
        """Interrupt the command as a terminal would, then end it; as IPython does."""
        if self.is_terminal:
            os.write(self.output_fd, b"\x03\n")
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGKILL):
            if self.exit_code is not None:
                break
            if self.pid:
                try:
                    os.killpg(self.pid, number)
                except (ProcessLookupError, PermissionError):
                    break
            if is_readable(self.status_fd, _INTERRUPT_GRACE_SECONDS):
                self._read_status()
        self._drain(decoder, show)
        if self.exit_code is None:
            self.exit_code = -int(signal.SIGINT)

    def _close(self) -> None:
        for descriptor in (self.output_fd, self.slave_fd, self.status_fd):
            os.close(descriptor)
        shutil.rmtree(self.directory, ignore_errors=True)


def _copy_window_size(descriptor: int) -> None:
    """Give the terminal the size that IPython's own `!` terminal has: 24 by 80."""
    import fcntl
    import struct
    import termios

    fcntl.ioctl(descriptor, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
