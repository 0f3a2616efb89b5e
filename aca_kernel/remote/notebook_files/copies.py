"""What has come from the user's machine into the working directory, and what has become of it.

A file that has come and is not here any more was removed by the code, whoever did it: a call of
Python, a command of the shell, a process of the code's. It stays away, with everything in it. So
does a folder that was made because it is there.

All of it is kept in a journal in the agent's folder, for the next remote kernel and for processes
that the notebook forks: what one of them fetches, the others read there.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import mmap
import os
import struct
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from .. import agent_folder
from ..origin import Stamp, stamp
from . import quiet

# Of the environment, not of what is beside the notebook: hooks.py replaces it in `os`.
_lstat = os.lstat

# Who wrote to the journal last: the process, and how often it has.
_MARK = struct.Struct("qq")

# A path that leads through more links than this leads nowhere, as in Linux.
_MOST_LINKS = 40

# The stamp of no file.
_NONE: Stamp = (-1, -1, -1)


@dataclass(frozen=True)
class FileFacts:
    """A file or folder on the user's machine. changed: in nanoseconds since 1970.

    link: of a folder that is a link, the path of the folder that it leads to; otherwise None.
    """

    is_folder: bool
    size: int
    changed: int
    link: str | None = None


@dataclass(frozen=True)
class Copy:
    """A file that has come. size, changed: the user's then; own: the copy's stamp since."""

    size: int
    changed: int
    own: Stamp

    def is_of(self, item: FileFacts) -> bool:
        """Tell whether the user's file is as it was."""
        return (self.size, self.changed) == (item.size, item.changed)


class Copies:
    """All that has come to one remote kernel, by paths relative to the root.

    known: stamps of files that are not the code's, which those of the copies are added to.
    """

    def __init__(self, root: str, journal: str, known: dict[str, Stamp]) -> None:
        self.files: dict[str, Copy] = {}
        # Folders that were made because they are there, with where they lead if they are links.
        self.folders: dict[str, str | None] = {}
        # Of those the links: where they lead.
        self.links: dict[str, str] = {}
        self._removed: set[str] = set()
        # The names of all these by their folders.
        self._names: dict[str, set[str]] = {}
        self._root = root
        self._journal = journal
        self._known = known
        # How far the journal was read, and what says that somebody has written to it since: memory
        # that forked processes share, because to look at the file each time would take longer.
        self._position = 0
        self._last = mmap.mmap(-1, _MARK.size)
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
        """Let no other thread or process change what has come, and know what they have changed.

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
                    # Said, because a process that was forked meanwhile has it open, too.
                    fcntl.flock(lock, fcntl.LOCK_UN)
                    os.close(lock)

    def path_of(self, relative: str) -> str:
        """Return the absolute path of what is inside."""
        return f"{self._root}/{relative}" if relative else self._root

    def stamp_of(self, relative: str) -> Stamp | None:
        """Return the stamp of what is here; None: nothing."""
        try:
            return stamp(_lstat(self.path_of(relative)))
        except (OSError, ValueError):
            return None

    # -- what is noted -------------------------------------------------------------

    def note_file(self, relative: str, copy: Copy) -> None:
        """A file has come."""
        self._note("file", relative, copy.size, copy.changed, copy.own)

    def note_same(self, relative: str, changed: int, own: Stamp) -> None:
        """A file of the code's is the same there: it stays the code's."""
        self._note("same", relative, changed, own)

    def note_folder(self, relative: str, link: str | None) -> None:
        """A folder that is there has been made."""
        self._note("folder", relative, link, self.stamp_of(relative) or _NONE)

    def note_own(self, relative: str) -> None:
        """Something of the code's has the name of a file there: removed, it does not uncover it."""
        self._note("same", relative, -1, _NONE)

    def note_removed(self, relative: str) -> None:
        """The code has removed something: it stays away, even if the code makes another."""
        self._note("removed", relative)

    def drop(self, relative: str) -> None:
        """Something is gone there. To be called before it is removed here."""
        self._note("gone", relative)

    def _note(self, kind: str, *facts: Any) -> None:
        line = json.dumps([kind, *facts]) + "\n"
        with self._lock:
            self._apply(kind, *facts)
            with contextlib.suppress(OSError), open(self._journal, "a", encoding="ascii") as file:
                file.write(line)
            self._written += 1
            self._last[:] = _MARK.pack(os.getpid(), self._written)

    def keep(self) -> None:
        """Write the journal again, if there was one and code has removed it. Raises OSError."""
        if not self._names or os.path.exists(self._journal):
            return
        with self._lock:
            text = "".join(json.dumps(line) + "\n" for line in self._lines())
            agent_folder.make(os.path.dirname(self._journal))
            with open(self._journal, "w", encoding="ascii") as file:
                file.write(text)
            self._position = len(text)

    def _lines(self) -> Iterator[list[Any]]:
        """Yield what a journal has to say to tell all that is known."""
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
        """Take in what other processes have noted since."""
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
            # Its own are among them: they lead to the same.
            self._position += len(whole) + 1
            for line in whole.split(b"\n"):
                with contextlib.suppress(ValueError, TypeError):  # one that a death cut off
                    self._apply(*json.loads(line))

    # -- what is asked -------------------------------------------------------------

    def is_removed(self, relative: str) -> bool:
        """Tell whether the code has removed something, or what it was in."""
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
        """Return what is in a folder there but for what the code has removed from it."""
        self.read()
        prefix = relative + "/" if relative else ""
        noted = list(self._names.get(relative, ()))
        gone = {name for name in noted if self._is_gone(prefix + name)}
        return {name: item for name, item in found.items() if name not in gone} if gone else found

    def is_unchanged(self, relative: str) -> bool:
        """Tell whether a file has come and is here as it came."""
        copy = self.files.get(relative)
        return copy is not None and copy.own == self.stamp_of(relative)

    def is_free(self, relative: str) -> bool:
        """Tell whether a file may come: nothing of the code's has its place."""
        if self.is_removed(relative):
            return False
        return self.stamp_of(relative) is None or self.is_unchanged(relative)

    def is_known(self, relative: str) -> bool:
        """Tell whether a file that has come is none of the code's."""
        return self.path_of(relative) in self._known

    def in_folder(self, relative: str) -> list[str]:
        """Return the names of files in a folder that have come."""
        prefix = relative + "/" if relative else ""
        noted = list(self._names.get(relative, ()))
        return [name for name in noted if prefix + name in self.files]

    def within(self, relative: str) -> tuple[list[str], list[str]]:
        """Return the paths of files and folders beneath one, the deepest first."""
        prefix = relative + "/"
        files = [path for path in list(self.files) if path.startswith(prefix)]
        folders = [path for path in list(self.folders) if path.startswith(prefix)]
        return files, sorted(folders, reverse=True)

    def canonical(self, relative: str) -> str:
        """Return where a path leads that goes through links, as far as they have been made."""
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
