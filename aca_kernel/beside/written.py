"""Which files of the user's machine have come from an environment, and are as they came.

Those may be replaced by what a cell writes later; all others are the user's. It is kept beyond
the kernel, for the notebook that is run again, in a file for each folder.
Every method blocks and may be called in any thread, one at a time.
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from typing import Any

from jupyter_core.paths import jupyter_data_dir


class Written:
    """The files that have come into one folder."""

    def __init__(self, root: str) -> None:
        name = hashlib.sha256(os.fsencode(root)).hexdigest()[:24]
        self._path = os.path.join(jupyter_data_dir(), "aca-kernel", "files-back", f"{name}.json")
        self._stamps: dict[str, list[int]] = {}
        try:
            with open(self._path, encoding="utf-8") as file:
                stamps = json.load(file)
        except (OSError, ValueError):  # none have come, as far as can be known
            stamps = {}
        if isinstance(stamps, dict):
            self._stamps = stamps

    def is_unchanged(self, path: str, status: os.stat_result) -> bool:
        """Tell whether a file is as it came."""
        return self._stamps.get(path) == _stamp(status)

    def note(self, path: str, status: os.stat_result) -> None:
        """A file has come. What cannot be kept is the user's for the next kernel."""
        self._stamps[path] = _stamp(status)
        folder = os.path.dirname(self._path)
        try:
            os.makedirs(folder, mode=0o700, exist_ok=True)
            with tempfile.NamedTemporaryFile(
                "w", encoding="utf-8", dir=folder, delete=False
            ) as file:
                json.dump(self._stamps, file)
            os.replace(file.name, self._path)
        except OSError:
            return


def _stamp(status: os.stat_result) -> list[Any]:
    return [status.st_size, status.st_mtime_ns, status.st_ino]
