"""Which files of the user's machine have come from an environment, and are as they came.

Those may be replaced by what a cell writes later; all others are the user's. It is kept beyond
the kernel, for the notebook that is run again, in a file for each folder: a line for each file
that comes, of which the last counts. Kernels of one folder add to it at the same time.
Every method blocks and may be called in any thread, one at a time.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import tempfile
from typing import Any

from jupyter_core.paths import jupyter_data_dir


class ReturnedFiles:
    """The files that have come into one folder."""

    def __init__(self, root: str) -> None:
        name = hashlib.sha256(os.fsencode(root)).hexdigest()[:24]
        self._path = os.path.join(jupyter_data_dir(), "aca-kernel", "files-back", f"{name}.jsonl")
        self._stamps: dict[str, list[int]] = {}
        self._has_noted = False
        lines: list[str] = []
        # If it cannot be read, none have come, as far as can be known.
        with contextlib.suppress(OSError, ValueError), open(self._path, encoding="ascii") as file:
            lines = file.read().splitlines()
        for line in lines:
            with contextlib.suppress(ValueError, TypeError):  # a line that was cut off
                path, stamp = json.loads(line)
                self._stamps[path] = stamp
        if len(lines) > 2 * len(self._stamps) + 100:
            self._shorten()

    def is_unchanged(self, path: str, status: os.stat_result) -> bool:
        """Tell whether a file is as it came."""
        return self._stamps.get(path) == _stamp(status)

    def note(self, path: str, status: os.stat_result) -> None:
        """A file has come. What cannot be kept is the user's for the next kernel."""
        self._stamps[path] = _stamp(status)
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
        """Leave out what does not count any more."""
        folder = os.path.dirname(self._path)
        with contextlib.suppress(OSError):
            with tempfile.NamedTemporaryFile(
                "w", encoding="ascii", dir=folder, delete=False
            ) as file:
                file.writelines(_line(path, stamp) for path, stamp in self._stamps.items())
            os.replace(file.name, self._path)


def _line(path: str, stamp: list[int]) -> str:
    return json.dumps([path, stamp]) + "\n"


def _stamp(status: os.stat_result) -> list[Any]:
    return [status.st_size, status.st_mtime_ns, status.st_ino]
