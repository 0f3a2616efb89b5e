"""The record of files fetched from the user's machine, and of their changes and removal.

A fetched file or folder that is missing here was removed by the code: by Python, a shell command
or a child process. It is not fetched again.

The record is a journal in the agent's folder, shared with the next remote kernel and with
processes that the notebook starts.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import mmap
import os
import struct
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from .. import agent_folder
from ..origin import Stamp, stamp
from . import quiet
from .entries import FileFacts

# The environment's own: hooks.py replaces it in `os`.
_lstat = os.lstat

# The process that wrote to the journal last, and how often it has.
_MARK = struct.Struct("qq")

# The limit of symlinks in a path, as in Linux.
_MOST_LINKS = 40

# The stamp of no file.
_NONE: Stamp = (-1, -1, -1)


@dataclass(frozen=True)
class Copy:
    """A fetched file. size, changed: of the user's file then; own: the copy's stamp."""

    size: int
    changed: int
    own: Stamp

    def is_of(self, item: FileFacts) -> bool:
        """Tell whether the user's file is unchanged."""
        return (self.size, self.changed) == (item.size, item.changed)


class Copies:
    """The record of one remote kernel, by paths relative to the root.

    known: stamps of files that are not the code's, to which those of the copies are added.
    """

    def __init__(self, root: str, journal: str, known: dict[str, Stamp]) -> None:
        self.files: dict[str, Copy] = {}
        # Folders made here, with the targets of those that are symlinks.
        self.folders: dict[str, str | None] = {}
        # The symlinks among them.
        self.links: dict[str, str] = {}
        self._removed: set[str] = set()
        # The names of all these by their folders.
        self._names: dict[str, set[str]] = {}
        self._root = root
        self._journal = journal
        self._known = known
        # How far the journal was read, and the mark of the last writer, in memory that processes
        # share: quicker than a look at the file.
        self._position = 0
        self._last = _shared_memory(f"{journal}.mark")
        self._seen = b""
        self._written = 0
        self._forget_other_threads()
        os.register_at_fork(after_in_child=self._forget_other_threads)
        self.read()

    def _forget_other_threads(self) -> None:
        self._lock = threading.RLock()
        self._depth = 0

    @contextlib.contextmanager
    def alone(self) -> Iterator[None]:
        """Lock the record against other threads and processes, and read what they have noted.

        Not to be held while the kernel is asked for something.
        """
        with quiet(), self._lock:
            self._depth += 1
            lock = -1
            try:
                if self._depth == 1:
                    with contextlib.suppress(OSError):  # no room on the disk: without it
                        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC
                        lock = os.open(f"{self._journal}.lock", flags, 0o600)
                        fcntl.flock(lock, fcntl.LOCK_EX)
                self.read()
                yield
            finally:
                self._depth -= 1
                if lock >= 0:
                    # A process that was forked meanwhile has it open, too.
                    fcntl.flock(lock, fcntl.LOCK_UN)
                    os.close(lock)

    def path_of(self, relative: str) -> str:
        """Return the absolute path."""
        return f"{self._root}/{relative}" if relative else self._root

    def stamp_of(self, relative: str) -> Stamp | None:
        """Return the stamp of the file here; None: there is none."""
        try:
            return stamp(_lstat(self.path_of(relative)))
        except (OSError, ValueError):
            return None

    # -- notes ---------------------------------------------------------------------

    def note_file(self, relative: str, copy: Copy) -> None:
        """Note a fetched file."""
        self._note("file", relative, copy.size, copy.changed, copy.own)

    def note_files(self, files: dict[str, Copy]) -> None:
        """Note files that were fetched together."""
        notes = [("file", path, one.size, one.changed, one.own) for path, one in files.items()]
        if notes:
            self._note_all(notes)

    def note_same(self, relative: str, changed: int, own: Stamp) -> None:
        """Note that a file of the code's is the same on the user's machine."""
        self._note("same", relative, changed, own)

    def note_folder(self, relative: str, link: str | None) -> None:
        """Note a folder that was made here."""
        self._note("folder", relative, link, self.stamp_of(relative) or _NONE)

    def note_own(self, relative: str) -> None:
        """Note a file of the code's in the place of a user's, which stays away if it is removed."""
        self._note("same", relative, -1, _NONE)

    def note_removed(self, relative: str) -> None:
        """Note that the code has removed something: it is not fetched again."""
        self._note("removed", relative)

    def drop(self, relative: str) -> None:
        """Note that something is gone on the user's machine, before it is removed here."""
        self._note("gone", relative)

    def _note(self, kind: str, *facts: Any) -> None:
        self._note_all([(kind, *facts)])

    def _note_all(self, notes: Sequence[tuple[Any, ...]]) -> None:
        lines = [json.dumps(note) + "\n" for note in notes]
        with self._lock:
            for note in notes:
                self._apply(*note)
            with contextlib.suppress(OSError), open(self._journal, "a", encoding="ascii") as file:
                file.write("".join(lines))
            self._written += 1
            self._last[:] = _MARK.pack(os.getpid(), self._written)

    def keep(self) -> None:
        """Write the journal again if code has removed it. Raises OSError."""
        if not self._names or os.path.exists(self._journal):
            return
        with self._lock:
            text = "".join(json.dumps(line) + "\n" for line in self._lines())
            agent_folder.make(os.path.dirname(self._journal))
            with open(self._journal, "w", encoding="ascii") as file:
                file.write(text)
            self._position = len(text)

    def _lines(self) -> Iterator[list[Any]]:
        """Yield the lines of a complete journal."""
        for relative in self._removed:
            yield ["removed", relative]
        for relative, link in self.folders.items():
            yield ["folder", relative, link, self._known.get(self.path_of(relative), _NONE)]
        for relative, copy in self.files.items():
            if self.is_known(relative):
                yield ["file", relative, copy.size, copy.changed, copy.own]
            else:
                yield ["same", relative, copy.changed, copy.own]

    def _apply(self, kind: str, relative: str, *facts: Any) -> None:
        path = self.path_of(relative)
        folder, name = os.path.split(relative)
        self._names.setdefault(folder, set()).add(name)
        if kind == "file":
            size, changed, own = facts
            self.files[relative] = Copy(size, changed, tuple(own))
            self._known[path] = tuple(own)
        elif kind == "same":
            changed, own = facts
            self.files[relative] = Copy(own[0], changed, tuple(own))
            self._known.pop(path, None)
            self._removed.discard(relative)
        elif kind == "folder":
            link, own = facts
            self.folders[relative] = link
            self._known[path] = tuple(own)
            if link is not None:
                self.links[relative] = link
        else:
            if self._has_come(relative):
                self._known.pop(path, None)
            self.files.pop(relative, None)
            self.folders.pop(relative, None)
            self.links.pop(relative, None)
            if kind == "removed":
                self._removed.add(relative)
            elif relative not in self._removed:
                self._names[folder].discard(name)

    def read(self) -> None:
        """Read the notes of other processes."""
        if self._last[:] == self._seen:
            return
        with self._lock, contextlib.suppress(FileNotFoundError):  # there is none yet
            self._seen = self._last[:]
            with open(self._journal, "rb") as file:
                if os.fstat(file.fileno()).st_size < self._position:  # it was written again
                    self._position = 0
                file.seek(self._position)
                whole = file.read().rpartition(b"\n")[0]
            if not whole:
                return
            # Its own notes are among them and change nothing.
            self._position += len(whole) + 1
            for line in whole.split(b"\n"):
                with contextlib.suppress(ValueError, TypeError):  # cut off by a death
                    self._apply(*json.loads(line))

    # -- questions -----------------------------------------------------------------

    def is_removed(self, relative: str) -> bool:
        """Tell whether the code has removed something, or a folder above it."""
        self.read()
        end = relative.find("/")
        while end >= 0:
            if self._is_gone(relative[:end]):
                return True
            end = relative.find("/", end + 1)
        return self._is_gone(relative)

    def _is_gone(self, path: str) -> bool:
        if path in self._removed:
            return True
        if not self._has_come(path) or self.stamp_of(path) is not None:
            return False
        with self.alone():
            if self._has_come(path) and self.stamp_of(path) is None:
                self.note_removed(path)
        return path in self._removed

    def _has_come(self, path: str) -> bool:
        return path in self.files or path in self.folders

    def without_removed(self, relative: str, found: dict[str, FileFacts]) -> dict[str, FileFacts]:
        """Return the listing of a folder there without what the code has removed."""
        self.read()
        prefix = relative + "/" if relative else ""
        noted = list(self._names.get(relative, ()))
        gone = {name for name in noted if self._is_gone(prefix + name)}
        return {name: item for name, item in found.items() if name not in gone} if gone else found

    def is_unchanged(self, relative: str) -> bool:
        """Tell whether a file was fetched and the code has not changed it."""
        copy = self.files.get(relative)
        return copy is not None and copy.own == self.stamp_of(relative)

    def is_free(self, relative: str) -> bool:
        """Tell whether a file may be fetched: nothing of the code's has its place."""
        if self.is_removed(relative):
            return False
        return self.stamp_of(relative) is None or self.is_unchanged(relative)

    def is_known(self, relative: str) -> bool:
        """Tell whether a fetched file is none of the code's."""
        return self.path_of(relative) in self._known

    def in_folder(self, relative: str) -> list[str]:
        """Return the names of fetched files in a folder."""
        prefix = relative + "/" if relative else ""
        noted = list(self._names.get(relative, ()))
        return [name for name in noted if prefix + name in self.files]

    def within(self, relative: str) -> tuple[list[str], list[str]]:
        """Return the paths of files and folders beneath a folder, the deepest first."""
        prefix = relative + "/"
        files = [path for path in list(self.files) if path.startswith(prefix)]
        folders = [path for path in list(self.folders) if path.startswith(prefix)]
        return files, sorted(folders, reverse=True)

    def canonical(self, relative: str) -> str:
        """Resolve the symlinks in a path, as far as they have been made here."""
        for _ in range(_MOST_LINKS if self.links else 0):
            parts = relative.split("/")
            for end in range(1, len(parts)):
                link = "/".join(parts[:end])
                if link in self.links and not self.is_removed(link):
                    before = [self.links[link]] if self.links[link] else []
                    relative = "/".join([*before, *parts[end:]])
                    break
            else:
                break
        return relative


def _shared_memory(path: str) -> mmap.mmap:
    """Return memory for a mark that forked processes share, and those that have the path."""
    with contextlib.suppress(OSError), open(path, "a+b") as file:
        file.truncate(_MARK.size)
        return mmap.mmap(file.fileno(), _MARK.size)
    return mmap.mmap(-1, _MARK.size)  # no room on the disk: forked ones only
