"""The remote kernel: a plain ipykernel process beside the session interpreter.

Starts it, signs and sends messages to it, receives what it says, notices its end.
Needs pyzmq and ipykernel in the environment. Used from one thread only.
"""

from __future__ import annotations

import contextlib
import hmac
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import zmq

DELIMITER = b"<IDS|MSG>"

NONCE_VARIABLE = "ACA_KERNEL_NONCE"

# Connecting before the kernel has bound its sockets is retried at this interval.
# zmq's default of 100 ms would be a tenth of a second in every start.
_RECONNECT_MILLISECONDS = 5

CHANNELS = ("shell", "control", "stdin")


class RemoteKernel:
    """One life of the remote kernel process and the sockets that lead to it."""

    def __init__(self, directory: str, number: int, config: dict[str, Any]) -> None:
        self.key = os.urandom(24).hex().encode("ascii")
        self.context = zmq.Context()
        self.identity = b"aca-agent"
        self.log_path = os.path.join(directory, f"kernel-{number}.log")
        base = os.path.join(directory, f"k{number}")
        names = ("shell", "control", "stdin", "iopub", "hb")
        ports = {f"{name}_port": index for index, name in enumerate(names, 1)}
        self.sockets = {
            name: self._connect(zmq.DEALER, f"ipc://{base}-{ports[name + '_port']}")
            for name in CHANNELS
        }
        self.iopub = self._connect(zmq.SUB, f"ipc://{base}-{ports['iopub_port']}")
        self.iopub.setsockopt(zmq.SUBSCRIBE, b"")
        connection = {
            "transport": "ipc",
            "ip": base,
            "key": self.key.decode("ascii"),
            "signature_scheme": "hmac-sha256",
            "kernel_name": "python3",
            **ports,
        }
        self.process = self._spawn(directory, number, connection, config)
        self.exit_fd = _pidfd(self.process.pid)

    def _connect(self, kind: int, url: str) -> Any:
        socket = self.context.socket(kind)
        socket.linger = 0
        # Nothing the kernel says may be dropped because nobody fetched it yet.
        socket.rcvhwm = socket.sndhwm = 0
        socket.reconnect_ivl = _RECONNECT_MILLISECONDS
        if kind == zmq.DEALER:
            socket.identity = self.identity
        socket.connect(url)
        return socket

    def _spawn(
        self, directory: str, number: int, connection: dict[str, Any], config: dict[str, Any]
    ) -> subprocess.Popen[bytes]:
        connection_file = os.path.join(directory, f"kernel-{number}.json")
        with open(connection_file, "w", encoding="utf-8") as file:
            os.chmod(connection_file, 0o600)
            json.dump(connection, file)
        with open(os.path.join(directory, f"config-{number}.json"), "w", encoding="utf-8") as file:
            json.dump({**config, "number": number}, file)
        launcher = os.path.join(os.path.dirname(__file__), "launcher.py")
        env_vars = dict(os.environ)
        # ipykernel ends itself when this process, its parent, has ended.
        env_vars["JPY_PARENT_PID"] = str(os.getpid())
        # By which everything that it starts is known (agent.py, `retire`).
        env_vars[NONCE_VARIABLE] = str(config["nonce"])
        if config.get("session_name"):
            env_vars["JPY_SESSION_NAME"] = str(config["session_name"])
        # Its own session: the service may interrupt the session interpreter's group.
        # Not our stdout: what it writes there would end up between our frames.
        with open(self.log_path, "wb") as log:
            return subprocess.Popen(
                [sys.executable, launcher, "-f", connection_file],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=env_vars,
                start_new_session=True,
            )

    def register(self, poller: Any) -> None:
        """Make a poller wake up for whatever this process says, its end included."""
        for socket in (*self.sockets.values(), self.iopub):
            poller.register(socket, zmq.POLLIN)
        if self.exit_fd is not None:
            poller.register(self.exit_fd, zmq.POLLIN)

    def send(self, channel: str, frames: list[bytes]) -> None:
        """Send one message: header, parent header, metadata, content, buffers."""
        signature = hmac.new(self.key, digestmod="sha256")
        for frame in frames[:4]:
            signature.update(frame)
        self.sockets[channel].send_multipart(
            [DELIMITER, signature.hexdigest().encode("ascii"), *frames]
        )

    def receive(self, channel: str) -> Iterator[list[bytes]]:
        """Yield the frames of each message that has arrived, identities and signature off."""
        socket = self.iopub if channel == "iopub" else self.sockets[channel]
        while True:
            try:
                frames = socket.recv_multipart(zmq.NOBLOCK)
            except zmq.Again:
                return
            if DELIMITER in frames:
                yield frames[frames.index(DELIMITER) + 2 :]

    def interrupt(self) -> None:
        """Send SIGINT to the kernel and what runs in its process group, as ipykernel does."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, 2)

    def exit_code(self) -> int | None:
        """Return the exit status, negative for a signal, or None while it lives."""
        return self.process.poll()

    def startup_log(self) -> str:
        """Return the end of what the process wrote before its streams were captured."""
        try:
            with open(self.log_path, "rb") as file:
                return file.read()[-2000:].decode("utf-8", "replace")
        except OSError:
            return ""

    def close(self) -> None:
        """End the process, if it lives, and let go of everything that belongs to it."""
        if self.process.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, 9)
            self.process.wait()
        if self.exit_fd is not None:
            os.close(self.exit_fd)
            self.exit_fd = None
        self.context.destroy(linger=0)


def _pidfd(pid: int) -> int | None:
    """Return a descriptor that becomes readable when the process ends, where there is one."""
    try:
        return os.pidfd_open(pid)
    except (AttributeError, OSError):  # not Linux, or a kernel before 5.3
        return None
