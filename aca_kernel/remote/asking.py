"""Questions to the kernel on the user's machine (aca_kernel/host/call_table.py).

Runs in the remote kernel, for one `%aca` line at a time, or in a thread that misses a file.
"""

from __future__ import annotations

import errno
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from . import call_socket, wire
from .paged_files import FileProblem

# Of a connection: nobody listens there, or there is no way for this process.
_NOT_REACHABLE = frozenset({errno.ENOENT, errno.ENOTDIR, errno.ECONNREFUSED, errno.EACCES})


def cell_of(kernel: Any) -> str:
    """Return the id of the message that an ipykernel's main shell is busy with."""
    return str(kernel.get_parent("shell").get("header", {}).get("msg_id", ""))


class HostClient:
    """A client of the kernel on the user's machine; answers come in the order of the calls.

    Raises FileProblem, with the kernel's sentence, where that refuses or fails, or with one that
    says that the connection was lost.
    """

    def __init__(
        self,
        calls_path: str,
        parent: str,
        patience: Callable[[call_socket.Connection], None] | None,
        way_home: str,
    ) -> None:
        self._with_each = {"parent": parent}
        if way_home:
            self._with_each["way_home"] = way_home
        self._patience = patience
        self._connection = call_socket.Connection(calls_path)
        self._arrived: deque[wire.Record] = deque()

    def ask(self, op: str, **arguments: Any) -> wire.Record:
        """Ask and wait for the answer."""
        self.send(op, **arguments)
        return self.receive()

    def send(self, op: str, *parts: bytes, **arguments: Any) -> None:
        """Ask; the answer is for `receive`."""
        with _noticing_loss():
            self._connection.call(op, parts, **self._with_each, **arguments)

    def receive(self) -> wire.Record:
        """Wait for the next answer."""
        while not self._arrived:
            if self._patience is not None:
                self._patience(self._connection)
            with _noticing_loss():
                self._arrived.extend(self._connection.receive())
        answer = self._arrived.popleft()
        if answer.head.get("error"):
            raise FileProblem(str(answer.head["error"]))
        return answer

    def close(self) -> None:
        """Give up unanswered calls; the kernel drops them at the cell's end."""
        self._connection.close()


@contextmanager
def asking(
    calls_path: str,
    parent: str = "",
    patience: Callable[[call_socket.Connection], None] | None = None,
    way_home: str = "",
) -> Iterator[HostClient]:
    """Connect to the kernel for the length of the block.

    parent: msg_id of the cell, whose busy reaches the kernel first.
    patience: waits for a connection to be readable, or raises FileProblem.
    way_home: to the notebook's folder from the working directory, for lines in sentences.
    Raises FileProblem.
    """
    try:
        kernel = HostClient(calls_path, parent, patience, way_home)
    except OSError as error:
        raise FileProblem(_unasked(error)) from error
    try:
        yield kernel
    except OSError as error:
        raise FileProblem(f"It failed in the environment: {error}.") from error
    finally:
        kernel.close()


def _unasked(error: OSError) -> str:
    """Return why there is no connection."""
    if error.errno in _NOT_REACHABLE:
        return "The kernel on your machine cannot be reached from here."
    # There is a way, and this process cannot take it: it has too many open files, for instance.
    return f"The kernel on your machine was not asked: {error}."


@contextmanager
def _noticing_loss() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise FileProblem("The connection to the kernel on your machine was lost.") from error
