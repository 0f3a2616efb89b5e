"""Cells run in IPython shells (shells.py), for tests; with save and restore in between."""

from __future__ import annotations

import json
import re
import select
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

SHELLS = Path(__file__).parent / "shells.py"


# More than any of them takes, and less than pytest's own bound.
_SECONDS = 170.0


class Shells:
    """The process that shells are forked off: started when it is needed, and again if it hung."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[str] | None = None

    def ask(self, asked: dict[str, Any]) -> list[dict[str, Any]]:
        if self._process is None:
            self._process = subprocess.Popen(
                [sys.executable, str(SHELLS)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(asked) + "\n")
        self._process.stdin.flush()
        if not select.select([self._process.stdout], [], [], _SECONDS)[0]:
            self.close()
            raise TimeoutError
        return list(json.loads(self._process.stdout.readline()))

    def close(self) -> None:
        if self._process is not None:
            with self._process:
                self._process.kill()
            self._process = None


shells = Shells()


def run(cells: list[str], folder: Path | None = None, **limits: Any) -> list[dict[str, Any]]:
    cwd = tempfile.mkdtemp(dir=folder)
    return shells.ask({"cells": cells, "folder": str(folder or ""), "cwd": cwd, "limits": limits})


def shown(cells: list[dict[str, Any]]) -> list[tuple[Any, ...]]:
    return [
        (re.sub("0x[0-9a-f]+", "0x", cell["text"]), cell["images"], cell["error"]) for cell in cells
    ]


def missing(cell: dict[str, Any]) -> dict[str, str]:
    return dict(cell["report"]["missing"])


def come_back(folder: Path, before: str, after: str, **limits: Any) -> dict[str, Any]:
    """Run a cell, save, restore, and run another; return what that one showed."""
    result = run([before, after], folder, **limits)
    assert result[0]["error"] == ""
    return result[1]


def same_with_restores(folder: Path, notebook: str) -> None:
    """Run a notebook with a restore before each of its cells; it behaves as without."""
    cells = notebook.strip("\n").split("\n# %%\n")
    restored = run(cells, folder)
    for cell in restored[1:]:
        assert missing(cell) == {}, missing(cell)
    assert shown(restored) == shown(run(cells))
    assert not any(error for _, _, error in shown(restored)), shown(restored)
