"""Files between the environment and the user's machine: the environment's half.

Runs in the remote kernel, for one `%aca` line at a time (or in a thread of the user's).
Calls to the kernel, which aca_kernel/transfer.py answers:

    upload          {path}                           {transfer, name, size, page}, with {beside}
                                                     of a file of the notebook's folder, and
                                                     {changed} if code could have fetched it
    upload_page     {transfer}                       {digest} with the bytes, in order
    download        {path, destination, force, size} {transfer, shown, page}
    download_page   {transfer} with the bytes        {}
    download_end    {transfer, digest}               {}

The digest of upload_page is that of all pages so far; the last one counts.

Standard library only.
"""

from __future__ import annotations

import os
import sys
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from . import calls, wire
from .command_line import Command
from .files import FileProblem, PartialFile, SourceFile, target_path
from .paging import receive_pages, send_pages

if TYPE_CHECKING:
    from .beside.session import Files

# Short transfers are not worth watching; long ones are shown so often.
_QUIET_SECONDS = 1.0
_SHOW_SECONDS = 0.5


class Kernel:
    """Asks the user's machine for things, and waits for the answers in the order of the calls.

    Raises FileProblem, with the sentence that the kernel gives, when it will not or cannot.
    """

    def __init__(
        self, calls_path: str, parent: str, patience: Callable[[calls.Connection], None] | None
    ) -> None:
        self._parent = parent
        self._patience = patience
        self._connection = calls.Connection(calls_path)
        self._arrived: deque[wire.Record] = deque()

    def ask(self, op: str, **arguments: Any) -> wire.Record:
        """Ask and wait for the answer."""
        self.send(op, **arguments)
        return self.receive()

    def send(self, op: str, *parts: bytes, **arguments: Any) -> None:
        """Ask; the answer is for `receive`."""
        self._connection.call(op, parts, parent=self._parent, **arguments)

    def receive(self) -> wire.Record:
        """Wait for the next answer."""
        while not self._arrived:
            if self._patience is not None:
                self._patience(self._connection)
            self._arrived.extend(self._connection.receive())
        answer = self._arrived.popleft()
        if answer.head.get("error"):
            raise FileProblem(str(answer.head["error"]))
        return answer

    def close(self) -> None:
        """Give up what has not been answered; the kernel lets go of it at the cell's end."""
        self._connection.close()


@contextmanager
def asking(
    calls_path: str,
    parent: str = "",
    patience: Callable[[calls.Connection], None] | None = None,
) -> Iterator[Kernel]:
    """Ask the kernel for things as long as the block lasts.

    parent: msg_id of the cell that asks, so that the kernel hears of its begin before.
    patience: waits for a connection to have something to read, or raises FileProblem.
    Raises FileProblem.
    """
    try:
        kernel = Kernel(calls_path, parent, patience)
    except OSError as error:
        raise FileProblem("The kernel on your machine cannot be reached from here.") from error
    try:
        yield kernel
    except OSError as error:
        raise FileProblem("The connection to the kernel on your machine was lost.") from error
    finally:
        kernel.close()


def upload(kernel: Kernel, command: Command, files: Files) -> str:
    """Bring a file of the user's machine here; return a sentence about it.

    files: hears of a file of the notebook's folder. Raises FileProblem.
    """
    begun = kernel.ask("upload", path=command.path).head
    target = target_path(command.destination, str(begun["name"]))
    size = int(begun["size"])
    progress = Progress(size)
    beside, whole = begun.get("beside"), os.path.abspath(target)
    if beside is not None:
        files.begin_upload(whole, str(beside))
    file = PartialFile(target, _shown(target), size, may_replace=True)
    try:
        digest = receive_pages(kernel, "upload_page", begun, file, progress)
        file.commit(str(digest))
        if beside is not None:
            files.note_upload(whole, str(beside), begun.get("changed"))
    finally:
        file.discard()
        progress.end()
    return progress.summary(f"{command.path} → {_shown(target)}")


def download(kernel: Kernel, command: Command) -> str:
    """Send a file from here to the user's machine; return a sentence about it.

    Raises FileProblem.
    """
    file = SourceFile(os.path.expanduser(command.path), command.path)
    progress = Progress(file.size)
    try:
        arguments = {"path": command.path, "destination": command.destination}
        begun = kernel.ask("download", force=command.force, size=file.size, **arguments).head
        send_pages(kernel, "download_page", begun, file, progress)
        kernel.ask("download_end", transfer=begun["transfer"], digest=file.digest)
    finally:
        file.close()
        progress.end()
    return progress.summary(f"{command.path} → {begun['shown']}")


def _shown(path: str) -> str:
    """Return a path as it is told: in full, since the working directory may be anywhere."""
    return os.path.abspath(path)


class Progress:
    """One line of the cell's output that is written again and again, if it takes long.

    label: stands before it. stream: where it is written, by default sys.stdout.
    """

    def __init__(self, total: int, label: str = "", stream: Any = None) -> None:
        self._total = total
        self._label = label
        self._stream = stream
        self._started = time.monotonic()
        self._next = self._started + _QUIET_SECONDS
        self._width = 0

    def show(self, done: int) -> None:
        """Show how much is done, from time to time."""
        now = time.monotonic()
        if now < self._next or done >= self._total:
            return
        self._next = now + _SHOW_SECONDS
        rate = done / (now - self._started)
        text = (
            f"{self._label}{done / self._total:4.0%}  {done / 1e6:.1f} of "
            f"{shown_size(self._total)}, {rate / 1e6:.1f} MB/s"
        )
        self._write("\r" + text.ljust(self._width))
        self._width = max(self._width, len(text))

    def end(self) -> None:
        """Take the line back: what comes now stands in its place."""
        if self._width:
            self._write("\r" + " " * self._width + "\r")

    def summary(self, what: str) -> str:
        """Return what it took, behind what it was."""
        seconds = time.monotonic() - self._started
        rate = self._total / 1e6 / max(seconds, 1e-3)
        return f"{what}: {shown_size(self._total)} in {seconds:.1f} s, {rate:.1f} MB/s"

    def _write(self, text: str) -> None:
        stream = sys.stdout if self._stream is None else self._stream
        stream.write(text)
        stream.flush()


def shown_size(count: int) -> str:
    """Return a number of bytes as it is told."""
    for unit, factor in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if count >= factor:
            return f"{count / factor:.1f} {unit}"
    return f"{count} bytes"
