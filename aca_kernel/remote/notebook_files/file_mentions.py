"""Names of files in commands and in addresses of databases."""

from __future__ import annotations

import contextlib
import glob
import os
import shlex
from collections.abc import Iterable, Iterator
from typing import Any
from urllib.parse import unquote

from ..paged_files import FileProblem
from . import is_quiet
from .mirror import Mirror, Refused, text_of
from .program_files import ProgramFiles

# A command names a few files; a pattern in it may mean many.
_MOST_NAMED = 1000

# Commands that take a folder with all that is in it.
_TAKE_FOLDERS = frozenset({"cp", "mv", "rsync", "tar", "zip"})


def of_database(database: Any) -> tuple[str, str]:
    """Return the paths of an SQLite database and its log, empty for one in memory."""
    path = text_of(database)
    if path.startswith("file:"):
        path = unquote(path[5:].partition("?")[0].partition("#")[0])
        path = "/" + path.lstrip("/") if path.startswith("//") else path
    return (path, f"{path}-wal") if path and path != ":memory:" else ("", "")


def bring_named(mirror: Mirror, arguments: Iterable[Any]) -> None:
    """Fetch the files whose paths are words of a command.

    Of files that a command opens without naming them, those of `program_files` are known. A folder
    comes with its contents for commands that take all of it, and empty for others.
    """
    if is_quiet() or mirror.is_hinting:
        return
    named = list(dict.fromkeys(_words(arguments)))
    is_whole = not _TAKE_FOLDERS.isdisjoint(map(os.path.basename, named))
    paths: list[str] = []
    for word in named[:_MOST_NAMED]:
        found = sorted(glob.glob(word)) if glob.has_magic(word) else [word]
        paths += [path for path in map(mirror.inside, found[:_MOST_NAMED]) if path]
    try:
        for begin in range(0, len(paths), 50):
            mirror.look_at(paths[begin : begin + 50])
    except FileProblem:  # the command sees the files that are here
        return
    if not is_whole:
        for path, problem in mirror.bring_all(paths):
            mirror.tell_once(path, problem)
        return
    for path in paths:
        try:
            mirror.bring_tree(path)
        except (FileProblem, Refused) as error:
            mirror.tell_once(path, str(error))
    ProgramFiles(mirror, named).bring()


def _words(arguments: Iterable[Any]) -> Iterator[str]:
    for argument in arguments:
        if isinstance(argument, (list, tuple)):
            yield from _words(argument)
        elif isinstance(argument, (str, bytes, os.PathLike)):
            text = os.fsdecode(argument)
            yield text
            if not text.isidentifier():
                yield from _split(text)


def _split(text: str) -> Iterator[str]:
    lexer = shlex.shlex(text, posix=True, punctuation_chars=True)
    lexer.whitespace_split = True
    lexer.commenters = ""
    with contextlib.suppress(ValueError):  # a quote that is not closed: the words before it
        for word in lexer:
            yield word
            # --input=data.csv
            yield word.rpartition("=")[2]
