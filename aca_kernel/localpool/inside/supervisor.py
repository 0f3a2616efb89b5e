"""The first process of a sandbox: starts the interpreter, runs shell commands, reaps.

It holds one socket to the pool and answers it from a single poll loop that never
waits for anything else, because interrupts travel through it. In a sandbox it is
process 1, so its end is the end of every process of the session; without one it
adopts orphans and kills all descendants before it leaves.

Messages from the pool:
    {"op": "interpreter"}            three file descriptors ride along: socket, stdout, stderr
    {"op": "shell", "id", "argv"}    answered {"id", "exit_code", "stdout_bytes", "truncated"}
                                     with both outputs as the frame's bytes
    {"op": "signal", "signal"}       to the interpreter's process group
    {"op": "kill_shell", "id"}       the command answers with the exit code of a kill
    end of file                      the pool closed the session, or died
To the pool: {"event": "ready"} once, {"event": "exit", "pid", "status"} when an interpreter ended.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import resource
import select
import signal
import socket
import sys
from typing import TYPE_CHECKING, Any, NoReturn

from . import frames, interpreter

if TYPE_CHECKING:
    import types

_READ_BYTES = 1 << 18
# Exit codes of a shell for a command that was not found and one that cannot run.
_NOT_FOUND, _NOT_EXECUTABLE = 127, 126


class _ShellCommand:
    """One running shell command and what it has written so far."""

    def __init__(self, request_id: int, pid: int) -> None:
        self.request_id = request_id
        self.pid = pid
        self.fds: list[int] = []
        self.outputs: tuple[list[bytes], list[bytes]] = ([], [])
        self.sizes = [0, 0]
        self.truncated = False


class Supervisor:
    """The poll loop. `config`: see `aca_kernel.localpool.sandbox.supervisor_config`."""

    def __init__(self, config: dict[str, Any]) -> None:
        self._config = config
        self._output_limit: int = config["output_limit_bytes"]
        self._control = socket.socket(fileno=config["control_fd"])
        os.set_inheritable(self._control.fileno(), False)
        self._reader = frames.FrameReader()
        self._passed_fds: list[int] = []
        self._interpreter_pid = 0
        self._commands: dict[int, _ShellCommand] = {}  # by pid
        # Read ends of outputs: the command and 0 or 1 for its stream; None when
        # the command has been answered and a background process still writes.
        self._outputs: dict[int, tuple[_ShellCommand, int] | None] = {}
        self._poll = select.poll()
        self._wake_read, self._wake_write = os.pipe()
        os.set_blocking(self._wake_read, False)
        os.set_blocking(self._wake_write, False)

    def run(self) -> None:
        """Serve until the pool closes its end."""
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(self._wake_write, warn_on_full_buffer=False)
        self._poll.register(self._control, select.POLLIN)
        self._poll.register(self._wake_read, select.POLLIN)
        self._send({"event": "ready"})
        while True:
            for fd, _ in self._poll.poll():
                if fd == self._control.fileno():
                    if not self._receive():
                        return
                elif fd == self._wake_read:
                    with contextlib.suppress(BlockingIOError):
                        os.read(self._wake_read, 512)
                    self._reap()
                elif fd in self._outputs:
                    self._read_output(fd)

    def _send(self, header: dict[str, Any], payload: bytes = b"") -> None:
        self._control.sendall(frames.pack(header, payload))

    def _receive(self) -> bool:
        data, fds, _, _ = socket.recv_fds(self._control, _READ_BYTES, 3)
        self._passed_fds += fds
        for header, _ in self._reader.feed(data):
            self._obey(header)
        return bool(data)

    def _obey(self, message: dict[str, Any]) -> None:
        operation = message["op"]
        if operation == "shell":
            self._start_command(message["id"], message["argv"])
        elif operation == "interpreter":
            self._start_interpreter()
        elif operation == "signal" and self._interpreter_pid:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._interpreter_pid, message["signal"])
        elif operation == "kill_shell":
            for command in list(self._commands.values()):
                if command.request_id == message["id"]:
                    with contextlib.suppress(ProcessLookupError):
                        os.killpg(command.pid, signal.SIGKILL)

    def _start_interpreter(self) -> None:
        fds, self._passed_fds = self._passed_fds[:3], self._passed_fds[3:]
        pid = os.fork()
        if pid == 0:
            self._become_interpreter(*fds)
        self._interpreter_pid = pid
        for fd in fds:
            os.close(fd)

    def _become_interpreter(self, sock_fd: int, out_fd: int, err_fd: int) -> NoReturn:
        """Turn this forked child into the interpreter; never returns."""
        code = 1
        try:
            os.setsid()
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            self._control.close()
            for fd in (self._wake_read, self._wake_write, *self._outputs):
                os.close(fd)
            if self._config["isolation"] == "process":
                _process_tree().die_with_parent()
            program = self._config.get("interpreter_argv")
            if program:
                for fd in (sock_fd, out_fd, err_fd):
                    os.set_inheritable(fd, True)
                argv = [*program, str(sock_fd), str(out_fd), str(err_fd)]
                os.execv(argv[0], argv)  # noqa: S606  a program, not a shell line
            code = interpreter.main(sock_fd, out_fd, err_fd)
        finally:
            os._exit(code)

    def _start_command(self, request_id: int, argv: list[str]) -> None:
        pairs = [os.pipe(), os.pipe()]
        actions: list[tuple[Any, ...]] = [
            (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
            (os.POSIX_SPAWN_DUP2, pairs[0][1], 1),
            (os.POSIX_SPAWN_DUP2, pairs[1][1], 2),
        ]
        failure = None
        try:
            pid = os.posix_spawnp(
                argv[0],
                argv,
                os.environ,
                file_actions=actions,
                setsid=True,
                setsigdef=[signal.SIGPIPE, signal.SIGXFSZ, signal.SIGINT],
            )
        except (OSError, ValueError) as error:
            failure = error
        for _, write_end in pairs:
            os.close(write_end)
        if failure is not None:
            for read_end, _ in pairs:
                os.close(read_end)
            missing = getattr(failure, "errno", None) == errno.ENOENT
            text = getattr(failure, "strerror", None) or str(failure)
            header = {"id": request_id, "stdout_bytes": 0, "truncated": False}
            header["exit_code"] = _NOT_FOUND if missing else _NOT_EXECUTABLE
            name = argv[0][:200].encode(errors="backslashreplace").decode()
            self._send(header, f"{name}: {text}\n".encode())
            return
        command = _ShellCommand(request_id, pid)
        self._commands[pid] = command
        for index, (read_end, _) in enumerate(pairs):
            os.set_blocking(read_end, False)
            command.fds.append(read_end)
            self._outputs[read_end] = (command, index)
            self._poll.register(read_end, select.POLLIN)

    def _read_output(self, fd: int) -> bool:
        """Take what is there; False when there is nothing more for now."""
        try:
            data = os.read(fd, _READ_BYTES)
        except BlockingIOError:
            return False
        if not data:
            self._poll.unregister(fd)
            del self._outputs[fd]
            os.close(fd)
            return False
        owner = self._outputs[fd]
        if owner is not None:
            command, index = owner
            room = self._output_limit - command.sizes[index]
            if len(data) > room:
                data, command.truncated = data[:room], True
            command.sizes[index] += len(data)
            command.outputs[index].append(data)
        return True

    def _reap(self) -> None:
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if not pid:
                return
            if pid == self._interpreter_pid:
                self._interpreter_pid = 0
                code = os.waitstatus_to_exitcode(status)
                self._send({"event": "exit", "pid": pid, "status": code})
            elif pid in self._commands:
                self._answer(self._commands.pop(pid), os.waitstatus_to_exitcode(status))

    def _answer(self, command: _ShellCommand, code: int) -> None:
        """Answer as soon as the command itself ended.

        What it left running in the background may hold its outputs open for hours:
        these are read on and thrown away, so that nothing there blocks or gets SIGPIPE.
        """
        for fd in command.fds:
            while fd in self._outputs and self._read_output(fd):
                # A background process that writes without end must not hold the answer.
                if command.truncated:
                    break
            if fd in self._outputs:
                self._outputs[fd] = None
        out, err = (b"".join(chunks) for chunks in command.outputs)
        header = {
            "id": command.request_id,
            "exit_code": 128 - code if code < 0 else code,
            "stdout_bytes": len(out),
            "truncated": command.truncated,
        }
        self._send(header, out + err)


def _process_tree() -> types.ModuleType:
    # Needed without a sandbox only, and slow to import for its ctypes.
    from . import process_tree

    return process_tree


def _limit(config: dict[str, Any]) -> None:
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    for kind, key in (
        (resource.RLIMIT_DATA, "memory_bytes"),
        (resource.RLIMIT_NPROC, "max_processes"),
    ):
        if config[key]:
            _, hard = resource.getrlimit(kind)
            limit = config[key] if hard == resource.RLIM_INFINITY else min(config[key], hard)
            resource.setrlimit(kind, (limit, limit))


def main() -> None:
    """Run a supervisor; the configuration is the one argument, as JSON."""
    config = json.loads(sys.argv[1])
    sys.argv = [""]
    # It has had its effect on this process and its forks, and is not the user's.
    os.environ.pop("GLIBC_TUNABLES", None)
    _limit(config)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.chdir(config["directory"])
    if config["isolation"] == "process":
        _process_tree().adopt_orphans()
    try:
        Supervisor(config).run()
    except OSError:
        pass  # the pool is gone: nobody is left to tell
    finally:
        if config["isolation"] == "process":
            _process_tree().kill_descendants()
        os._exit(0)
