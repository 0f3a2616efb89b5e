"""What the remote kernel was like before its first cell: a checkpoint holds the difference.

Standard library only.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
from dataclasses import dataclass

# A working directory with more files than this at the start is not ours to look through.
_MOST_FILES = 5000

# What identifies a file's content without reading it: size, time of change, inode.
Stamp = tuple[int, int, int]


@dataclass(frozen=True)
class Origin:
    """The process at its start. files: those in the working directory, by their path."""

    directory: str
    environ: dict[str, str]
    path: list[str]
    files: dict[str, Stamp]


def remember(path: str = "") -> Origin:
    """Take down what the process is like now.

    path: of a file that outlives the process. After its death there is another one in the same
    directory, where the notebook's files are by then, and must not pass for what was there before.
    """
    directory = os.getcwd()
    files = _read(path) if path else None
    if files is None:
        files = _files(directory)
        if path:
            # The disk may be full: then files of before a death are not stored after it.
            with contextlib.suppress(OSError):
                write(path, files)
    return Origin(directory, dict(os.environ), list(sys.path), files)


def write(path: str, files: dict[str, Stamp]) -> None:
    """Write what there was, for the next process. Raises OSError."""
    with open(path, "w", encoding="ascii") as file:
        json.dump(files, file)


def _read(path: str) -> dict[str, Stamp] | None:
    try:
        with open(path, encoding="ascii") as file:
            return {name: (one[0], one[1], one[2]) for name, one in json.load(file).items()}
    except (OSError, ValueError):  # there is none, or not all of it
        return None


def stamp(status: os.stat_result) -> Stamp:
    """Return what changes with a file's content."""
    return status.st_size, status.st_mtime_ns, status.st_ino


def _files(directory: str) -> dict[str, Stamp]:
    found: dict[str, Stamp] = {}
    for folder, _, names in os.walk(directory):
        for name in names:
            path = os.path.join(folder, name)
            try:
                found[path] = stamp(os.lstat(path))
            except OSError:  # it was there a moment ago
                continue
        if len(found) > _MOST_FILES:
            break
    return found
