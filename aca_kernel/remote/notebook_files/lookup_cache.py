"""Cached answers about files on the user's machine.

An answer is fresh for a second in the same cell. After several questions about a folder it is
listed instead.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

from ..asking import HostClient
from . import quiet
from .entries import FileFacts

# How long an answer is fresh, in the same cell.
FRESH_SECONDS = 1.0

# Questions about a folder in one cell before it is listed.
_QUESTIONS_BEFORE_LIST = 8

# A folder with so many names is listed at the first question about a module in it.
_FEW_NAMES = 500


class LookupCache:
    """Questions about files, and cached answers.

    asking: connects to the kernel. on_list: called with a folder's listing, None if it is no
    folder. is_listing: whether folders may be listed.
    """

    def __init__(
        self,
        asking: Callable[[], AbstractContextManager[HostClient]],
        on_list: Callable[[str, dict[str, FileFacts] | None], None],
        *,
        is_listing: bool,
    ) -> None:
        self._asking = asking
        self._on_list = on_list
        self._is_listing = is_listing
        self._cell = 0
        self._found: dict[str, tuple[int, float, FileFacts | None]] = {}
        self._lists: dict[str, tuple[int, float, dict[str, FileFacts] | None]] = {}
        self._questions: dict[str, int] = {}
        # Folders that are not listed for a module.
        self._unlisted: set[str] = set()

    def forget(self) -> None:
        """Drop all answers, since a cell begins."""
        self._cell += 1
        for known in (self._found, self._lists, self._questions):
            known.clear()

    def look_at(self, paths: list[str]) -> list[FileFacts | None]:
        """Return facts about files, with one question for all that are unknown.

        Raises FileProblem: there is no answer.
        """
        unknown = [path for path in paths if not self.knows(path)]
        if unknown:
            with quiet(), self._asking() as kernel:
                answer = kernel.ask("files_look", paths=unknown).head["found"]
            for path, row in zip(unknown, answer):  # noqa: B905 - not in Python 3.9
                self.note(path, None if row is None else FileFacts(*row))
        return [self.item(path) for path in paths]

    def knows(self, relative: str) -> bool:
        """Tell whether there is a fresh answer; list the folder if it was asked about often."""
        if not relative or self._is_fresh(self._found.get(relative)):
            return True
        folder = os.path.dirname(relative)
        if self._is_fresh(self._lists.get(folder)):
            return True
        asked = self._questions[folder] = self._questions.get(folder, 0) + 1
        if asked <= _QUESTIONS_BEFORE_LIST or not self._is_listing:
            return False
        self.names(folder)
        return True

    def item(self, relative: str) -> FileFacts | None:
        """Return the last answer."""
        if not relative:
            return FileFacts(True, 0, 0)
        folder, name = os.path.split(relative)
        listed, found = self._lists.get(folder), self._found.get(relative)
        if listed is not None and (found is None or listed[:2] >= found[:2]):
            return (listed[2] or {}).get(name)
        return found[2] if found is not None else None

    def note(self, relative: str, found: FileFacts | None) -> None:
        """Cache an answer."""
        self._found[relative] = self._cell, time.monotonic(), found

    def _is_fresh(self, known: Any) -> bool:
        return (
            known is not None
            and known[0] == self._cell
            and time.monotonic() - known[1] < FRESH_SECONDS
        )

    def names(self, relative: str) -> dict[str, FileFacts] | None:
        """Return the listing of a folder; None: it is none. Raises FileProblem."""
        known = self._lists.get(relative)
        if known is not None and self._is_fresh(known):
            return known[2]
        return self._list(relative)

    def few_names(self, relative: str) -> dict[str, FileFacts] | None:
        """As `names`, for who looks for a module; None also: the kernel wants to be asked for it.

        It wants so if there are many names, or if the user is to be told of one that is withheld.
        """
        if not self._is_listing or relative in self._unlisted:
            return None
        if self._is_fresh(self._lists.get(relative)):
            return self.names(relative)
        return self._list(relative, most=_FEW_NAMES)

    def _list(self, relative: str, **limit: int) -> dict[str, FileFacts] | None:
        with quiet(), self._asking() as kernel:
            answer = kernel.ask("files_list", path=relative, **limit)
        if answer.head.get("is_unlisted"):
            self._unlisted.add(relative)
            return None
        found = None
        if answer.head["is_folder"]:
            rows = json.loads(answer.parts[0])
            found = {name: FileFacts(*row) for name, row in rows.items()}
        self._lists[relative] = self._cell, time.monotonic(), found
        self._on_list(relative, found)
        return found
