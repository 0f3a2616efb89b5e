"""Facts about files on the user's machine, as `os.stat` and `os.scandir` show them."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

# Files that come along with one in the same call: what the kernel allows an environment.
MOST_ALONG = 1000


@dataclass(frozen=True)
class FileFacts:
    """A file or folder on the user's machine. size: in bytes, 0 of a folder.

    changed: in nanoseconds since 1970. link: target of a folder that is a symlink.
    """

    is_folder: bool
    size: int
    changed: int
    link: str | None = None


def status_of(item: FileFacts, relative: str, device: int) -> os.stat_result:
    """Return the stat result of a file. device: that of the working directory."""
    mode = stat.S_IFREG | 0o644
    seconds = item.changed // 10**9
    row = (
        *(mode, _inode(relative), device, 1, os.getuid(), os.getgid()),
        *(item.size, seconds, seconds, seconds),
    )
    precise = {}
    for name in ("st_atime", "st_mtime", "st_ctime"):
        precise[name] = item.changed / 1e9
        precise[name + "_ns"] = item.changed
    return os.stat_result(row, precise)


def _inode(relative: str) -> int:
    """Return a unique number: files with the same inode count as the same file."""
    digest = hashlib.sha256(os.fsencode(relative)).digest()[:7]
    return int.from_bytes(digest, "big") | 1 << 56


class _Entry:
    """An os.DirEntry of a file that has not been fetched. place: its path in any directory."""

    def __init__(
        self, folder: Any, name: str, item: FileFacts, relative: str, place: str, device: int
    ) -> None:
        self.name: Any = os.fsencode(name) if isinstance(folder, bytes) else name
        self.path: Any = os.path.join(folder, self.name)
        self._item = item
        self._relative = relative
        self._place = place
        self._device = device

    def __fspath__(self) -> Any:
        return self.path

    def __repr__(self) -> str:
        return f"<DirEntry {self.name!r}>"

    def is_dir(self, *, follow_symlinks: bool = True) -> bool:
        return self._item.is_folder and (follow_symlinks or not self.is_symlink())

    def is_file(self, *, follow_symlinks: bool = True) -> bool:  # noqa: ARG002
        return not self._item.is_folder

    def is_symlink(self) -> bool:
        return self._item.link is not None

    def is_junction(self) -> bool:
        return False

    def inode(self) -> int:
        return _inode(self._relative)

    def stat(self, *, follow_symlinks: bool = True) -> os.stat_result:
        if self._item.is_folder:  # which makes it
            return os.stat(self._place, follow_symlinks=follow_symlinks)
        return status_of(self._item, self._relative, self._device)


@dataclass(eq=False, repr=False)
class Scan:
    """A result of os.scandir: entries of the folder here, then those on the user's machine only.

    here: of os.scandir; folder: its path as the code has written it, text or bytes, empty for a
    descriptor; there: files there by name; relative: the folder's path below the root; device: as
    for `status_of`. is_outdated: tells whether a copy here is shown as the file is there.
    path_of: returns the absolute path of one below the root.
    """

    here: Any
    folder: Any
    there: dict[str, FileFacts]
    relative: str
    device: int
    is_outdated: Callable[[str, FileFacts], bool]
    path_of: Callable[[str], str]

    def __post_init__(self) -> None:
        self._entries = self._all()

    def _all(self) -> Iterator[Any]:
        there = dict(self.there)
        prefix = self.relative + "/" if self.relative else ""
        for entry in self.here:
            name = os.fsdecode(entry.name)
            item = there.get(name)
            if item is None or not self.is_outdated(prefix + name, item):
                there.pop(name, None)
                yield entry
        for name, item in sorted(there.items()):
            path = prefix + name
            yield _Entry(self.folder, name, item, path, self.path_of(path), self.device)

    def __iter__(self) -> Scan:
        return self

    def __next__(self) -> Any:
        return next(self._entries)

    def __enter__(self) -> Scan:  # noqa: PYI034 - typing has no Self before 3.11
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the scan of the folder here."""
        self.here.close()
