"""The way into a sandbox's interpreter: one socket and the ends of two output pipes.

The pool opens a lane and hands its far ends to the supervisor, which starts an
interpreter on them. Needs no event loop, for the reason given in sandbox.py.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import socket

from .inside import frames

# Room for what is printed while the pool is busy elsewhere; the most that an
# unprivileged process may ask for (fs.pipe-max-size).
_PIPE_BYTES = 1 << 20
_F_SETPIPE_SZ = 1031  # fcntl.F_SETPIPE_SZ, whose name came with Python 3.10 on Linux
_READ_BYTES = 1 << 18


class OutputPipe:
    """The reading end of an interpreter's stdout or stderr, kept within a limit."""

    def __init__(self, fd: int, limit_bytes: int) -> None:
        self.fd = fd
        self._limit = limit_bytes
        self._size = 0
        self._chunks: list[bytes] = []
        self.is_truncated = False

    def read(self, rounds: int = 8) -> bool:
        """Take what is there, at most so many reads; False when the pipe is empty."""
        for _ in range(rounds):
            try:
                data = os.read(self.fd, _READ_BYTES)
            except BlockingIOError:
                return False
            if not data:
                return False
            room = self._limit - self._size
            if len(data) > room:
                data, self.is_truncated = data[:room], True
            if data:
                self._size += len(data)
                self._chunks.append(data)
        return True

    def take(self) -> bytes:
        """Return all that was written until now, and forget it."""
        # A child left running may write faster than we read: stop when we hold enough.
        while self.read() and not self.is_truncated:
            pass
        data = b"".join(self._chunks)
        self._chunks, self._size, self.is_truncated = [], 0, False
        return data


class Lane:
    """Near ends of one interpreter's socket and pipes."""

    def __init__(self, sock: socket.socket, out: OutputPipe, err: OutputPipe) -> None:
        self.socket = sock
        self.out = out
        self.err = err

    def close(self) -> None:
        """Close every descriptor; the interpreter reads that as its end."""
        self.socket.close()
        for pipe in (self.out, self.err):
            if pipe.fd >= 0:
                os.close(pipe.fd)
                pipe.fd = -1


def open_lane(control: socket.socket, limit_bytes: int) -> Lane:
    """Have the supervisor start an interpreter; requests may be sent at once.

    Raises OSError: the supervisor is gone.
    """
    near, far = socket.socketpair()
    out_read, out_write = os.pipe()
    err_read, err_write = os.pipe()
    try:
        for fd in (out_read, err_read):
            os.set_blocking(fd, False)
            with contextlib.suppress(OSError):  # over the user's total: 64 KiB do, slower
                fcntl.fcntl(fd, _F_SETPIPE_SZ, _PIPE_BYTES)
        near.setblocking(False)
        socket.send_fds(
            control, [frames.pack({"op": "interpreter"})], [far.fileno(), out_write, err_write]
        )
    except BaseException:  # whatever it is, the descriptors are nobody's yet
        near.close()
        os.close(out_read)
        os.close(err_read)
        raise
    finally:
        far.close()
        os.close(out_write)
        os.close(err_write)
    return Lane(near, OutputPipe(out_read, limit_bytes), OutputPipe(err_read, limit_bytes))
