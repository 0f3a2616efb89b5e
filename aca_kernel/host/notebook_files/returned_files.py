"""The record of files that came from an environment and are unchanged since.

A cell may replace these; all others are the user's. The record outlives the kernel. It is a log
for each folder, with a line for each file that comes, of which the last counts. Kernels of one
folder append to it at the same time. Every method blocks and may be called in any thread, one at
a time.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import tempfile

from jupyter_core.paths import jupyter_data_dir

from ...remote.origin import stamp


class ReturnedFiles:
    """The record of one folder."""

    def __init__(self, root: str) -> None:
        name = hashlib.sha256(os.fsencode(root)).hexdigest()[:24]
        self._path = os.path.join(jupyter_data_dir(), "aca-kernel", "files-back", f"{name}.jsonl")
        self._stamps: dict[str, list[int]] = {}
        self._has_noted = False
        lines: list[str] = []
        # An unreadable log counts as an empty one.
        with contextlib.suppress(OSError, ValueError), open(self._path, encoding="ascii") as file:
            lines = file.read().splitlines()
        for line in lines:
            with contextlib.suppress(ValueError, TypeError):  # a line that was cut off
                path, found = json.loads(line)
                self._stamps[path] = found
        if len(lines) > 2 * len(self._stamps) + 100:
            self._shorten()

    def is_unchanged(self, path: str, status: os.stat_result) -> bool:
        """Tell whether a file is as it came."""
        return self._stamps.get(path) == list(stamp(status))

    def note(self, path: str, status: os.stat_result) -> None:
        """Record a file. If the log cannot be written, it is the user's for the next kernel."""
        self._stamps[path] = list(stamp(status))
        text = _line(path, self._stamps[path])
        with contextlib.suppress(OSError):
            if not self._has_noted:
                os.makedirs(os.path.dirname(self._path), mode=0o700, exist_ok=True)
                # The last line may have been cut off.
                text = "\n" + text
            with open(self._path, "a", encoding="ascii") as file:
                file.write(text)
            self._has_noted = True

    def _shorten(self) -> None:
        """Compact the log."""
        folder = os.path.dirname(self._path)
        with contextlib.suppress(OSError):
            with tempfile.NamedTemporaryFile(
                "w", encoding="ascii", dir=folder, delete=False
            ) as file:
                file.writelines(_line(path, found) for path, found in self._stamps.items())
            os.replace(file.name, self._path)


def _line(path: str, found: list[int]) -> str:
    return json.dumps([path, found]) + "\n"
