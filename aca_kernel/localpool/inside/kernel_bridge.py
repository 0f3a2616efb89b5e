"""A real ipykernel as the session interpreter, as the service's own image has it.

Speaks with the pool exactly like interpreter.py does and with the kernel through
jupyter_client. The kernel is in this process's group, so that an interrupt or a kill of
the group reaches both; when the kernel dies, this program dies the same death.

As with any ipykernel, what a child process writes may reach the kernel's thread for it after
the cell has ended; it then comes with the answer to a later request.
"""

from __future__ import annotations

import ast
import math
import os
import re
import signal
import socket
import subprocess
import sys
import time
from dataclasses import dataclass, field
from typing import Any, NoReturn

import zmq
from jupyter_client.blocking.client import BlockingKernelClient
from jupyter_client.connect import write_connection_file

from . import frames

_ANSI = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")
_START_SECONDS = 60.0
_REPEAT_SECONDS = 0.1  # a kernel that is not up yet loses messages on iopub
_TURN_SECONDS = 0.1  # between looks after a kernel whose end makes nothing readable
_LITERAL_CHARACTERS = 1 << 20  # a longer repr stays text: parsing it would take seconds


@dataclass
class _Outcome:
    """What the messages of one request amount to."""

    result: Any = None
    images: list[dict[str, str]] = field(default_factory=list)
    error: dict[str, str] | None = None


class Bridge:
    """Serves requests from one socket with one kernel."""

    def __init__(self, sock_fd: int, out_fd: int, err_fd: int) -> None:
        self._socket = socket.socket(fileno=sock_fd)
        self._fds = {"stdout": out_fd, "stderr": err_fd}
        # A short directory: the path of a unix socket has 107 bytes at most.
        prefix = os.path.join(os.environ["TMPDIR"], f"k{os.getpid()}")
        path, _ = write_connection_file(prefix + ".json", transport="ipc", ip=prefix)
        environ = {**os.environ, "JPY_PARENT_PID": str(os.getpid())}
        # As in ipykernel's own kernelspec: frozen modules make its debugger warn.
        argv = [sys.executable, "-Xfrozen_modules=off", "-m", "ipykernel_launcher", "-f", path]
        # What counts as output comes as messages; on the descriptors it only warns.
        null = subprocess.DEVNULL
        self._kernel = subprocess.Popen(argv, stdin=null, stdout=null, stderr=null, env=environ)
        self._client = BlockingKernelClient(connection_file=path)
        self._client.load_connection_file()
        self._client.start_channels()
        # Linux only; elsewhere it is looked after.
        self._kernel_fd = os.pidfd_open(self._kernel.pid) if hasattr(os, "pidfd_open") else None
        self._poller = zmq.Poller()
        self._poller.register(self._client.shell_channel.socket, zmq.POLLIN)
        self._poller.register(self._client.iopub_channel.socket, zmq.POLLIN)
        if self._kernel_fd is not None:
            self._poller.register(self._kernel_fd, zmq.POLLIN)
        self._wait_until_ready()

    def serve(self) -> None:
        """Answer requests until the other end has gone."""
        while (frame := frames.receive(self._socket)) is not None:
            header, source = frame
            started = time.perf_counter()
            outcome = self._run(source.decode("utf-8", "surrogatepass"))
            answer: dict[str, Any] = {"id": header["id"], "ok": outcome.error is None}
            answer["time_ms"] = round((time.perf_counter() - started) * 1000)
            result = outcome.result
            if outcome.images:
                result = outcome.images[0] if len(outcome.images) == 1 else outcome.images
            if outcome.error is not None:
                answer["error"] = outcome.error
            elif result is not None:
                answer["result"] = result
            self._socket.sendall(frames.pack(answer))

    def _wait_until_ready(self) -> None:
        deadline = time.monotonic() + _START_SECONDS
        while time.monotonic() < deadline:
            self._client.kernel_info()
            if self._poll(_REPEAT_SECONDS) and self._take_iopub() is not None:
                break
        else:
            sys.exit("The kernel did not start.")
        # Late answers to the repeated questions are told from others by their parent.

    def _poll(self, seconds: float | None = None) -> bool:
        """Wait for a message; False when none came. Ends the program with its kernel."""
        if self._kernel_fd is None:
            return self._poll_by_turns(seconds)
        ready = dict(self._poller.poll(None if seconds is None else int(seconds * 1000)))
        if set(ready) == {self._kernel_fd}:  # and nothing is left of what it said
            self._die()
        return bool(ready)

    def _poll_by_turns(self, seconds: float | None) -> bool:
        deadline = math.inf if seconds is None else time.monotonic() + seconds
        while not self._poller.poll(int(_TURN_SECONDS * 1000)):
            if self._kernel.poll() is not None and not self._poller.poll(0):
                self._die()
            if time.monotonic() > deadline:
                return False
        return True

    def _die(self) -> NoReturn:
        code = self._kernel.wait()
        if code < 0:
            signal.signal(-code, signal.SIG_DFL) if -code != signal.SIGKILL else None
            os.kill(os.getpid(), -code)
        os._exit(code)

    def _take_iopub(self) -> Any:
        channel = self._client.iopub_channel
        return channel.get_msg(timeout=0) if channel.msg_ready() else None

    def _run(self, source: str) -> _Outcome:
        request = self._client.execute(source, allow_stdin=False, stop_on_error=False)
        outcome = _Outcome()
        is_idle = is_answered = False
        while not (is_idle and is_answered):
            self._poll()
            while (message := self._take_iopub()) is not None:
                is_ours = message["parent_header"].get("msg_id") == request
                # Threads and background tasks print under older requests: theirs counts too.
                self._collect(message["msg_type"], message["content"], outcome, is_ours=is_ours)
                if is_ours and message["content"].get("execution_state") == "idle":
                    is_idle = True
            channel = self._client.shell_channel
            while channel.msg_ready():
                reply = channel.get_msg(timeout=0)
                is_answered |= reply["parent_header"].get("msg_id") == request
        return outcome

    def _collect(
        self, kind: str, content: dict[str, Any], outcome: _Outcome, *, is_ours: bool
    ) -> None:
        if kind == "stream":
            self._write(content["name"], content["text"])
        elif kind in ("display_data", "execute_result") and is_ours:
            data = content["data"]
            if "image/png" in data:
                image = {"type": "image", "format": "png", "base64_data": data["image/png"].strip()}
                outcome.images.append(image)
            elif kind == "execute_result":
                outcome.result = _value(data.get("text/plain", ""))
            else:
                self._write("stdout", data.get("text/plain", "") + "\n")
        elif kind == "error" and is_ours:
            trace = _ANSI.sub("", "\n".join(content["traceback"])) + "\n"
            self._write("stderr", trace)
            outcome.error = {
                "name": content["ename"],
                "message": content["evalue"],
                "stackTrace": trace,
            }

    def _write(self, name: str, text: str) -> None:
        view = memoryview(text.encode("utf-8", "backslashreplace"))
        while view:
            view = view[os.write(self._fds[name], view) :]


def _value(text: str) -> Any:
    """Return the JSON value that a repr stands for, or the repr."""
    if len(text) > _LITERAL_CHARACTERS:
        return text
    try:
        value = ast.literal_eval(text)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return text
    return value if isinstance(value, (str, int, float, list, dict, tuple)) else text


def main() -> None:
    """Run the bridge; the arguments are three descriptors, see interpreter.py."""
    # A handler, not SIG_IGN: the kernel would inherit being deaf.
    signal.signal(signal.SIGINT, lambda *_: None)
    sock_fd, out_fd, err_fd = (int(argument) for argument in sys.argv[1:4])
    for fd in (sock_fd, out_fd, err_fd):
        os.set_inheritable(fd, False)
    bridge = Bridge(sock_fd, out_fd, err_fd)
    bridge.serve()
