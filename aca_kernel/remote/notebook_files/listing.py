"""Files that stand in the lists of commands such as `ls`, `find` and `tree`.

Small ones come, so that they are in the list; of the others the names are told beside it.
"""

from __future__ import annotations

import itertools
import os
import re
from collections import deque
from collections.abc import Iterable, Iterator
from typing import Any

from . import quiet
from .entries import FileFacts
from .mirror import Mirror
from .paths import text_of

# Commands that list a folder, all folders in it with an option; and those that always list them.
_FLAT = frozenset({"ls", "ll", "dir", "vdir"})
_DEEP = frozenset({"du", "fd", "fdfind", "find", "tree"})
_ALL_LEVELS = re.compile(r"-[A-Za-z]*R[A-Za-z]*|--recursive")

# Where a command begins in a line: these are words that also mean something else.
_COMMAND = re.compile(
    r"(?:^|[;&|(`\n])\s*"
    r"(?:(?:command|do|else|env|exec|if|nice|nohup|sudo|then|time|while|xargs|\w+=\S*)\s+)*"
    r"(?:[\w./-]*/)?(\w+)(?![\w./-])"
)

# Of one file that comes, and of all that do.
_FILE_BYTES = 1_000_000
_ALL_BYTES = 10_000_000

# So many names of a list are looked at. Each folder in it is a question.
_MOST_NAMES = 1000
_MOST_TOLD = 5


def is_deep(arguments: Iterable[Any], words: Iterable[str]) -> bool | None:
    """Tell whether a command lists the folders in a folder, too; None: it lists nothing.

    arguments: of what runs it, lines and lists. words: all of theirs.
    """
    programs = set(_programs(arguments))
    if programs & _DEEP:
        return True
    return any(map(_ALL_LEVELS.fullmatch, words)) if programs & _FLAT else None


def _programs(arguments: Iterable[Any]) -> Iterator[str]:
    """Yield the names of the programs that lines, or lists of words, begin with."""
    for argument in arguments:
        if isinstance(argument, (list, tuple)):
            lines = [one for one in argument[1:] if " " in text_of(one)]
            yield from _programs([*argument[:1], *lines])
        elif isinstance(argument, (str, bytes, os.PathLike)):
            yield from _COMMAND.findall(text_of(argument))


def bring(mirror: Mirror, folders: Iterable[str], *, is_deep: bool) -> None:
    """Bring what is to stand in the lists of some folders. Raises FileProblem."""
    room = _ALL_BYTES
    for folder in folders:
        items = _deep(mirror, folder) if is_deep else _flat(mirror, folder)
        found = list(itertools.islice(items, _MOST_NAMES))
        coming: list[str] = []
        left: list[str] = []
        for path, item in sorted(found, key=lambda one: (one[1].size, one[0])):
            if item.size <= min(room, _FILE_BYTES):
                coming.append(path)
                room -= item.size
            else:
                left.append(path)
        left += [path for path, _ in items]
        with quiet():
            absent = [one for one in left if not os.path.lexists(mirror.path_of(one))]
        for path, problem in mirror.bring_all(coming):
            mirror.tell_once(path, problem)
        if absent:
            names = [mirror.paths.shown(one) for one in absent]
            more = f" and {len(names) - _MOST_TOLD} more" if len(names) > _MOST_TOLD else ""
            mirror.tell_once(
                f"{folder}/",
                f"Beside the notebook on your machine, and not in this list until they are opened: "
                f"{', '.join(names[:_MOST_TOLD])}{more}.",
            )


def _flat(mirror: Mirror, folder: str) -> Iterator[tuple[str, FileFacts]]:
    for name, item in (mirror.names(folder) or {}).items():
        yield os.path.join(folder, name), item


def _deep(mirror: Mirror, folder: str) -> Iterator[tuple[str, FileFacts]]:
    """Yield what is in a folder, then what is in the folders in it, but not behind symlinks.

    Behind so many names no other folder is looked into.
    """
    waiting, seen = deque([folder]), 0
    while waiting and seen < _MOST_NAMES:
        for path, item in _flat(mirror, waiting.popleft()):
            seen += 1
            yield path, item
            if item.is_folder and item.link is None:
                waiting.append(path)
