"""Files in pages, between the environment and the user's machine: the loops of both directions.

A few pages are on their way at a time: a file of any size needs the memory of a few pages at
each stage of its way.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from .notebook_files import quiet
from .paged_files import FileProblem

if TYPE_CHECKING:
    from .asking import HostClient
    from .folder_stream import PartialFolder, SourceFolder
    from .paged_files import PartialFile, SourceFile
    from .transfer_progress import TransferProgress

# Pages that are on their way at a time: one is carried, one waits to be.
_PAGES_AHEAD = 2

# Another transfer fills the way: ask again so soon.
LATER_SECONDS = 0.05


def send_pages(
    kernel: HostClient,
    op: str,
    begun: dict[str, Any],
    file: SourceFile | SourceFolder,
    progress: TransferProgress,
) -> None:
    """Send all pages of a file or folder.

    op: the call that takes one; begun: the answer to the first call. Raises FileProblem.
    """
    unanswered = 0
    while file.sent < file.size:
        kernel.send(op, file.read(int(begun["page"])), transfer=begun["transfer"])
        unanswered += 1
        if unanswered == _PAGES_AHEAD:
            kernel.receive()
            unanswered -= 1
        progress.show(file.sent)
    for _ in range(unanswered):
        kernel.receive()


def receive_pages(
    kernel: HostClient,
    op: str,
    begun: dict[str, Any],
    file: PartialFile | PartialFolder,
    progress: TransferProgress,
    changed: int | None = None,
) -> str | None:
    """Take all pages of a file, one at the least; return the digest of all.

    op, begun: as for `send_pages`. changed: when the file was written to, if the pages say so;
    None is returned if it was written to again meanwhile. Raises FileProblem.
    """
    page, digest, is_near = int(begun["page"]), "", False
    unasked, asked = max(1, -(-file.size // page)), 0
    while unasked or asked:
        while unasked and asked < _PAGES_AHEAD:
            kernel.send(op, transfer=begun["transfer"])
            unasked, asked = unasked - 1, asked + 1
        answer = kernel.receive()
        asked -= 1
        if answer.head.get("later"):
            unasked += 1
            time.sleep(LATER_SECONDS)
            continue
        if answer.head.get("changed") != changed:
            return None
        is_near = is_near or "near" in answer.head
        file.write(page_of(answer))
        digest = str(answer.head["digest"])
        progress.show(file.received)
    if is_near:
        kernel.ask(op, transfer=begun["transfer"], done=True)
    return digest


def page_of(answer: Any) -> bytes:
    """Return the last part of an answer, which may lie in a folder of the pool.

    Raises FileProblem.
    """
    path = answer.head.get("near")
    if path is None:
        return bytes(answer.parts[-1])
    try:
        with quiet(), open(path, "rb", buffering=0) as file:
            return file.read()
    except OSError as error:
        raise FileProblem(f"A page of it cannot be read: {error.strerror}. Try again.") from error
