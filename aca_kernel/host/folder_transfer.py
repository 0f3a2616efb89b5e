"""Folders that a cell's `%aca` line names: what of them is sent, and what is taken.

Of a folder that is sent, the rules of the notebook's folder hold (notebook_files/folder.py), and so
they do for one that comes: nothing hidden, no names of keys, and no symlinks.
"""

from __future__ import annotations

import os
import stat

from ..remote.folder_stream import (
    MOST_ENTRIES,
    FolderEntry,
    PartialFolder,
    SourceFolder,
    too_many,
    unpack,
)
from ..remote.paged_files import FileProblem, SourceFile
from .notebook_files.folder import Folder
from .notebook_files.withheld import parts_of


def open_source(path: str, shown: str) -> tuple[SourceFile | SourceFolder, int]:
    """Return a file or what may be sent of a folder, and how many names are left out.

    shown: the path as written. Raises FileProblem: it cannot be read, or is a whole system.
    """
    return open_folder(path, shown) if os.path.isdir(path) else (SourceFile(path, shown), 0)


def open_folder(path: str, shown: str) -> tuple[SourceFolder, int]:
    """See open_source."""
    path = os.path.abspath(path)
    folder = Folder(path)
    entries: list[FolderEntry] = []
    left_out = 0
    places = [""]
    while places:
        place = places.pop()
        items = folder.items(place)
        if items is None:
            raise FileProblem(f"{shown} cannot be sent as a folder.")
        found = sorted(items)
        left_out += _count(os.path.join(folder.root, place), shown) - len(found)
        for name, item in found:
            inner = f"{place}/{name}" if place else name
            if item.link is not None:
                left_out += 1
            elif item.is_folder:
                entries.append(FolderEntry(inner, is_folder=True))
                places.append(inner)
            else:
                is_executable = _is_executable(os.path.join(folder.root, inner))
                entries.append(FolderEntry(inner, False, item.size, item.changed, is_executable))
        if len(entries) > MOST_ENTRIES:
            raise too_many()
    name = os.path.basename(path)
    return SourceFolder(shown, entries, folder.open, name=name), left_out


def _count(folder: str, shown: str) -> int:
    try:
        return len(os.listdir(folder))
    except OSError as error:
        raise FileProblem(f"{shown} cannot be read: {error.strerror or error}.") from error


def _is_executable(path: str) -> bool:
    try:
        return bool(os.stat(path).st_mode & stat.S_IXUSR)
    except OSError:  # it was there a moment ago
        return False


def take_folder(
    target: str, listing: bytes, *, may_replace: bool
) -> tuple[PartialFolder, list[int]]:
    """Begin to write a folder; return it, and the places in the list of what is not taken.

    listing: as the environment says. Raises FileProblem.
    """
    entries = unpack(listing)
    without = [place for place, one in enumerate(entries) if not parts_of(one.path)]
    refused = set(without)
    taken = [one for place, one in enumerate(entries) if place not in refused]
    return PartialFolder(target, target, taken, may_replace=may_replace), without
