"""Folders on their way from one machine to another: their files one after the other, as one stream.

A list of the files goes ahead of it. What arrives is written into a folder beside its target, which
takes the target's name when the checksum of all is that of the sender; where there is a folder
already, each file takes its place in that then. Used by both halves.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import secrets
import shutil
import stat
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from .paged_files import FileProblem, SourceFile, problem_of

# Files and folders in one folder: their list takes some 10 MB.
MOST_ENTRIES = 100_000

_LONGEST_KEPT_NAME = 60


@dataclass(frozen=True)
class FolderEntry:
    """A file or folder by its path below the one that is sent, of names between slashes.

    changed: when it was last written to, in nanoseconds since 1970.
    """

    path: str
    is_folder: bool
    size: int = 0
    changed: int = 0
    is_executable: bool = False


def pack(entries: list[FolderEntry]) -> bytes:
    """Return a list of entries as bytes."""
    rows = [[one.path, one.is_folder, one.size, one.changed, one.is_executable] for one in entries]
    return json.dumps(rows).encode("ascii")


def unpack(data: bytes) -> list[FolderEntry]:
    """Return the entries of such a list. Raises FileProblem: it is none."""
    try:
        rows = json.loads(data)
        entries = [_entry(*row) for row in rows]
    except (ValueError, TypeError):
        raise FileProblem("The list of the folder's files cannot be read.") from None
    if len(entries) > MOST_ENTRIES:
        raise too_many()
    return entries


def _entry(path: Any, is_folder: Any, size: Any, changed: Any, is_executable: Any) -> FolderEntry:
    numbers = (size, changed)
    if not isinstance(path, str) or any(type(one) is not int or one < 0 for one in numbers):
        raise TypeError
    return FolderEntry(path, is_folder is True, size, changed, is_executable is True)


def too_many() -> FileProblem:
    """Return the error for a folder that is too large."""
    return FileProblem(f"The folder has more than {MOST_ENTRIES} files and folders.")


def entries_of(folder: str) -> list[FolderEntry]:
    """Return what is in a folder, but neither symlinks nor devices. Raises FileProblem."""
    found: list[FolderEntry] = []
    for place, folders, names in os.walk(folder):
        prefix = os.path.relpath(place, folder).replace(os.sep, "/")
        prefix = "" if prefix == os.curdir else prefix + "/"
        for name in sorted(folders + names):
            try:
                status = os.lstat(os.path.join(place, name))
            except OSError:  # it was there a moment ago
                continue
            if stat.S_ISDIR(status.st_mode):
                found.append(FolderEntry(prefix + name, is_folder=True))
            elif stat.S_ISREG(status.st_mode):
                is_executable = bool(status.st_mode & stat.S_IXUSR)
                numbers = (status.st_size, max(0, status.st_mtime_ns))
                found.append(FolderEntry(prefix + name, False, *numbers, is_executable))
            if len(found) > MOST_ENTRIES:
                raise too_many()
    return found


class SourceFolder:
    """The files of a folder, read one after the other; has the members of a SourceFile.

    opener: opens one for reading. name: of the folder itself. Raises FileProblem, as that does.
    """

    def __init__(
        self,
        shown: str,
        entries: list[FolderEntry],
        opener: Callable[[str], SourceFile],
        *,
        name: str = "",
    ) -> None:
        self.shown = shown
        self.name = name
        self.entries = entries
        self.size = sum(one.size for one in entries)
        self.sent = 0
        self._left = [one for one in reversed(entries) if not one.is_folder and one.size]
        self._opener = opener
        self._file: SourceFile | None = None
        self._digest = hashlib.sha256()

    def read(self, most_bytes: int) -> bytes:
        """Return the next bytes, fewer than asked for only at the end. Raises FileProblem."""
        pieces: list[bytes] = []
        wanted = min(most_bytes, self.size - self.sent)
        while wanted:
            file = self._file or self._next()
            data = file.read(wanted)
            wanted -= len(data)
            pieces.append(data)
            if file.sent == file.size:
                file.close()
                self._file = None
        data = b"".join(pieces)
        self._digest.update(data)
        self.sent += len(data)
        return data

    def _next(self) -> SourceFile:
        entry = self._left.pop()
        file = self._file = self._opener(entry.path)
        if file.size != entry.size:
            raise FileProblem(f"{entry.path} has changed while {self.shown} was read. Try again.")
        return file

    @property
    def digest(self) -> str:
        """SHA-256 of what has been read, in hexadecimal."""
        return self._digest.hexdigest()

    def close(self) -> None:
        """Let go of the file that is open; may be called again."""
        if self._file is not None:
            self._file.close()


def source_of(path: str, shown: str, entries: list[FolderEntry]) -> SourceFolder:
    """Return what is read of a folder: these of its entries. Raises FileProblem as it is read."""
    return SourceFolder(shown, entries, lambda inner: SourceFile(os.path.join(path, inner), inner))


class PartialFolder:
    """A folder that is being written, beside its target and under another name.

    target: where it goes; may_replace: whether files that are there are replaced. files: how many
    it has. All paths of the entries have been checked: they lead nowhere else.
    Raises FileProblem: it cannot go there.
    """

    def __init__(
        self, target: str, shown: str, entries: list[FolderEntry], *, may_replace: bool
    ) -> None:
        self.target = target
        self.shown = shown
        self.size = sum(one.size for one in entries)
        self.received = 0
        self._may_replace = may_replace
        self._digest = hashlib.sha256()
        self._entries = entries
        self._left = [one for one in reversed(entries) if not one.is_folder]
        self.files = len(self._left)
        self._fd = -1
        self._room = 0
        self._stage = ""
        self._refuse_occupied()
        place, name = os.path.split(target)
        name = os.fsdecode(os.fsencode(name)[:_LONGEST_KEPT_NAME])
        stage = os.path.join(place, f".{name}.{secrets.token_hex(4)}.part")
        try:
            os.mkdir(stage)
            self._stage = stage
            for entry in entries:
                if entry.is_folder:
                    os.makedirs(self._path(entry.path), exist_ok=True)
            space = shutil.disk_usage(stage).free
        except OSError as error:
            self.discard()
            raise problem_of(error, shown, "written") from error
        if space < self.size:
            self.discard()
            raise FileProblem(f"{shown} cannot be written: there is not enough space on the disk.")
        self._begin_next()

    def _path(self, path: str) -> str:
        return os.path.join(self._stage, *path.split("/"))

    def _refuse_occupied(self) -> None:
        if not os.path.lexists(self.target):
            return
        if not os.path.isdir(self.target):
            raise FileProblem(f"{self.shown} exists already and is no folder.")
        if not self._may_replace:
            raise FileProblem(
                f"{self.shown} exists already. Name another destination, or put --force before "
                "the path: files of the same names are replaced then, and others stay."
            )

    def _begin_next(self) -> None:
        """Begin the next file that is not empty, and make those that are."""
        while self._left:
            entry = self._left.pop()
            path = self._path(entry.path)
            try:
                os.makedirs(os.path.dirname(path), exist_ok=True)
                flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
                self._fd = os.open(path, flags, 0o777 if entry.is_executable else 0o666)
            except OSError as error:
                self.discard()
                raise problem_of(error, self.shown, "written") from error
            self._room = entry.size
            if entry.size:
                return
            self._close()

    def write(self, data: bytes) -> None:
        """Take the next bytes. Raises FileProblem: they cannot be kept."""
        view = memoryview(data)
        self._digest.update(view)
        self.received += len(view)
        try:
            while view:
                if self._fd < 0:
                    raise FileProblem(f"More came for {self.shown} than was announced. Try again.")
                written = os.write(self._fd, view[: self._room])
                view = view[written:]
                self._room -= written
                if not self._room:
                    self._close()
                    self._begin_next()
        except OSError as error:
            raise problem_of(error, self.shown, "written") from error

    def _close(self) -> None:
        fd, self._fd = self._fd, -1
        if fd >= 0:
            os.close(fd)

    def commit(self, digest: str) -> None:
        """Give it the target's name, if it is what the sender read.

        Raises FileProblem: it is not, or the name cannot be taken. It is removed then.
        """
        try:
            if self.received != self.size or self._digest.hexdigest() != digest:
                raise FileProblem(f"{self.shown} did not arrive as it was sent. Try again.")
            self._refuse_occupied()
            if os.path.lexists(self.target):
                self._merge()
            else:
                os.rename(self._stage, self.target)
                self._stage = ""
        except OSError as error:
            raise problem_of(error, self.shown, "written") from error
        finally:
            self.discard()

    def _merge(self) -> None:
        """Put each file into the folder that is there. No symlink in it is followed."""
        places = [(one, os.path.join(self.target, *one.path.split("/"))) for one in self._entries]
        for entry, _ in places:
            self._refuse_others(entry)
        for entry, place in places:
            if entry.is_folder:
                os.makedirs(place, exist_ok=True)
        for entry, place in places:
            if not entry.is_folder:
                os.makedirs(os.path.dirname(place), exist_ok=True)
                os.replace(self._path(entry.path), place)

    def _refuse_others(self, entry: FolderEntry) -> None:
        """Raise FileProblem where something else has the place of a file or folder."""
        parts = entry.path.split("/")
        for end in range(1, len(parts) + 1):
            path = os.path.join(self.target, *parts[:end])
            is_folder = entry.is_folder or end < len(parts)
            with contextlib.suppress(FileNotFoundError):
                mode = os.lstat(path).st_mode
                if not (stat.S_ISDIR(mode) if is_folder else stat.S_ISREG(mode)):
                    kind = "folder" if is_folder else "file"
                    raise FileProblem(f"{path} is in the way: it is no {kind}.")

    def discard(self) -> None:
        """Remove what has been written; may be called again."""
        self._close()
        stage, self._stage = self._stage, ""
        if stage:
            shutil.rmtree(stage, ignore_errors=True)
