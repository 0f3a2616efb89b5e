"""The files of the notebook's folder that may be sent.

A path is relative, of names between slashes. It may be sent if none of its names is withheld
(withheld.py), nothing ignores it, and both hold for the target of its symlinks, too, which must
lie in the folder. For the environment, other files do not exist.
"""

from __future__ import annotations

import copy
import enum
import os
import posixpath
import stat
from collections.abc import Container, Iterator
from dataclasses import replace
from typing import Any

from ...remote.notebook_files.entries import FileFacts
from ...remote.paged_files import FileProblem, SourceFile
from ...system import is_link, open_inside
from .ignore import Ignore
from .withheld import parts_of


class Reason(enum.Enum):
    """The reason why a file is not sent: its name, or a pattern that ignores it."""

    NAME = enum.auto()
    IGNORED = enum.auto()


class Folder:
    """A folder of the user's machine, by its path at the kernel's start.

    inner: the notebook's folder as a path in it.
    """

    def __init__(self, path: str, inner: str = "") -> None:
        self.root = os.path.realpath(path)
        self.inner = inner
        self._ignore = Ignore(self.root, inner.split("/") if inner else [])

    def for_many(self) -> Folder:
        """Return the same for paths of one question, by the patterns as they are now."""
        other = copy.copy(self)
        other._ignore = self._ignore.for_many()  # noqa: SLF001 - one of these
        return other

    @property
    def home(self) -> str:
        """The notebook's folder."""
        return os.path.join(self.root, *self.inner.split("/")) if self.inner else self.root

    def shown(self, path: str) -> str:
        """Return a path as the notebook writes it: relative to its own folder."""
        return posixpath.relpath(path, self.inner) if self.inner else path

    def find(self, path: str) -> FileFacts | None:
        """Return the facts about a file or folder; None: there is none that may be sent."""
        found = self._resolve(path)
        return None if found is None else found[1]

    def place_of(self, path: str, size: int) -> dict[str, Any]:
        """Return {beside} for any path of this machine that is in the folder, else {}.

        With {changed}, if the file may be sent and has that size.
        """
        whole = os.path.join(self.home, os.path.expanduser(path))
        try:
            relative = os.path.relpath(whole, self.root).replace(os.sep, "/")
        except ValueError:  # on another drive of Windows
            return {}
        if relative.startswith(os.pardir):
            return {}
        item = self.find(relative)
        if item is None or item.size != size:
            return {"beside": relative}
        return {"beside": relative, "changed": item.changed}

    def reason_withheld(self, path: str) -> Reason | None:
        """Return why a file of the folder is not sent; None: it is sent, or is no file."""
        everything = self._resolve(path, with_ignored=True, with_withheld=True)
        if everything is None or everything[1].is_folder or self.find(path) is not None:
            return None
        named = self._resolve(path, with_ignored=True)
        return Reason.NAME if named is None else Reason.IGNORED

    def lines_for(self, path: str) -> list[str]:
        """Return lines for an `.acaignore` in the root that let a file through, if there are."""
        named, found = parts_of(path), self._resolve(path, with_ignored=True)
        if named is None or found is None:
            return []
        return self._ignore.lines_for([named] if found[0] == named else [named, found[0]])

    def items(self, path: str) -> Iterator[tuple[str, FileFacts]] | None:
        """Return the entries of a folder that may be sent; None: it is no folder."""
        found = self._resolve(path)
        if found is None or not found[1].is_folder:
            return None
        return self._items(path, found[0])

    def _items(self, path: str, inner: list[str]) -> Iterator[tuple[str, FileFacts]]:
        try:
            entries = os.scandir(os.path.join(self.root, *inner))
        except OSError:
            return
        is_excluded = self._ignore.beside(path.split("/") if path else [])
        is_excluded_there = self._ignore.beside(inner)
        with entries:
            for entry in entries:
                name = entry.name
                if parts_of(name) is None:
                    continue
                try:
                    status = entry.stat(follow_symlinks=False)
                except OSError:  # it was there a moment ago
                    continue
                if is_link(status):
                    item = self.find(f"{path}/{name}" if path else name)
                else:
                    item = _item(status)
                    if item is not None and (
                        is_excluded(name, item.is_folder) or is_excluded_there(name, item.is_folder)
                    ):
                        continue
                if item is not None:
                    yield name, item

    def withholds_module(self, path: str, shown: Container[str]) -> bool:
        """Tell whether a folder holds a module of Python beside the names that are shown."""
        place = os.path.join(self.root, *path.split("/"))
        try:
            names = [name for name in os.listdir(place) if name not in shown]
        except OSError:
            return False
        return any(
            name.removesuffix(".py").isidentifier()
            and (name.endswith(".py") or os.path.exists(os.path.join(place, name, "__init__.py")))
            for name in names
        )

    def open(self, path: str) -> SourceFile:
        """Open a file that may be sent. Raises FileProblem: there is none."""
        found = self._resolve(path)
        if found is None or found[1].is_folder:
            raise FileProblem(f"{path} does not exist.")
        inner = found[0]
        # No name of the resolved path is followed: a symlink that is made meanwhile leads nowhere.
        return SourceFile(
            path, path, opener=lambda _, flags: open_inside(self.root, inner, flags), may_grow=True
        )

    def _resolve(
        self, path: str, *, with_ignored: bool = False, with_withheld: bool = False
    ) -> tuple[list[str], FileFacts] | None:
        """Return the target of a path in the folder, symlinks followed, and the facts about it."""
        named = parts_of(path, with_withheld=with_withheld)
        if named is None or holds_a_whole_system(self.root):
            return None
        whole = os.path.join(self.root, *named)
        real = os.path.realpath(whole)
        is_inside = real == self.root or real.startswith(self.root + os.sep)
        within = real[len(self.root) + 1 :].replace(os.sep, "/")
        inner = parts_of(within, with_withheld=with_withheld) if is_inside else None
        if inner is None:
            return None
        try:
            item = _item(os.lstat(real))
        except OSError:
            return None
        if item is None or not (with_ignored or self._is_let_through(named, inner, item)):
            return None
        if item.is_folder and os.path.islink(whole):
            item = replace(item, link="/".join(inner))
        return inner, item

    def _is_let_through(self, named: list[str], inner: list[str], item: FileFacts) -> bool:
        paths = [named] if inner == named else [named, inner]
        return not any(self._ignore.excludes(one, is_folder=item.is_folder) for one in paths)


def holds_a_whole_system(folder: str) -> bool:
    """Tell whether it is a root, or a drive's: that is nobody's notebook folder."""
    return os.path.dirname(folder) == folder


def _item(status: os.stat_result) -> FileFacts | None:
    if stat.S_ISDIR(status.st_mode):
        return FileFacts(True, 0, status.st_mtime_ns)
    if stat.S_ISREG(status.st_mode):
        return FileFacts(False, status.st_size, status.st_mtime_ns)
    return None
