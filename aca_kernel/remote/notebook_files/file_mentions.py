"""Names of files in commands and in addresses of databases."""

from __future__ import annotations

import contextlib
import glob
import itertools
import os
import re
from collections.abc import Iterable, Iterator
from typing import Any
from urllib.parse import unquote

from ..paged_files import FileProblem
from . import is_quiet, quiet
from .command_words import words_of
from .entries import FileFacts
from .mirror import Mirror, Refused, text_of
from .program_files import ProgramFiles

# A command names a few files; a pattern in it may mean many.
_MOST_NAMED = 1000

# Commands that take a folder with all that is in it; the last word of some is where that goes.
_MOVING = frozenset({"cp", "mv", "rsync"})
_PACKING = frozenset({"tar", "zip"})

# Commands that read a folder with all that is in it: always, or with the option for that.
_SEARCHING = frozenset({"rg", "ag", "ack"})
_MAY_SEARCH = frozenset({"grep", "egrep", "fgrep", "zgrep", "diff"})

# Commands that show what is in a folder. Small files come, so that they are in the list, up to so
# many bytes in all; larger ones are named beside it.
_LISTING = frozenset({"ls", "ll", "dir", "vdir"})
_LISTED_BYTES = 1_000_000
_MOST_LISTED_BYTES = 10_000_000
_MOST_TOLD = 5

# What is behind them is the folder that other words are relative to.
_ENTERING = frozenset({"cd", "pushd", "-C"})

_HERE = frozenset({".", "./"})
_RECURSIVE = re.compile(r"-[A-Za-z]*[rR][A-Za-z]*|--(?:dereference-)?recursive")


def of_database(database: Any) -> tuple[str, str]:
    """Return the paths of an SQLite database and its log, empty for one in memory."""
    path = text_of(database)
    if path.startswith("file:"):
        path = unquote(path[5:].partition("?")[0].partition("#")[0])
        path = "/" + path.lstrip("/") if path.startswith("//") else path
    return (path, f"{path}-wal") if path and path != ":memory:" else ("", "")


def bring_named(mirror: Mirror, arguments: Iterable[Any], directory: Any = None) -> None:
    """Fetch the files whose paths are words of a command. directory: its own, None for this one.

    Of files that a command opens without naming them, those of `program_files` are known. A folder
    comes with its contents for commands that take all of it, and empty for others.
    """
    if is_quiet() or mirror.is_hinting:
        return
    words = list(words_of(arguments))
    named = list(dict.fromkeys(words))
    folders = list(_entered(words, text_of(directory)))
    relative = [word for word in named if not word.startswith(("/", "-"))] if folders else []
    inner = [os.path.join(folder, word) for folder in folders for word in relative]
    paths: list[str] = []
    for word in [*named, *inner][:_MOST_NAMED]:
        found = sorted(glob.glob(word)) if glob.has_magic(word) else [word]
        paths += [path for path in map(mirror.inside, found[:_MOST_NAMED]) if path]
    known: list[tuple[str, FileFacts]] = []
    try:
        for begin in range(0, len(paths), 50):
            some = paths[begin : begin + 50]
            items = zip(some, mirror.look_at(some))  # noqa: B905 - not in Python 3.9
            known += [(path, item) for path, item in items if item is not None]
    except FileProblem:  # the command sees the files that are here
        return
    programs = {os.path.basename(word) for word in named}
    is_searching = _is_searching(programs, named)
    is_whole = is_searching or not programs.isdisjoint(_MOVING | _PACKING)
    # The last word is where things go.
    whole = named[:-1] if programs & _MOVING else named
    if is_whole and (not _HERE.isdisjoint(whole) or (is_searching and not known)):
        paths = [""]
    for path, problem in _bring_trees(mirror, paths) if is_whole else mirror.bring_all(paths):
        mirror.tell_once(path, problem)
    if programs & _LISTING:
        with contextlib.suppress(FileProblem):  # as above
            folders = [mirror.leads_to(path) for path, item in known if item.is_folder]
            if not known or not _HERE.isdisjoint(named):
                folders.append(mirror.inside(".") or "")
            _bring_listed(mirror, folders)
    ProgramFiles(mirror, [*named, *inner], folders).bring()


def _entered(words: Iterable[str], directory: str) -> Iterator[str]:
    """Yield the folders that a command is in, or may be, one after the other."""
    if directory:
        yield directory
    each = [word for word, _ in itertools.groupby(words)]
    for word, following in zip(each, each[1:]):  # noqa: B905, RUF007 - not in Python 3.9
        if word in _ENTERING:
            directory = os.path.join(directory, following)
            yield directory


def _bring_listed(mirror: Mirror, folders: Iterable[str]) -> None:
    """Bring what is to stand in the lists of some folders. Raises FileProblem."""
    room = _MOST_LISTED_BYTES
    for folder in folders:
        items = list((mirror.names(folder) or {}).items())
        coming: list[str] = []
        left: list[str] = []
        for name, item in sorted(items[:_MOST_NAMED], key=lambda one: (one[1].size, one[0])):
            path = os.path.join(folder, name)
            if item.size <= min(room, _LISTED_BYTES):
                coming.append(path)
                room -= item.size
            else:
                left.append(path)
        left += [os.path.join(folder, name) for name, _ in items[_MOST_NAMED:]]
        with quiet():
            left = [mirror.shown(one) for one in left if not os.path.lexists(mirror.path_of(one))]
        for path, problem in mirror.bring_all(coming):
            mirror.tell_once(path, problem)
        if left:
            more = f" and {len(left) - _MOST_TOLD} more" if len(left) > _MOST_TOLD else ""
            mirror.tell_once(
                f"{folder}/",
                f"Beside the notebook on your machine, and not in this list until they are opened: "
                f"{', '.join(left[:_MOST_TOLD])}{more}.",
            )


def _is_searching(programs: set[str], words: list[str]) -> bool:
    """Tell whether a command reads folders with all that is in them."""
    if programs & _SEARCHING:
        return True
    return bool(programs & _MAY_SEARCH) and any(map(_RECURSIVE.fullmatch, words))


def _bring_trees(mirror: Mirror, paths: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Bring folders with all that is in them; yield those that fail, with the reason."""
    for path in paths:
        try:
            mirror.bring_tree(path)
        except (FileProblem, Refused) as error:
            yield path, str(error)
