"""One session: its Python calls one at a time, its shell commands beside them.

Lives on the event loop of the pool and is used from there only. Time limits are kept
here: an interpreter that is over its limit is interrupted, and killed if that does
not help; the session goes on with a fresh one.
"""

from __future__ import annotations

import asyncio
import signal
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from .channel import Channel
from .inside import frames
from .lane import open_lane
from .sandbox import destroy

if TYPE_CHECKING:
    from collections.abc import Callable

    from .lane import OutputPipe
    from .sandbox import Sandbox

_KILL_AFTER_SECONDS = 2.0  # between an interrupt and the kill


class SessionEnded(Exception):
    """The session ended while a call was running."""


@dataclass
class PythonOutcome:
    """What a Python call left: `error` is None or {"name", "message", "stackTrace"}."""

    stdout: bytes = b""
    stderr: bytes = b""
    result: Any = None
    error: dict[str, str] | None = None
    time_ms: int = 0


@dataclass
class ShellOutcome:
    """What a shell command left. `timed_out`: it was killed at the time limit."""

    stdout: bytes = b""
    stderr: bytes = b""
    exit_code: int = 0
    time_ms: int = 0
    timed_out: bool = False


@dataclass
class _PythonCall:
    """A running Python call; its future ends with the answer or an exit status."""

    id: int
    future: asyncio.Future[dict[str, Any]]
    timed_out: bool = False
    timers: list[asyncio.TimerHandle] = field(default_factory=list)


class Session:
    """A sandbox on the event loop.

    on_end: called once, when the sandbox ended by itself.
    """

    def __init__(
        self,
        sandbox: Sandbox,
        output_limit_bytes: int,
        on_end: Callable[[], None],
    ) -> None:
        self._sandbox = sandbox
        self._limit = output_limit_bytes
        self._on_end = on_end
        self._loop = asyncio.get_running_loop()
        self._lane = sandbox.lane
        self._is_closed = False
        self._has_interpreter = True
        self._next_id = 0
        self._python_lock = asyncio.Lock()
        self._call: _PythonCall | None = None
        self._shells: dict[int, asyncio.Future[frames.Frame]] = {}
        sandbox.control.setblocking(False)
        self._control = Channel(
            self._loop, sandbox.control, self._control_frame, self._control_closed
        )
        self._open_lane_channel()

    @property
    def directory(self) -> str:
        """The session's directory on this machine."""
        return self._sandbox.directory

    async def run_python(self, source: str, timeout_seconds: float) -> PythonOutcome:
        """Run source when the calls before it are done, for at most so long.

        Raises SessionEnded: the session went away before an answer.
        """
        async with self._python_lock:
            if self._is_closed:
                raise SessionEnded
            if not self._has_interpreter:
                await self._start_interpreter()
            call = _PythonCall(self._new_id(), self._loop.create_future())
            self._call = call
            started = self._loop.time()
            self._requests.send(
                frames.pack({"id": call.id}, source.encode("utf-8", "surrogatepass"))
            )
            call.timers.append(self._loop.call_later(timeout_seconds, self._interrupt, call))
            try:
                answer = await call.future
            finally:
                self._call = None
                for timer in call.timers:
                    timer.cancel()
            time_ms = answer.get("time_ms", round((self._loop.time() - started) * 1000))
            outcome = PythonOutcome(result=answer.get("result"), time_ms=time_ms)
            outcome.error = _timeout_error(answer, timeout_seconds) if call.timed_out else None
            outcome.error = outcome.error or answer.get("error")
            for pipe, name in ((self._lane.out, "stdout"), (self._lane.err, "stderr")):
                setattr(outcome, name, pipe.take())
            if "exit_status" in answer:
                self._close_lane()
            return outcome

    async def run_shell(self, argv: list[str], timeout_seconds: float) -> ShellOutcome:
        """Run a command in /mnt/data, for at most so long.

        Raises SessionEnded: the session went away before an answer.
        """
        if self._is_closed:
            raise SessionEnded
        request_id = self._new_id()
        future: asyncio.Future[frames.Frame] = self._loop.create_future()
        self._shells[request_id] = future
        started = self._loop.time()
        self._control.send(frames.pack({"op": "shell", "id": request_id, "argv": argv}))
        outcome = ShellOutcome()

        def kill() -> None:
            outcome.timed_out = True
            self._control.send(frames.pack({"op": "kill_shell", "id": request_id}))

        timer = self._loop.call_later(timeout_seconds, kill)
        try:
            header, payload = await future
        finally:
            timer.cancel()
            self._shells.pop(request_id, None)
        split = header["stdout_bytes"]
        outcome.stdout, outcome.stderr = payload[:split], payload[split:]
        outcome.exit_code = header["exit_code"]
        outcome.time_ms = round((self._loop.time() - started) * 1000)
        return outcome

    async def close(self) -> None:
        """End every process and remove every file of the session."""
        if self._is_closed:
            return
        self._end()
        await self._loop.run_in_executor(None, destroy, self._sandbox)

    def _end(self) -> None:
        self._is_closed = True
        self._close_lane()
        self._control.close()
        waiting: list[asyncio.Future[Any]] = [*self._shells.values()]
        if self._call is not None:
            waiting.append(self._call.future)
        for future in waiting:
            if not future.done():
                future.set_exception(SessionEnded())

    def _new_id(self) -> int:
        self._next_id += 1
        return self._next_id

    def _interrupt(self, call: _PythonCall) -> None:
        call.timed_out = True
        self._signal_interpreter(call, signal.SIGINT)
        call.timers.append(
            self._loop.call_later(
                _KILL_AFTER_SECONDS, self._signal_interpreter, call, signal.SIGKILL
            )
        )

    def _signal_interpreter(self, call: _PythonCall, number: signal.Signals) -> None:
        if not call.future.done():  # an answer that just came must not cost the variables
            self._control.send(frames.pack({"op": "signal", "signal": int(number)}))

    def _control_frame(self, frame: frames.Frame) -> None:
        header, _ = frame
        if "id" in header:
            future = self._shells.get(header["id"])
            if future is not None and not future.done():
                future.set_result(frame)
        elif header["event"] == "exit":
            self._interpreter_exited(header["status"])

    def _control_closed(self, _is_broken: bool) -> None:
        if not self._is_closed:
            self._on_end()

    def _interpreter_exited(self, status: int) -> None:
        call = self._call
        if call is None:
            self._close_lane()
        elif not call.future.done():
            call.future.set_result({"exit_status": status, "error": _exit_error(status)})

    async def _start_interpreter(self) -> None:
        # The lane's descriptors ride on a message of their own, between two others.
        await self._control.sent()
        try:
            self._lane = open_lane(self._sandbox.control, self._limit)
        except OSError as error:
            raise SessionEnded from error
        self._has_interpreter = True
        self._open_lane_channel()

    def _open_lane_channel(self) -> None:
        self._requests = Channel(self._loop, self._lane.socket, self._answer, self._lane_closed)
        for pipe in (self._lane.out, self._lane.err):
            self._loop.add_reader(pipe.fd, self._read_output, pipe)

    def _lane_closed(self, is_broken: bool) -> None:
        # An interpreter that ended is reported by the supervisor; one that talks nonsense
        # is ended, with the same report.
        if is_broken:
            self._control.send(frames.pack({"op": "signal", "signal": int(signal.SIGKILL)}))

    def _close_lane(self) -> None:
        self._has_interpreter = False
        for pipe in (self._lane.out, self._lane.err):
            if pipe.fd >= 0:
                self._loop.remove_reader(pipe.fd)
        self._requests.close()
        self._lane.close()

    def _read_output(self, pipe: OutputPipe) -> None:
        pipe.read()

    def _answer(self, frame: frames.Frame) -> None:
        header, _ = frame
        call = self._call
        if call is not None and call.id == header.get("id") and not call.future.done():
            call.future.set_result(header)


def _exit_error(status: int) -> dict[str, str]:
    if status < 0:
        how = f"was killed by signal {-status} ({_signal_name(-status)})"
        if status == -signal.SIGKILL:
            how += ", probably because the session ran out of memory"
    else:
        how = f"ended with exit code {status}"
    message = f"The session's Python process {how}. Its variables are lost; files are kept."
    return {"name": "InterpreterDied", "message": message, "stackTrace": ""}


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:  # a real-time signal between the two that have names
        return signal.strsignal(number) or "unknown"


def _timeout_error(answer: dict[str, Any], timeout_seconds: float) -> dict[str, str]:
    message = f"The code ran longer than the limit of {timeout_seconds:g} seconds and was "
    if "exit_status" in answer:
        message += "killed; the variables of the session are lost."
    else:
        message += "interrupted; the variables of the session are kept."
    trace = answer.get("error", {}).get("stackTrace", "")
    return {"name": "TimeoutError", "message": message, "stackTrace": trace}
