"""Names that code has shown it will open: they are fetched along with the file that it opens now.

A file that no code has asked for is not sent. What counts as asked for, once two files of the same
suffix were fetched in one cell:

- the other names of a collection that holds both: a list, a tuple or a set in a variable of who
  opens them, of the notebook, or in the text of the cell;
- what else a pattern finds that code has given to glob, if both match it;
- what else a folder holds with that suffix, if code has listed it.

The first file comes alone, and each call brings at most four times as many as came before: a loop
that ends early has fetched little for nothing.
"""

from __future__ import annotations

import fnmatch
import os
import re
import sys
from collections.abc import Iterable, Iterator
from typing import Any

from .entries import MOST_ALONG

_HERE = os.path.dirname(__file__)

# Files that come along, to each that has come before.
_GROWTH = 4

# Limits of a search: frames of who opens a file, items of a collection and of all together.
_MOST_FRAMES = 60
_MOST_ITEMS = 100_000
_MOST_ITEMS_IN_ALL = 300_000

# Listings and patterns that are remembered, the last ones.
_MOST_LISTINGS = 1000
_MOST_PATTERNS = 20

# Who lists a folder for a pattern.
_GLOBBING = frozenset({"glob", "pathlib", "pathlib._local", "pathlib._abc", "pathlib._os"})

_PATTERN = re.compile(
    r"(?P<folders>(?:(?<=/)|\A)\*\*/)|(?P<stars>\*+)|(?P<one>\?)"
    r"|(?P<set>\[!?\]?[^\]/]*\])|.",
    re.DOTALL,
)

_COLLECTIONS = (list, tuple, set, frozenset, dict)
_ITERATORS: tuple[type[Any], ...] = (type(iter([])), type(iter(())))


class ReadingAhead:
    """What code has named so far. root: the directory that stands for the notebook's folder."""

    def __init__(self, root: str) -> None:
        self._root = root
        self._listings: dict[str, list[str]] = {}
        self._patterns: dict[str, re.Pattern[str]] = {}
        # Of this cell, by suffix: the file that was fetched last, and how many have come.
        self._last: dict[str, str] = {}
        self._count: dict[str, int] = {}
        # The files of a listing that only a pattern has asked for.
        self._of_patterns: set[str] = set()

    def begin_cell(self) -> None:
        """Begin to count anew; what was listed before may be opened now."""
        self._last.clear()
        self._count.clear()

    def note_listing(self, folder: str, names: list[str], caller: str) -> None:
        """Note the files of a folder that code lists. caller: the module that does, "" for any."""
        if caller not in _GLOBBING:
            self._of_patterns.discard(folder)
        elif folder not in self._listings:
            self._of_patterns.add(folder)
        self._listings.pop(folder, None)
        self._listings[folder] = names
        while len(self._listings) > _MOST_LISTINGS:
            del self._listings[next(iter(self._listings))]

    def note_pattern(self, pattern: str) -> None:
        """Note a pattern that is given to glob, by its path below the root."""
        self._patterns.pop(pattern, None)
        self._patterns[pattern] = re.compile(_expression(pattern), re.DOTALL)
        while len(self._patterns) > _MOST_PATTERNS:
            del self._patterns[next(iter(self._patterns))]

    def note_came(self, relative: str, count: int) -> None:
        """Note how many files came along with one."""
        suffix = _suffix(relative)
        self._count[suffix] = self._count.get(suffix, 0) + count

    def others(self, relative: str) -> Iterator[str]:
        """Yield what code will open beside a file, the next ones first, and tell that it opens it.

        How many of them are to come, `most` says.
        """
        suffix = _suffix(relative)
        before, self._last[suffix] = self._last.get(suffix), relative
        self._count[suffix] = self._count.get(suffix, 0) + 1
        if before is None or before == relative:
            return iter(())
        names = self._named(before, relative) or self._listed(before, relative)
        place = names.index(relative) if relative in names else 0
        return iter(names[place + 1 :] + names[:place])

    def most(self, relative: str) -> int:
        """Return how many files may come along with one."""
        return min(MOST_ALONG, _GROWTH * self._count.get(_suffix(relative), 0))

    # -- listings --------------------------------------------------------------------

    def _listed(self, before: str, relative: str) -> list[str]:
        listings = list(self._listings.items())
        for expression in reversed(list(self._patterns.values())):
            if expression.match(before) and expression.match(relative):
                return [path for path in _paths(listings) if expression.match(path)]
        asked = [one for one in listings if one[0] not in self._of_patterns]
        folders = {os.path.dirname(before), os.path.dirname(relative)}
        if not folders <= {folder for folder, _ in asked}:
            return []
        if len(folders) == 1:
            asked = [one for one in asked if one[0] in folders]
        suffix = _suffix(relative)
        return [path for path in _paths(asked) if _suffix(path) == suffix]

    # -- collections -------------------------------------------------------------------

    def _named(self, before: str, relative: str) -> list[str]:
        """Return the files that a collection names in which both stand."""
        left = _MOST_ITEMS_IN_ALL
        for collection in _collections():
            left -= len(collection)
            if left < 0:
                break
            found = self._beginnings(collection, before, relative)
            if found is not None:
                written, folder = found
                return [
                    folder + text[len(written) :]
                    for text in map(_text, collection)
                    if text.startswith(written)
                ]
        return []

    def _beginnings(
        self, collection: Iterable[Any], before: str, relative: str
    ) -> tuple[str, str] | None:
        """Return what names in a collection begin with, and what stands for that below the root."""
        parts = relative.split("/")
        ways = [(self._root + "/", ""), ("./", ""), ("", "")]
        ways += [("", "/".join(parts[:end]) + "/") for end in range(1, len(parts))]
        texts = set(filter(None, map(_text, collection)))
        for written, folder in ways:
            if before.startswith(folder) and all(
                written + path[len(folder) :] in texts for path in (before, relative)
            ):
                return written, folder
        return None


def _collections() -> Iterator[Any]:
    """Yield collections that who opens a file can see, and those of the notebook."""
    seen: set[int] = set()
    for place in _places():
        for value in place:
            one = value
            if type(one) in _ITERATORS:
                # What it goes through; it does not go on by this.
                reduced = one.__reduce__()[1]
                one = reduced[0] if reduced else None
            if type(one) not in _COLLECTIONS or id(one) in seen:
                continue
            if 2 < len(one) <= _MOST_ITEMS:
                seen.add(id(one))
                yield list(one)


def _places() -> Iterator[list[Any]]:
    frame: Any = sys._getframe(1)  # noqa: SLF001
    main = vars(sys.modules["__main__"])
    for _ in range(_MOST_FRAMES):
        if frame is None:
            break
        if os.path.dirname(frame.f_code.co_filename) != _HERE:
            yield list(frame.f_code.co_consts)
            if frame.f_globals is not frame.f_locals:
                yield list(frame.f_locals.values())
            elif frame.f_globals is main:  # the cell
                break
        frame = frame.f_back
    yield list(main.values())


def _text(item: Any) -> str:
    """Return a name as text, "" for what is none."""
    if type(item) is str:
        return item
    return str(item) if isinstance(item, os.PathLike) and "pathlib" in type(item).__module__ else ""


def _paths(listings: list[tuple[str, list[str]]]) -> list[str]:
    return [f"{folder}/{name}" if folder else name for folder, names in listings for name in names]


def _suffix(relative: str) -> str:
    return os.path.splitext(relative)[1].lower()


def _expression(pattern: str) -> str:
    """Return the expression of a pattern in which `**` stands for any number of folders."""

    def of(found: re.Match[str]) -> str:
        if found["folders"]:
            return "(?:[^/]+/)*"
        if found["stars"]:
            return "[^/]*"
        if found["one"]:
            return "[^/]"
        if found["set"]:
            # `(?s:[abc])\Z`
            return "(?!/)" + fnmatch.translate(found["set"])[4:].rpartition(")")[0]
        return re.escape(found[0])

    return _PATTERN.sub(of, pattern) + r"\Z"
