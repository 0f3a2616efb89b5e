"""Files that are on the user's machine only, as `os.stat` and `os.scandir` show files."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from typing import Any

from .mirror import Item


def status_of(item: Item) -> os.stat_result:
    """Return what os.stat would say, as far as it is known."""
    mode = stat.S_IFDIR | 0o755 if item.is_folder else stat.S_IFREG | 0o644
    seconds = item.changed // 10**9
    row = (mode, 0, 0, 1, os.getuid(), os.getgid(), item.size, seconds, seconds, seconds)
    precise = {}
    for name in ("st_atime", "st_mtime", "st_ctime"):
        precise[name] = item.changed / 1e9
        precise[name + "_ns"] = item.changed
    return os.stat_result(row, precise)


class _Entry:
    """As os.DirEntry, of a file that has not come yet."""

    def __init__(self, folder: str, name: str, item: Item) -> None:
        self.name = name
        self.path = os.path.join(folder, name)
        self._item = item

    def __fspath__(self) -> str:
        return self.path

    def __repr__(self) -> str:
        return f"<DirEntry {self.name!r}>"

    def is_dir(self, *, follow_symlinks: bool = True) -> bool:  # noqa: ARG002
        return self._item.is_folder

    def is_file(self, *, follow_symlinks: bool = True) -> bool:  # noqa: ARG002
        return not self._item.is_folder

    def is_symlink(self) -> bool:
        return False

    def is_junction(self) -> bool:
        return False

    def inode(self) -> int:
        return 0

    def stat(self, *, follow_symlinks: bool = True) -> os.stat_result:  # noqa: ARG002
        return status_of(self._item)


class Scan:
    """As what os.scandir returns: what is here, then what is there only."""

    def __init__(self, here: Any, folder: str, there: dict[str, Item]) -> None:
        self._here = here
        self._folder = folder
        self._there = dict(there)
        self._entries = self._all()

    def _all(self) -> Iterator[Any]:
        for entry in self._here:
            self._there.pop(entry.name, None)
            yield entry
        for name in sorted(self._there):
            yield _Entry(self._folder, name, self._there[name])

    def __iter__(self) -> Scan:
        return self

    def __next__(self) -> Any:
        return next(self._entries)

    def __enter__(self) -> Scan:  # noqa: PYI034 - typing has no Self before 3.11
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the folder."""
        self._here.close()
