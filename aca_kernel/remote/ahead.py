"""The FIFO by which a starter that is there already is told of the `!` commands of one cell.

Over a distance, the kernel runs starter.py by the shell tool at the same time as it sends a cell
whose text has such lines. The agent makes the FIFO before the cell begins and removes it when the
cell has ended, which ends the starter, too. Each line that is written to it is the path of a job.

Nothing relies on it: a command that is not begun soon is asked for by a call of its own, and a job
is done once, whoever has it.
"""

from __future__ import annotations

import contextlib
import errno
import os


def path_of(folder: str, msg_id: str) -> str:
    """Return the FIFO's path. folder: the agent's. msg_id: of the cell, any text of a front end."""
    import hashlib  # a start does not need it, and its library is large

    digest = hashlib.sha256(msg_id.encode("utf-8", "surrogatepass")).hexdigest()
    return f"{folder}/ahead-{digest[:32]}"


class AheadFifo:
    """The agent's end, which keeps it from ending while the cell runs. Raises OSError."""

    def __init__(self, path: str) -> None:
        self._path = path
        with contextlib.suppress(FileNotFoundError):  # of a message with the same id
            os.unlink(path)
        os.mkfifo(path, 0o600)
        self._descriptor = os.open(path, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)

    def close(self) -> None:
        """End the starter, or have it find nothing if it comes later."""
        with contextlib.suppress(OSError):  # code has removed it
            os.unlink(self._path)
        os.close(self._descriptor)


def offer(path: str, job: str) -> bool:
    """Tell a starter of a job; False: none was sent."""
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.ENXIO, errno.ENOTDIR):
            return False
        raise
    try:
        return os.write(descriptor, os.fsencode(job) + b"\n") > 0
    except OSError:  # full of jobs that nobody takes
        return False
    finally:
        os.close(descriptor)
