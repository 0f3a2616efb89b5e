"""The state of the remote kernel before its first cell; a checkpoint holds the difference."""

from __future__ import annotations

import contextlib
import json
import os
import sys
from dataclasses import dataclass

# The search of the working directory ends at this number.
_MOST_FILES = 5000

# Size, time of change and inode: they identify a file's content.
Stamp = tuple[int, int, int]


@dataclass(frozen=True)
class Origin:
    """The process at its start. files: of the working directory, by path."""

    directory: str
    environ: dict[str, str]
    path: list[str]
    files: dict[str, Stamp]


def remember(path: str = "") -> Origin:
    """Record the process as it is now.

    path: a file that outlives the process. The next remote kernel starts in the same directory and
    takes the files from it: by then the notebook's own are there.
    """
    directory = os.getcwd()
    files = _read(path) if path else None
    if files is None:
        files = _files(directory)
        if path:
            # If the disk is full, files of before a death are not stored after it.
            with contextlib.suppress(OSError):
                write(path, files)
    return Origin(directory, dict(os.environ), list(sys.path), files)


def write(path: str, files: dict[str, Stamp]) -> None:
    """Write the stamps for the next process. Raises OSError."""
    with open(path, "w", encoding="ascii") as file:
        json.dump(files, file)


def _read(path: str) -> dict[str, Stamp] | None:
    try:
        with open(path, encoding="ascii") as file:
            return {name: (one[0], one[1], one[2]) for name, one in json.load(file).items()}
    except (OSError, ValueError):  # missing, or incomplete
        return None


def stamp(status: os.stat_result) -> Stamp:
    """Return the stamp of a file, which changes with its content."""
    return status.st_size, status.st_mtime_ns, status.st_ino


def _files(directory: str) -> dict[str, Stamp]:
    found: dict[str, Stamp] = {}
    for folder, _, names in os.walk(directory):
        for name in names:
            path = os.path.join(folder, name)
            try:
                found[path] = stamp(os.lstat(path))
            except OSError:  # removed meanwhile
                continue
        if len(found) > _MOST_FILES:
            break
    return found
