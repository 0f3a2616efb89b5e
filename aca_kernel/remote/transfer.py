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

The digest of upload_page is that of all pages so far; the last one counts.

Standard library only.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from .asking import HostClient
from .command_line import Command
from .paged_files import PartialFile, SourceFile, target_path
from .paging import receive_pages, send_pages
from .transfer_progress import TransferProgress

if TYPE_CHECKING:
    from .notebook_files.facade import NotebookFiles


def upload(kernel: HostClient, command: Command, files: NotebookFiles) -> str:
    """Bring a file of the user's machine here; return a sentence about it.

    files: hears of a file of the notebook's folder. Raises FileProblem.
    """
    begun = kernel.ask("upload", path=command.path).head
    target = target_path(command.destination, str(begun["name"]))
    size = int(begun["size"])
    progress = TransferProgress(size)
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


def download(kernel: HostClient, command: Command) -> str:
    """Send a file from here to the user's machine; return a sentence about it.

    Raises FileProblem.
    """
    file = SourceFile(os.path.expanduser(command.path), command.path)
    progress = TransferProgress(file.size)
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
