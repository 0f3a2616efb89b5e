"""Files between the environment and the user's machine: the environment's half.

Runs in the remote kernel, for one `%aca` line at a time (or in a thread of the user's).
Calls to the kernel, which aca_kernel/host/transfer.py answers:

A folder is a list of its entries (folder_stream.py) and then its files, in one stream of pages:

    upload          {path}                           {transfer, name, size, page}, with {beside}
                                                     of a file of the notebook's folder, and
                                                     {changed} if code could have fetched it
    upload_page     {transfer}                       {digest} with the bytes, in order, or with
                                                     {near} as files_page
                                                     of a folder {is_folder, left_out}, and its list
    download        {path, destination, force, size} {transfer, shown, page}
                    and {is_folder} with its list    {without}: places in it that are not taken
    download_page   {transfer} with the bytes        {}
    download_end    {transfer, digest}               {}

The digest of upload_page is that of all pages so far; the last one counts.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from .asking import HostClient
from .command_line import Command
from .folder_stream import PartialFolder, entries_of, pack, source_of, unpack
from .notebook_files import quiet
from .paged_files import PartialFile, SourceFile, target_path
from .paging import receive_pages, send_pages
from .transfer_progress import TransferProgress, folder_summary

if TYPE_CHECKING:
    from .notebook_files.facade import NotebookFiles
    from .wire import Record


def upload(kernel: HostClient, command: Command, files: NotebookFiles) -> str:
    """Bring a file or folder of the user's machine here; return a sentence about it.

    files: hears of a file of the notebook's folder. Raises FileProblem.
    """
    answer = kernel.ask("upload", path=command.path)
    begun = answer.head
    if begun.get("is_folder"):
        with quiet():
            return _upload_folder(kernel, command, files, answer)
    target = target_path(command.destination, str(begun["name"]))
    size = int(begun["size"])
    progress = TransferProgress(size)
    beside, whole = begun.get("beside"), os.path.abspath(target)
    if beside is not None:
        files.begin_upload(whole, str(beside))
    file = PartialFile(target, whole, size, may_replace=True)
    try:
        digest = receive_pages(kernel, "upload_page", begun, file, progress)
        file.commit(str(digest))
        if beside is not None:
            files.note_upload(whole, str(beside), begun.get("changed"))
    finally:
        file.discard()
        progress.end()
    # In full, since the working directory may be anywhere.
    return progress.summary(f"{command.path} → {whole}")


def _upload_folder(
    kernel: HostClient, command: Command, files: NotebookFiles, answer: Record
) -> str:
    begun, entries = answer.head, unpack(answer.parts[0])
    target = os.path.abspath(target_path(command.destination, str(begun["name"])))
    progress = TransferProgress(int(begun["size"]))
    beside = begun.get("beside")
    if beside is not None:
        files.begin_upload(target, str(beside))
    folder = PartialFolder(target, target, entries, may_replace=True)
    try:
        digest = receive_pages(kernel, "upload_page", begun, folder, progress)
        folder.commit(str(digest))
    finally:
        folder.discard()
        progress.end()
    count = 0
    for entry in entries:
        if not entry.is_folder:
            count += 1
            if beside is not None:
                path = f"{beside}/{entry.path}" if beside != os.curdir else entry.path
                files.note_upload(os.path.join(target, entry.path), path, entry.changed)
    return folder_summary(progress, command.path, target, count, int(begun["left_out"]))


def _download_folder(kernel: HostClient, command: Command) -> str:
    path = os.path.expanduser(command.path)
    entries = entries_of(path)
    arguments = {"path": command.path, "destination": command.destination}
    size = sum(one.size for one in entries)
    kernel.send(
        "download", pack(entries), force=command.force, size=size, is_folder=True, **arguments
    )
    begun = kernel.receive().head
    without = set(begun["without"])
    taken = [one for place, one in enumerate(entries) if place not in without]
    folder = source_of(path, command.path, taken)
    progress = TransferProgress(folder.size)
    try:
        send_pages(kernel, "download_page", begun, folder, progress)
        kernel.ask("download_end", transfer=begun["transfer"], digest=folder.digest)
    finally:
        folder.close()
        progress.end()
    count = sum(not one.is_folder for one in taken)
    return folder_summary(progress, command.path, str(begun["shown"]), count, len(without))


def download(kernel: HostClient, command: Command) -> str:
    """Send a file or folder from here to the user's machine; return a sentence about it.

    Raises FileProblem.
    """
    with quiet():
        if os.path.isdir(os.path.expanduser(command.path)):
            return _download_folder(kernel, command)
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
