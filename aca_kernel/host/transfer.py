"""Files between the user's machine and the environment: the user's half.

Answers the calls of remote/transfer.py. Which file may be read or written, the running cell
says (permission.py); names and sizes that come from the environment are checked. What is
still open when its cell has ended is closed, and a file that was not whole is removed.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from ..errors import CallRefused
from ..messaging.requests import RequestTable
from ..remote.command_line import Command
from ..remote.folder_stream import PartialFolder, SourceFolder, pack
from ..remote.paged_files import FileProblem, PartialFile, SourceFile, target_path
from ..system import is_plain_path
from .call import Answer, Call
from .folder_transfer import open_source, take_folder
from .open_files import NOT_OPEN, OpenFiles, in_thread
from .paged_source import PAGE_BYTES, PagedSource
from .permission import find_permission

_File = PagedSource[SourceFile | SourceFolder] | PartialFile | PartialFolder

# Pages that may wait for the next exchange: our half asks for five. Beyond this the other side
# is not ours, and would only fill the memory here.
MOST_WAITING_BYTES = 6 * PAGE_BYTES

# Files that are open at a time; a line `%aca` has one.
_MOST_OPEN = 16


@dataclass
class _Transfer:
    """A file or folder that is on its way. cell: the msg_id of the cell that asked for it."""

    cell: str
    file: _File


class Transfers:
    """The files of one kernel that are on their way.

    beside: tells what the answer to `upload` says of a path and size in the notebook's folder.
    folder: the notebook's, where relative paths begin.
    """

    def __init__(
        self, table: RequestTable, beside: Callable[[str, int], dict[str, Any]], folder: str
    ) -> None:
        self._table = table
        self._beside = beside
        self._folder = folder
        self._open: OpenFiles[_Transfer] = OpenFiles(_MOST_OPEN, lambda one: _close(one.file))

    # -- calls -------------------------------------------------------------------

    async def upload(self, call: Call) -> Answer:
        """Begin to send a file or folder that the running cell names."""
        path = call.text("path")
        cell, command = find_permission(self._table, "upload", lambda one: one.path == path)
        source, left_out = await in_thread(
            lambda: open_source(_whole(command.path, self._folder), command.path)
        )
        beside = await asyncio.to_thread(lambda: self._beside(command.path, source.size))
        paged = PagedSource(source, call.environment.near)
        transfer = self._keep(cell.msg_id, paged)
        head = {"transfer": transfer, "size": source.size, "page": paged.page_bytes}
        if isinstance(source, SourceFile):
            return {**head, "name": os.path.basename(command.path), **beside}, ()
        head |= {"name": source.name, "beside": beside.get("beside")}
        return {**head, "is_folder": True, "left_out": left_out}, (pack(source.entries),)

    async def upload_page(self, call: Call) -> Answer:
        """Send the next page of it."""
        file = self._find_source(call)
        if call.head.get("done") is True:
            self._open.drop(call)
            return {}, ()
        if call.waiting_bytes > MOST_WAITING_BYTES:
            raise CallRefused("Too many pages of files were asked for at a time.")
        return await in_thread(file.read)

    async def download(self, call: Call) -> Answer:
        """Begin to write a file or folder that the running cell names."""
        size, is_forced = call.count("size"), call.head.get("force") is True
        asked = Command("download", call.text("path"), call.text("destination"), is_forced)
        cell, command = find_permission(
            self._table, "download", lambda one: self._place(one) == self._place(asked)
        )
        target = await in_thread(lambda: _target(command, self._folder))
        file: PartialFile | PartialFolder
        without: list[int] = []
        if call.head.get("is_folder") is True:
            listing = b"".join(call.parts)
            file, without = await in_thread(
                lambda: take_folder(target, listing, may_replace=command.force)
            )
        else:
            file = await in_thread(
                lambda: PartialFile(target, target, size, may_replace=command.force, has_name=False)
            )
        transfer = self._keep(cell.msg_id, file)
        head = {"transfer": transfer, "shown": target, "page": PAGE_BYTES, "without": without}
        return head, ()

    async def download_page(self, call: Call) -> Answer:
        """Write the next page of it."""
        file = self._find_partial(call)
        for part in call.parts:
            await in_thread(partial(file.write, part))
        return {}, ()

    async def download_end(self, call: Call) -> Answer:
        """Give it its name, if it is what the other side has read."""
        file, digest = self._find_partial(call), call.text("digest")
        self._open.take(call)
        await in_thread(lambda: file.commit(digest))
        return {}, ()

    def _place(self, command: Command) -> tuple[str, bool, str]:
        """Return what of a line decides where on this machine the file goes, and over what.

        The folder that it comes from does not, and neither does its name unless it keeps it.
        """
        return command.destination, command.force, _place(command, self._folder)

    # -- what is open ------------------------------------------------------------

    def _keep(self, cell: str, file: _File) -> str:
        if self._open.is_full:
            _close(file)
            raise CallRefused("Too many files are on their way at a time.")
        return self._open.add(_Transfer(cell, file))

    def _find_source(self, call: Call) -> PagedSource[SourceFile | SourceFolder]:
        file = self._open.find(call).file
        if not isinstance(file, PagedSource):
            raise CallRefused(NOT_OPEN)
        return file

    def _find_partial(self, call: Call) -> PartialFile | PartialFolder:
        file = self._open.find(call).file
        if not isinstance(file, (PartialFile, PartialFolder)):
            raise CallRefused(NOT_OPEN)
        return file

    def close_finished(self) -> None:
        """Let go of the files whose cells have ended."""
        if len(self._open):
            self._open.close(lambda one: self._table.find(one.cell) is None)

    def close(self) -> None:
        """Let go of all files."""
        self._open.close()


def _place(command: Command, folder: str) -> str:
    """Return the path that a line brings a file to."""
    destination = os.path.expanduser(command.destination)
    return target_path(os.path.join(folder, destination), command.file_name)


def _whole(path: str, folder: str) -> str:
    """Return the path of what a line names. Raises FileProblem."""
    expanded = os.path.expanduser(path)
    _check_name(expanded, path)
    return os.path.join(folder, expanded)


def _target(command: Command, folder: str) -> str:
    """Return the absolute path that a line brings a file to. Raises FileProblem."""
    path = target_path(command.destination, command.file_name)
    _check_name(path, path)
    return os.path.abspath(_place(command, folder))


def _check_name(path: str, shown: str) -> None:
    if not is_plain_path(path):
        raise FileProblem(f"{shown} is no name for a file on this machine.")


def _close(file: _File) -> None:
    if isinstance(file, PagedSource):
        file.close()
    else:
        file.discard()
