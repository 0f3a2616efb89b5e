"""Facts about files beside the notebook that came along with a cell, ahead of its question.

The kernel reads the names in the `!` lines of a cell's text. A question about nothing else is
answered here, without a round trip. Any other goes to the kernel.
"""

from __future__ import annotations

import time
from typing import Any

from .wire import Record

# The remote kernel takes an answer for fresh for as long again (notebook_files/lookup_cache.py).
_FRESH_SECONDS = 1.0


class FactsAhead:
    """Those of the last cell that had some."""

    def __init__(self) -> None:
        self._came = 0.0
        self._found: dict[str, Any] = {}

    def take(self, record: Record) -> None:
        """Take what came along."""
        self._came = time.monotonic()
        self._found = dict(record.head["found"])

    def forget(self) -> None:
        """A cell has ended: the next one asks anew."""
        self._found = {}

    def answer(self, call: Record) -> Record | None:
        """Return the answer to a call, None where it is the kernel's to give."""
        head = call.head
        if not self._found or head.get("op") != "files_look":
            return None
        paths = head.get("paths")
        if not isinstance(paths, list) or time.monotonic() - self._came > _FRESH_SECONDS:
            return None
        if not all(isinstance(path, str) and path in self._found for path in paths):
            return None
        found = [self._found[path] for path in paths]
        return Record({"kind": "answer", "id": head.get("id"), "found": found})
