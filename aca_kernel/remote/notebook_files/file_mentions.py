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
from . import is_quiet, listing
from .command_words import words_of
from .entries import FileFacts
from .mirror import Mirror, Refused
from .paths import text_of
from .program_files import ProgramFiles

# A command names a few files; a pattern in it may mean many.
_MOST_NAMED = 1000

# Commands that take a folder with all that is in it; the last word of some is where that goes.
_MOVING = frozenset({"cp", "mv", "rsync"})
_PACKING = frozenset({"tar", "zip"})

# Commands that read a folder with all that is in it: always, or with the option for that.
_SEARCHING = frozenset({"rg", "ag", "ack"})
_MAY_SEARCH = frozenset({"grep", "egrep", "fgrep", "zgrep", "diff"})

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
    if (is_deep := listing.is_deep(arguments, named)) is not None:
        with contextlib.suppress(FileProblem):  # as above
            listed = [mirror.leads_to(path) for path, item in known if item.is_folder]
            if not known or not _HERE.isdisjoint(named):
                listed.append(mirror.inside(".") or "")
            listing.bring(mirror, listed, is_deep=is_deep)
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
