"""Answers to the environment's calls about the notebook's folder (remote/notebook_files/mirror.py).

    files_look   {paths}                 {found}: [is_folder, size, changed] or null for each,
                                         of a folder that is a symlink also its target
    files_list   {path}                  {is_folder} with the names as JSON, the same for each;
                                         asked with {most}, which who looks for a module does,
                                         perhaps {is_unlisted} alone: there are more names, or the
                                         user is to be told of one, and files_look is to be asked
    files_open   {path, size, changed}   {state}: `same` as size and changed say; `none`, with
                                         {is_folder}; `refused` for what `told` says; `later`;
                                         else `sent`, with {size, changed, is_executable, page}
                                         and either {digest} and all bytes, or {transfer};
                                         asked with {others}, paths of small files, all bytes may be
                                         followed by theirs, with {others}: [path, size, changed,
                                         is_executable, digest] of those that come along, perhaps
                                         with {near} as below
    files_page   {transfer}              {digest, changed} with the next bytes, or {later}; changed
                                         differs if the file has changed since it was opened;
                                         or with {near}, a path where the bytes are until the next
                                         but one is asked for, or {done} is said
    files_sent   {}                      {rows}: [path, size] of the files sent to this environment

The facts about names in the `!` lines of a cell's text go along with it, as `files_look` gives
them: the environment would ask for them at once (remote/facts_ahead.py).

No cell names these files: only the setting `files` and folder.py let them out.
"""

from __future__ import annotations

import asyncio
import glob
import json
import posixpath
import time
from collections.abc import Sequence
from typing import Any

from ...environment.environment import Environment
from ...errors import CallRefused
from ...messaging.inbox import Inbox, Noticed
from ...remote.command_line import transfer_line
from ...remote.notebook_files.command_words import words_of
from ...remote.notebook_files.entries import MOST_ALONG, FileFacts
from ...remote.paged_files import FileProblem, SourceFile
from ...settings import AcaKernel
from ..call import Answer, Call
from ..open_files import OpenFiles, in_thread
from ..paged_source import PAGE_BYTES, NearPages, PagedSource
from ..transfer import MOST_WAITING_BYTES
from .folder import Folder, Reason

# Paths of one question; our half asks for a few.
_MOST_PATHS = 100

# Names in one folder: their list takes some 10 MB.
_MOST_NAMES = 100_000

# Files that come along with another; larger ones come singly.
_SMALL_BYTES = 1_000_000

# Open files at a time, two for each process in the environment. The least recently used one is
# closed for another: the end of an abandoned transfer is not always reported.
_MOST_OPEN = 64

# Files that come along with others go beside the answer from this size on. The last ones are kept:
# what a slow reader does not find is sent when it is opened.
_NEAR_BYTES = 65536
_MOST_ALONG_KEPT = 4

# What is said of each of some files.
_Rows = list[list[Any]]

# What is said of files, by their paths; None: there is none that may be sent.
_Facts = dict[str, list[Any] | None]

# A longer command is not read for names: the environment does it, where it can be interrupted.
_LONGEST_COMMAND_CHARACTERS = 10_000

# Sentences about withheld files, in the life of a kernel.
_MOST_TOLD = 5


class Sending:
    """The files of one kernel that go to its environments.

    inbox: told sentences for the user, unknown to the environment. problem: one of them, "" for
    none.
    """

    def __init__(
        self, settings: AcaKernel, folder: Folder, inbox: Inbox[Noticed], problem: str = ""
    ) -> None:
        self._settings = settings
        self._folder = folder
        self._inbox = inbox
        self._told: set[str] = set()
        # Limits and list are of one environment.
        self._environment: Environment | None = None
        self._sent_bytes = 0
        self._sent: dict[str, int] = {}
        self._open: OpenFiles[PagedSource[SourceFile]] = OpenFiles(_MOST_OPEN, PagedSource.close)
        self._has_sent = False
        self._along = NearPages(None, _MOST_ALONG_KEPT)
        if problem:
            inbox.put_nowait(Noticed(time.monotonic(), problem))

    # -- calls -------------------------------------------------------------------

    async def look(self, call: Call) -> Answer:
        """Return the facts about some paths."""
        if self._settings.files_mode == "off":
            raise CallRefused("The setting `files` does not let this environment see files.")
        paths = call.items("paths", _MOST_PATHS)
        texts = [path if isinstance(path, str) else "." for path in paths]
        folder = self._folder.for_many()
        found = await asyncio.to_thread(lambda: [folder.find(path) for path in texts])
        for path, item in zip(texts, found, strict=True):
            # A module that seems to be missing is not opened, and `open` would not tell.
            if item is None and path.endswith(".py"):
                await self._tell_withheld(path, call.way_home)
        return {"found": [None if item is None else _row(item) for item in found]}, ()

    async def facts_ahead(self, commands: Sequence[str]) -> _Facts:
        """Return the facts about names in `!` lines, by their paths from the notebook's folder.

        The environment asks by itself about what is not among them: where variables are expanded,
        in another working directory, and what `look` would tell the user.
        """
        if self._settings.files_mode != "on-demand":
            return {}

        def found() -> _Facts:
            facts: _Facts = {}
            folder = self._folder.for_many()
            for path in _paths_in(commands, folder.inner):
                item = folder.find(path)
                if item is not None or not path.endswith(".py"):
                    facts[path] = None if item is None else _row(item)
            return facts

        return await asyncio.to_thread(found)

    async def list(self, call: Call) -> Answer:
        """Return the listing of a folder."""
        path = self._path(call)
        most = call.count("most") if "most" in call.head else None

        def answer() -> Answer:
            items = self._folder.items(path)
            if items is None:
                return {"is_folder": False}, (b"",)
            found: dict[str, list[Any]] = {}
            for name, item in items:
                if len(found) == most:
                    return {"is_unlisted": True}, ()
                if len(found) == _MOST_NAMES:
                    raise FileProblem(f"{path or 'The folder'} has more than {_MOST_NAMES} names.")
                found[name] = _row(item)
            if most is not None and self._folder.withholds_module(path, found):
                return {"is_unlisted": True}, ()
            return {"is_folder": True}, (json.dumps(found).encode("ascii"),)

        return await in_thread(answer)

    async def open(self, call: Call) -> Answer:
        """Begin to send a file; send all of it if it fits into a page."""
        path = self._path(call)
        self._begin(call.environment)
        if call.waiting_bytes > MOST_WAITING_BYTES:
            return {"state": "later"}, ()
        known = call.head.get("size"), call.head.get("changed")
        others = call.items("others", MOST_ALONG) if "others" in call.head else []
        head, data, file = await in_thread(lambda: self._look_and_open(path, known))
        if head["state"] == "none":
            await self._tell_withheld(path, call.way_home)
        if file is None:
            return head, ()
        self._has_sent = True
        self._sent_bytes += file.size
        self._sent[path] = file.size
        if data is not None:
            head["digest"] = file.digest
            rows, more = await in_thread(lambda: self._read_others(others, PAGE_BYTES - file.size))
            if not rows:
                return head, (data,)
            for other, size, *_ in rows:
                self._sent_bytes += size
                self._sent[other] = size
            head["others"] = rows
            near = None
            if len(more) >= _NEAR_BYTES:
                near = await asyncio.to_thread(lambda: self._along.put(more))
            return ({**head, "near": near}, (data,)) if near else (head, (data, more))
        paged = PagedSource(file, call.environment.near)
        return {**head, "transfer": self._open.add(paged), "page": paged.page_bytes}, ()

    def _look_and_open(
        self, path: str, known: tuple[Any, Any]
    ) -> tuple[dict[str, Any], bytes | None, SourceFile | None]:
        """Return the head of the answer, all bytes if they fit into a page, and the file."""
        item = self._folder.find(path)
        if item is None or item.is_folder:
            return {"state": "none", "is_folder": item is not None}, None, None
        if known == (item.size, item.changed):
            return {"state": "same"}, None, None
        file = self._folder.open(path)
        is_kept = False
        try:
            # The size when opened: it may have grown.
            refusal = self._refusal(path, file.size)
            if refusal:
                return {"state": "refused", "told": refusal}, None, None
            head = {"state": "sent", "size": file.size, "changed": file.opened}
            head |= {"is_executable": file.is_executable}
            is_kept = file.size > PAGE_BYTES
            return head, None if is_kept else file.read(PAGE_BYTES), file
        finally:
            if not is_kept:
                file.close()

    def _read_others(self, paths: Sequence[Any], room: int) -> tuple[_Rows, bytes]:
        """Return what the answer says of files that come along, and all of their bytes."""
        folder = self._folder.for_many()
        rows: _Rows = []
        pieces: list[bytes] = []
        taken = 0
        for path in paths:
            if not isinstance(path, str):
                continue
            try:
                file = folder.open(path)
            except FileProblem:
                continue
            try:
                if file.size > _SMALL_BYTES or self._refusal(path, taken + file.size):
                    continue
                if taken + file.size > room:
                    break
                pieces.append(file.read(file.size))
                taken += file.size
                rows.append([path, file.size, file.opened, file.is_executable, file.digest])
            except FileProblem:  # it is shorter now: it comes when it is opened
                continue
            finally:
                file.close()
        return rows, b"".join(pieces)

    async def page(self, call: Call) -> Answer:
        """Send the next page of a file."""
        if call.head.get("done") is True:
            self._open.drop(call)
            return {}, ()
        paged = self._open.find(call)
        file = paged.file
        if call.waiting_bytes > MOST_WAITING_BYTES:
            return {"later": True}, ()
        self._has_sent = True

        def read() -> tuple[dict[str, Any], tuple[bytes, ...]]:
            head, parts = paged.read()
            is_so = file.sent < file.size or file.begins_as_read()
            return {**head, "changed": file.opened if is_so else file.changed}, parts

        answer, parts = await in_thread(read)
        # A page beside the answer is there until the other side has read it, and says so.
        if paged.has_ended:
            self._open.drop(call)
        return answer, parts

    async def sent(self, call: Call) -> Answer:
        """Return the list of files sent to this environment."""
        self._begin(call.environment)
        return {"rows": sorted(self._sent.items()), "files": self._settings.files_mode}, ()

    # -- limits --------------------------------------------------------------------

    def _path(self, call: Call) -> str:
        if self._settings.files_mode != "on-demand":
            raise CallRefused("The setting `files` does not let this environment fetch files.")
        return call.text("path")

    def _refusal(self, path: str, size: int) -> str:
        path = self._folder.shown(path)
        largest, total = self._settings.files_largest_mb, self._settings.files_total_mb
        if size > largest * 1_000_000:
            return (
                f"{path} lies beside the notebook on your machine and is larger than the setting "
                f"`files_largest_mb` allows, which is {largest}. `%aca upload` sends it."
            )
        if self._sent_bytes + size > total * 1_000_000:
            return (
                f"{path} lies beside the notebook on your machine, and with it more would be sent "
                f"to this environment than the setting `files_total_mb` allows, which is {total}. "
                "`%aca upload` sends it."
            )
        return ""

    async def _tell_withheld(self, path: str, way_home: str) -> None:
        """Tell the user why a file beside the notebook is not found."""
        if path in self._told or len(self._told) >= _MOST_TOLD:
            return
        sentence = await asyncio.to_thread(lambda: _why_withheld(self._folder, path, way_home))
        if sentence:
            self._told.add(path)
            self._inbox.put_nowait(Noticed(time.monotonic(), sentence))

    # -- life ----------------------------------------------------------------------

    def _begin(self, environment: Environment) -> None:
        if environment is not self._environment:
            self.close()
            self._environment = environment
            self._along = NearPages(environment.near, _MOST_ALONG_KEPT)
            self._sent_bytes = 0
            self._sent.clear()

    def has_sent(self) -> bool:
        """Tell whether something was sent since the last call of this."""
        has_sent, self._has_sent = self._has_sent, False
        return has_sent

    def close(self) -> None:
        """Close all files."""
        self._open.close()
        self._along.close()


def _why_withheld(folder: Folder, path: str, way_home: str) -> str:
    """Return why a file of the folder is not sent, and the remedy; "" if it is."""
    reason = folder.reason_withheld(path)
    if reason is None:
        return ""
    lines = [] if reason is Reason.NAME else folder.lines_for(path)
    path = folder.shown(path)
    upload = f"`{transfer_line('upload', path, way_home)}` sends it."
    if reason is Reason.NAME:
        return (
            f"{path} is not sent to the environment, because files with names that are usual for "
            f"keys and passwords never are by themselves. {upload}"
        )
    because = (
        f"{path} is not sent to the environment, because .gitignore or .acaignore excludes it."
    )
    if not lines:
        return f"{because} {upload}"
    subject = f"A line {lines[0]}" if len(lines) == 1 else "The lines " + " and ".join(lines)
    folders = any(line.endswith("/") for line in lines)
    what = "all of that folder" if folders else "it"
    place = f"in {folder.root}" if folder.inner else "beside the notebook"
    return (
        f"{because} {subject} in a file .acaignore {place} "
        f"{'lets' if len(lines) == 1 else 'let'} {what} through."
    )


def _paths_in(commands: Sequence[str], inner: str) -> list[str]:
    """Return the paths that words of commands are in the notebook's folder. inner: that folder."""
    paths: dict[str, None] = {}
    short = [one for one in commands[:_MOST_PATHS] if len(one) <= _LONGEST_COMMAND_CHARACTERS]
    for word in words_of(short):
        if not word or glob.has_magic(word) or word.startswith("/"):
            continue
        path = posixpath.normpath(posixpath.join(inner, word))
        if path != "." and path.partition("/")[0] != "..":
            paths[path] = None
        if len(paths) == _MOST_PATHS:
            break
    return list(paths)


def _row(item: FileFacts) -> list[Any]:
    row = [item.is_folder, item.size, item.changed]
    return row if item.link is None else [*row, item.link]
