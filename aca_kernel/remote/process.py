"""The remote kernel: a plain ipykernel process beside the session interpreter.

Needs pyzmq and ipykernel in the environment. Used from one thread only.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from typing import Any

import zmq

from .spawn import Spawned

DELIMITER = b"<IDS|MSG>"

# The retry interval until the kernel has bound its sockets; zmq's default of 100 ms would delay
# every start.
_RECONNECT_MILLISECONDS = 5

CHANNELS = ("shell", "control", "stdin")


class RemoteKernel:
    """One life of the remote kernel process and the sockets that lead to it."""

    def __init__(self, spawned: Spawned) -> None:
        self.process = spawned.process
        self._log_path = spawned.log_path
        self._context = zmq.Context()
        self.sockets = {
            name: self._connect(zmq.DEALER, spawned.addresses[name]) for name in CHANNELS
        }
        self.iopub = self._connect(zmq.SUB, spawned.addresses["iopub"])
        self.iopub.setsockopt(zmq.SUBSCRIBE, b"")
        self.exit_fd = _pidfd(self.process.pid)

    def _connect(self, kind: int, url: str) -> Any:
        socket = self._context.socket(kind)
        socket.linger = 0
        # No message may be dropped because it is not fetched yet.
        socket.rcvhwm = socket.sndhwm = 0
        socket.reconnect_ivl = _RECONNECT_MILLISECONDS
        if kind == zmq.DEALER:
            socket.identity = b"aca-agent"
        socket.connect(url)
        return socket

    def register(self, poller: Any) -> None:
        """Make a poller wake up for messages of this process, and its end."""
        for socket in (*self.sockets.values(), self.iopub):
            poller.register(socket, zmq.POLLIN)
        if self.exit_fd is not None:
            poller.register(self.exit_fd, zmq.POLLIN)

    def send(self, channel: str, frames: list[bytes]) -> None:
        """Send header, parent header, metadata, content, buffers; unsigned (spawn.py)."""
        self.sockets[channel].send_multipart([DELIMITER, b"", *frames])

    def receive(self, channel: str) -> Iterator[list[bytes]]:
        """Yield the frames of each message that has arrived, identities and signature off."""
        socket = self.iopub if channel == "iopub" else self.sockets[channel]
        # Cheaper than an exception: mostly there is nothing.
        while socket.getsockopt(zmq.EVENTS) & zmq.POLLIN:
            frames = socket.recv_multipart(zmq.NOBLOCK)
            if DELIMITER in frames:
                yield frames[frames.index(DELIMITER) + 2 :]

    def interrupt(self) -> None:
        """Send SIGINT to the kernel's process group, as ipykernel does."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, 2)

    def exit_code(self) -> int | None:
        """Return the exit status, negative for a signal, or None while it lives."""
        return self.process.poll()

    def startup_log(self) -> str:
        """Return the end of the process's output from before its streams were captured."""
        try:
            with open(self._log_path, "rb") as file:
                return file.read()[-2000:].decode("utf-8", "replace")
        except OSError:
            return ""

    def close(self) -> None:
        """Kill the process, if it lives, and close its sockets."""
        if self.process.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, 9)
            self.process.wait()
        if self.exit_fd is not None:
            os.close(self.exit_fd)
            self.exit_fd = None
        self._context.destroy(linger=0)


def _pidfd(pid: int) -> int | None:
    """Return a descriptor that becomes readable when the process ends; None: not supported."""
    try:
        return os.pidfd_open(pid)
    except (AttributeError, OSError):  # not Linux, or a kernel before 5.3
        return None
