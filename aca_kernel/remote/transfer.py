"""Files between the environment and the user's machine: the environment's half.

Runs in the remote kernel, for one `%aca` line at a time (or in a thread of the user's).
Calls to the kernel, which aca_kernel/host/transfer.py answers:

    upload          {path}                           {transfer, name, size, page}, with {beside}
                                                     of a file of the notebook's folder, and
                                                     {changed} if code could have fetched it
    upload_page     {transfer}                       {digest} with the bytes, in order
    download        {path, destination, force, size} {transfer, shown, page}
    download_page   {transfer} with the bytes        {}
    download_end    {transfer, digest}               {}

A few pages are asked for, or sent, ahead of the answers: never more, so that a file of any
size needs the memory of a few pages at each stage of its way. The digest of upload_page is
that of all pages so far; the last one counts.

Standard library only.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from .asking import HostClient
from .command_line import Command
from .paged_files import PartialFile, SourceFile, target_path
from .transfer_progress import TransferProgress

if TYPE_CHECKING:
    from .notebook_files.facade import NotebookFiles

# Pages that are on their way at a time: one is carried, one waits to be.
_PAGES_AHEAD = 2


def upload(kernel: HostClient, command: Command, files: NotebookFiles) -> str:
    """Bring a file of the user's machine here; return a sentence about it.

    files: hears of a file of the notebook's folder. Raises FileProblem.
    """
    begun = kernel.ask("upload", path=command.path).head
    target = target_path(command.destination, str(begun["name"]))
    size, page = int(begun["size"]), int(begun["page"])
    progress = TransferProgress(size)
    beside, whole = begun.get("beside"), os.path.abspath(target)
    if beside is not None:
        files.begin_upload(whole, str(beside))
    file = PartialFile(target, _shown(target), size, may_replace=True)
    try:
        pages = max(1, -(-size // page))
        asked, digest = 0, ""
        for got in range(pages):
            while asked < min(pages, got + _PAGES_AHEAD):
                kernel.send("upload_page", transfer=begun["transfer"])
                asked += 1
            answer = kernel.receive()
            file.write(answer.parts[0])
            digest = str(answer.head["digest"])
            progress.show(file.received)
        file.commit(digest)
        if beside is not None:
            files.note_upload(whole, str(beside), begun.get("changed"))
    finally:
        file.discard()
        progress.end()
    return progress.summary(f"{command.path} → {_shown(target)}")


def download(kernel: HostClient, command: Command) -> str:
    """Send a file from here to the user's machine; return a sentence about it.

    Raises FileProblem.
    """
    file = SourceFile(os.path.expanduser(command.path), command.path)
    progress = TransferProgress(file.size)
    try:
        arguments = {"path": command.path, "destination": command.destination}
        begun = kernel.ask("download", force=command.force, size=file.size, **arguments).head
        unanswered = 0
        while file.sent < file.size:
            data = file.read(int(begun["page"]))
            kernel.send("download_page", data, transfer=begun["transfer"])
            unanswered += 1
            if unanswered == _PAGES_AHEAD:
                kernel.receive()
                unanswered -= 1
            progress.show(file.sent)
        for _ in range(unanswered):
            kernel.receive()
        kernel.ask("download_end", transfer=begun["transfer"], digest=file.digest)
    finally:
        file.close()
        progress.end()
    return progress.summary(f"{command.path} → {begun['shown']}")


def _shown(path: str) -> str:
    """Return a path as it is told: in full, since the working directory may be anywhere."""
    return os.path.abspath(path)
