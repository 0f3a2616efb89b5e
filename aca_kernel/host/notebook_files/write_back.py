"""Files that a cell has written, returned to the notebook's folder.

Answers the calls of remote/notebook_files/write_back.py:

    back         {path, size, is_shown}
                                      {transfer, page}; a small file comes along with all bytes and
                                      the arguments of back_end, and has its answer
    back_page    {transfer} and bytes {}
    back_end     {transfer, digest, is_executable}
                                      {size, changed} as of files_open if it would be sent again,
                                      else {}

Nothing that the environment says is trusted: a name must be one that could be sent, too
(withheld.py), no symlink is followed, and an existing file is replaced only if it came in the same
way and has not changed since.

Without the setting `files_back` only what an output refers to comes (is_shown). As code in the
environment makes the outputs, that is no protection: of those, only what people look at is taken,
and nothing that a program on this machine would run or be configured by.
"""

from __future__ import annotations

import contextlib
import functools
import os
import re
import shlex
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TypeVar

from ...environment.environment import Environment
from ...errors import CallRefused
from ...messaging.requests import RequestTable
from ...remote.command_line import transfer_line
from ...remote.paged_files import FileProblem, PartialFile
from ...settings import AcaKernel
from ...system import is_link
from ..call import Answer, Call
from ..open_files import OpenFiles, in_thread
from ..paged_source import PAGE_BYTES
from .folder import Folder, holds_a_whole_system
from .returned_files import ReturnedFiles
from .withheld import parts_of

T = TypeVar("T")

# Open files at a time; our half sends one after the other.
_MOST_OPEN = 4

# Files and new folders of one environment, so that it cannot fill the folder.
_MOST_NAMES = 10_000

# What people look at, by its suffix.
_SHOWN = frozenset(
    (
        ".png", ".jpg", ".jpeg", ".gif", ".webp", ".svg", ".bmp", ".tif", ".tiff", ".avif", ".html",
        ".htm", ".pdf", ".txt", ".md", ".log", ".csv", ".tsv", ".json", ".geojson", ".jsonl",
        ".xml", ".parquet", ".xlsx", ".docx", ".pptx", ".odt", ".ods", ".zip", ".gz", ".mp3",
        ".wav", ".ogg", ".oga", ".flac", ".m4a", ".mp4", ".m4v", ".webm", ".ogv", ".mov", ".vtt",
        ".glb", ".gltf", ".stl", ".obj", ".npy", ".npz", ".tex", ".bib",
    )
)  # fmt: skip

# Names of such suffixes that programs take for their configuration.
_FOR_PROGRAMS = re.compile(
    r"(?:.*requirements.*|constraints.*|cmakelists|conanfile|runtime|meson_options)\.txt"
    r"|(?:package|package-lock|composer|pyrightconfig|[jt]sconfig(?:\..+)?|deno|lerna|nx|angular"
    r"|turbo|biome|renovate|nodemon|vercel|firebase|opencode|(?:babel|jest)\.config|global)\.json"
    r"|(?:pom|build|ivy|settings)\.xml|(?:claude|agents|gemini|skill)(?:\..+)?\.md"
)

# PATH_MAX of Linux, less the name of a partial file.
_LONGEST_PATH_BYTES = 4096 - 100


@dataclass
class _Coming:
    """A file in transfer. path: as the environment names it. way_home: of its call."""

    path: str
    way_home: str
    file: PartialFile
    is_open: bool = True


class WriteBack:
    """The files of one kernel that come from its environments."""

    def __init__(self, settings: AcaKernel, folder: Folder, table: RequestTable) -> None:
        self._settings = settings
        self._folder = folder
        self._root = folder.root
        self._table = table
        self._environment: Environment | None = None
        self._bytes = 0
        self._names = 0
        # Folders made for files that are not there yet.
        self._made: set[str] = set()
        # Targets of the files in transfer, which have no name yet.
        self._targets: list[str] = []
        self._open: OpenFiles[_Coming] = OpenFiles(_MOST_OPEN, self._discard)

    @functools.cached_property
    def _returned(self) -> ReturnedFiles:
        return ReturnedFiles(self._root)

    # -- calls -------------------------------------------------------------------

    async def begin(self, call: Call) -> Answer:
        """Begin to write a file; complete it if all of it has come along."""
        path, size = call.text("path"), call.count("size")
        self._refuse_unasked(path, call.way_home, is_shown=call.head.get("is_shown") is True)
        if call.environment is not self._environment:
            self.close()
            self._environment = call.environment
            self._bytes = self._names = 0
        self._refuse_too_much(path, size)
        self._names += 1
        file = await _do(lambda: self._begin(path, size, call.way_home))
        self._bytes += size
        coming = _Coming(path, call.way_home, file)
        if not call.parts:
            return {"transfer": self._open.add(coming), "page": PAGE_BYTES}, ()
        digest, is_executable = call.text("digest"), call.head.get("is_executable") is True

        def write() -> dict[str, int]:
            try:
                for part in call.parts:
                    file.write(part)
                return self._commit(coming, digest, is_executable=is_executable)
            finally:
                self._discard(coming)

        return await _do(write), ()

    async def page(self, call: Call) -> Answer:
        """Write the next page of it."""
        coming = self._open.find(call)
        for part in call.parts:
            await _do(functools.partial(coming.file.write, part))
        return {}, ()

    async def end(self, call: Call) -> Answer:
        """Give it its name, if its digest is right."""
        digest, is_executable = call.text("digest"), call.head.get("is_executable") is True
        coming = self._open.take(call)
        return await _do(lambda: self._commit(coming, digest, is_executable=is_executable)), ()

    # -- checks --------------------------------------------------------------------

    def _refuse_unasked(self, path: str, way_home: str, *, is_shown: bool) -> None:
        if self._settings.files_back:
            return
        if not is_shown or self._settings.files_mode == "off":
            raise CallRefused("The setting `files_back` does not let files come back.")
        name = path.rpartition("/")[2].lower()
        if os.path.splitext(name)[1] not in _SHOWN or _FOR_PROGRAMS.fullmatch(name):
            line = transfer_line("download", path, way_home)
            raise CallRefused(
                f"An output refers to {path}, which is not beside the notebook: files of this kind "
                f"do not come back by themselves. `{line}` brings it."
            )

    def _refuse_too_much(self, path: str, size: int) -> None:
        largest, total = self._settings.files_largest_mb, self._settings.files_total_mb
        if size > largest * 1_000_000:
            raise CallRefused(
                f"{path} does not come back: it is larger than the setting `files_largest_mb` "
                f"allows, which is {largest}. `%aca download` brings it."
            )
        if self._bytes + size > total * 1_000_000 or self._names >= _MOST_NAMES:
            raise CallRefused(
                f"{path} does not come back: more has come from this environment than the setting "
                f"`files_total_mb` allows, which is {total}, or than {_MOST_NAMES} files and "
                "folders. `%aca download` brings it."
            )

    def _begin(self, path: str, size: int, way_home: str) -> PartialFile:
        target = os.path.join(self._root, *path.split("/"))
        self._targets.append(target)
        try:
            target = self._target(path, makes_folders=True)
            may_replace = self._refuse_others(path, target, way_home)
            return PartialFile(target, path, size, may_replace=may_replace, has_name=False)
        except BaseException:  # no empty folders are left behind
            self._remove_made(target)
            raise

    def _discard(self, coming: _Coming) -> None:
        """Remove a partial file, and the folders that were made for it."""
        coming.file.discard()
        if coming.is_open:
            coming.is_open = False
            self._remove_made(coming.file.target)

    def _remove_made(self, target: str) -> None:
        self._targets.remove(target)
        for folder in self._folders_of(target):
            if any(other.startswith(folder + os.sep) for other in self._targets):
                return
            if folder in self._made:
                self._made.discard(folder)
                with contextlib.suppress(OSError):  # somebody uses it
                    os.rmdir(folder)

    def _folders_of(self, target: str) -> Iterator[str]:
        """Yield the folders above a file, the deepest first."""
        folder = os.path.dirname(target)
        while len(folder) > len(self._root):
            yield folder
            folder = os.path.dirname(folder)

    def _target(self, path: str, *, makes_folders: bool) -> str:
        """Return a file's absolute path; no folder in it is a symlink. Raises FileProblem."""
        parts = parts_of(path)
        if not parts or holds_a_whole_system(self._root):
            raise FileProblem(f"A file does not come back under the name {path!a}.")
        if len(os.fsencode(os.path.join(self._root, path))) > _LONGEST_PATH_BYTES:
            raise FileProblem(f"{path[:60]}… does not come back: its path is too long.")
        folder = self._root
        for part in parts[:-1]:
            folder = os.path.join(folder, part)
            try:
                status = os.lstat(folder)
            except FileNotFoundError:
                if not makes_folders:
                    raise FileProblem(f"{path} does not come back: its folder is gone.") from None
                os.mkdir(folder)
                self._made.add(folder)
                self._names += 1
            else:
                if is_link(status) or not stat.S_ISDIR(status.st_mode):
                    raise FileProblem(f"{path} does not come back: {part} is not a folder here.")
        return os.path.join(folder, parts[-1])

    def _refuse_others(self, path: str, target: str, way_home: str) -> bool:
        """Return whether there is a file to replace. Raises FileProblem: it is the user's."""
        try:
            status = os.lstat(target)
        except FileNotFoundError:
            return False
        is_plain_file = stat.S_ISREG(status.st_mode) and not is_link(status)
        if is_plain_file and self._returned.is_unchanged(path, status):
            return True
        why = _why_occupied(path, target, status, way_home)
        raise FileProblem(f"{path} does not come back: {why}")

    def _commit(self, coming: _Coming, digest: str, *, is_executable: bool) -> dict[str, int]:
        # Again: the folder may have changed while a large file came.
        try:
            target = self._target(coming.path, makes_folders=False)
            self._refuse_others(coming.path, target, coming.way_home)
            if is_executable:
                coming.file.make_executable()
            coming.file.commit(digest)
            self._made.difference_update(self._folders_of(target))
        finally:
            self._discard(coming)
        status = os.lstat(target)
        self._returned.note(coming.path, status)
        item = self._folder.find(coming.path)
        if item is None or (item.size, item.changed) != (status.st_size, status.st_mtime_ns):
            return {}
        return {"size": item.size, "changed": item.changed}

    # -- end ---------------------------------------------------------------------

    def close_finished(self) -> None:
        """Close the files in transfer once no cell runs."""
        if len(self._open) and not any(one.is_execute for one in self._table):
            self.close()

    def close(self) -> None:
        """Close all files."""
        self._open.close()


def _why_occupied(path: str, target: str, status: os.stat_result, way_home: str) -> str:
    if os.path.isdir(target) or not (stat.S_ISREG(status.st_mode) or is_link(status)):
        kind = "a folder" if os.path.isdir(target) else "something else than a file"
        return (
            f"there is {kind} of that name beside the notebook. `%aca download "
            f"{shlex.quote(way_home + path)} NAME` brings it under another name."
        )
    line = transfer_line("download --force", path, way_home)
    if is_link(status):
        return f"the one beside the notebook is a link. `{line}` replaces the link by the file."
    return (
        "the one beside the notebook is your own, or has changed since it came. "
        f"`{line}` replaces it."
    )


async def _do(action: Callable[[], T]) -> T:
    """Run an action on a file in a thread. Raises CallRefused in place of OSError, too."""
    try:
        return await in_thread(action)
    except OSError as error:
        raise CallRefused(f"It cannot be written: {error.strerror or error}.") from error
