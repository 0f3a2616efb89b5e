"""Files that come along with one that is fetched, in the same call.

One call at a time has some. A thread that could have some, too, waits for that call: its file may
come along, and if not, the next ones are chosen then. Otherwise each thread would ask for one file.
"""

from __future__ import annotations

import itertools
import os
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

from .copies import Copies, Copy
from .entries import MOST_ALONG, FileFacts

# Names that are looked at for them: most of them may be here already.
_MOST_LOOKED_AT = 10 * MOST_ALONG


class Companions:
    """Those of one mirror. last_facts: the last answer about a file, None without one."""

    def __init__(self, copies: Copies, last_facts: Callable[[str], FileFacts | None]) -> None:
        self._copies = copies
        self._last_facts = last_facts
        self.forget_other_threads()

    def forget_other_threads(self) -> None:
        """Begin anew in a forked process, which has one thread."""
        self._coming: frozenset[str] = frozenset()
        self._lock = threading.Lock()

    @contextmanager
    def chosen(
        self, relative: str, others: Iterable[str], most: Callable[[], int]
    ) -> Iterator[list[str]]:
        """Choose those of others that are to come with a file, after those of other threads.

        The file itself may have come then. most: returns how many, as it is after that wait.
        """
        others = iter(others)
        first = next(others, None)
        if first is None and relative not in self._coming:
            yield []
            return
        with self._lock:
            try:
                known = [] if first is None else [first]
                some = itertools.islice(itertools.chain(known, others), _MOST_LOOKED_AT)
                folder = os.path.dirname(relative)
                may_come = (one for one in some if one != relative and self._may_come(one, folder))
                chosen = list(itertools.islice(may_come, min(most(), MOST_ALONG)))
                self._coming = frozenset(chosen)
                yield chosen
            finally:
                self._coming = frozenset()

    def _may_come(self, path: str, folder: str) -> bool:
        """Tell whether a file is not here or out of date, was not removed, and has its folder here.

        folder: of the file that it comes with, which is made for that.
        """
        copies = self._copies
        parent = os.path.dirname(path)
        copy = copies.files.get(path)
        return (
            (copy is None or self._is_outdated(path, copy))
            and (parent == folder or os.path.isdir(copies.path_of(parent)))
            and (copy is not None or copies.stamp_of(path) is None)
            and not copies.is_removed(path)
            and copies.canonical(path) == path
        )

    def _is_outdated(self, path: str, copy: Copy) -> bool:
        """Tell whether a copy that the code has left alone is known to be of an earlier version."""
        found = self._last_facts(path)
        if found is None or found.is_folder or copy.is_of(found):
            return False
        return self._copies.is_unchanged(path)
