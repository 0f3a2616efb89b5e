"""The session interpreter: runs Python requests, one after another, in one namespace.

One thread, no event loop of its own, nothing imported that user code might want to
have first. The request socket and the two output pipes sit on high descriptors that
children do not inherit; before every request descriptors 0 to 2 and sys.stdin, stdout
and stderr are put back, so nothing a request does to them outlives it.

Output goes into pipes that the pool reads at the same time. The answer is sent after
the last flush, so whatever the request wrote is in the pipes before its answer.

Request: {"id"} with the source as the frame's bytes. Answer: {"id", "ok", "time_ms"} and
"result" (any JSON value; absent for None) or "error": {"name", "message", "stackTrace"}.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import resource
import signal
import socket
import sys
import time
import types
from typing import TYPE_CHECKING, Any

from . import execution, frames, results

if TYPE_CHECKING:
    from io import TextIOWrapper

# Flushing this seldom makes print cheap; an audit hook flushes before children start.
_STDOUT_BUFFER_BYTES = 1 << 16
_FLUSH_BEFORE = frozenset({"subprocess.Popen", "os.system", "os.posix_spawn", "os.exec"})


class Interpreter:
    """Serves requests from one socket until it closes."""

    def __init__(self, sock_fd: int, out_fd: int, err_fd: int) -> None:
        self._socket = socket.socket(fileno=_move_high(sock_fd))
        null = os.open(os.devnull, os.O_RDONLY)
        self._std_fds = (_move_high(null), _move_high(out_fd), _move_high(err_fd))
        self._pid = os.getpid()
        self._is_running = False
        self._namespace = _make_main_module()
        self._executor = execution.Executor(self._namespace)
        self._streams: tuple[TextIOWrapper, TextIOWrapper, TextIOWrapper] | None = None
        self._restore_streams()

    def serve(self) -> int:
        """Answer requests; returns when the other end has gone."""
        sys.addaudithook(self._audit)
        os.register_at_fork(before=self._flush, after_in_child=self._leave_to_parent)
        while True:
            frame = self._receive()
            if frame is None:
                return 0
            header, source = frame
            answer = self._answer(source)
            if os.getpid() != self._pid:
                # A child that user code forked and let run on: it ends here.
                return 0
            answer["id"] = header["id"]
            self._send(answer)

    def _leave_to_parent(self) -> None:
        """In a forked child: give up the socket, and print what a kill would lose."""
        self._socket.close()
        if self._streams is not None and _is_usable(self._streams[1]):
            self._streams[1].reconfigure(line_buffering=True)

    def _receive(self) -> frames.Frame | None:
        try:
            return frames.receive(self._socket)
        except OSError:
            return None

    def _send(self, answer: dict[str, Any]) -> None:
        self._socket.sendall(frames.pack(answer))

    def _answer(self, source: bytes) -> dict[str, Any]:
        started = time.perf_counter()
        try:
            self._restore_streams()
            signal.signal(signal.SIGINT, self._interrupt)
            self._is_running = True
            try:
                answer = self._run(source.decode("utf-8", "surrogatepass"))
                self._flush()
            finally:
                self._is_running = False
        except BaseException as error:  # noqa: BLE001  an interrupt between two statements
            self._is_running = False
            answer = {"ok": False, "error": results.describe_error(error)}
            self._flush()
        answer["time_ms"] = round((time.perf_counter() - started) * 1000)
        return answer

    def _run(self, source: str) -> dict[str, Any]:
        try:
            value = self._executor.run(source)
            shown = results.to_json(value)
        except BaseException as error:  # noqa: BLE001  SystemExit and interrupts too
            error_text = results.describe_error(error)
            self._write_traceback(error_text["stackTrace"])
            return {"ok": False, "error": error_text}
        return {"ok": True} if shown is None else {"ok": True, "result": shown}

    def _write_traceback(self, text: str) -> None:
        self._flush()
        data = text.encode("utf-8", "backslashreplace")
        view = memoryview(data)
        while view:
            view = view[os.write(self._std_fds[2], view) :]

    def _interrupt(self, _signum: int, _frame: types.FrameType | None) -> None:
        if self._is_running:
            raise KeyboardInterrupt

    def _audit(self, event: str, _args: tuple[Any, ...]) -> None:
        if event in _FLUSH_BEFORE:
            self._flush()

    def _restore_streams(self) -> None:
        for fd, saved in enumerate(self._std_fds):
            os.dup2(saved, fd)
        streams = self._streams
        if streams is None or not all(_is_usable(stream) for stream in streams):
            streams = self._streams = (
                open(0, encoding="utf-8", closefd=False),  # noqa: SIM115
                _open_output(1, _STDOUT_BUFFER_BYTES),
                _open_output(2, -1),
            )
            # Like Python's own: a line, or a write of several, goes out at once.
            streams[2].reconfigure(line_buffering=True)
        for name, stream in zip(("stdin", "stdout", "stderr"), streams, strict=True):
            setattr(sys, name, stream)
            setattr(sys, f"__{name}__", stream)

    def _flush(self) -> None:
        for stream in (sys.stdout, sys.stderr, *(self._streams or ())[1:]):
            with contextlib.suppress(Exception):  # closed, or replaced by user code
                stream.flush()


def _open_output(fd: int, buffering: int) -> TextIOWrapper:
    return open(fd, "w", buffering, encoding="utf-8", errors="backslashreplace", closefd=False)


def _is_usable(stream: TextIOWrapper) -> bool:
    try:
        return not stream.closed
    except ValueError:  # detached
        return False


def _move_high(fd: int) -> int:
    """Return a close-on-exec duplicate far above what programs pick or close."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    high = fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, min(soft, 1024) - 16)
    os.close(fd)
    return high


def _make_main_module() -> dict[str, Any]:
    """Put an empty `__main__` in place of this program, for pickle and friends."""
    module = types.ModuleType("__main__")
    sys.modules["__main__"] = module
    sys.path.insert(0, "")
    return module.__dict__


def main(sock_fd: int, out_fd: int, err_fd: int) -> int:
    """Run the interpreter on these descriptors; returns an exit code."""
    return Interpreter(sock_fd, out_fd, err_fd).serve()
