"""Cells run in IPython shells (shells.py), for tests; with save and restore in between."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

SHELLS = Path(__file__).parent / "shells.py"


def run(cells: list[str], folder: Path | None = None, **limits: Any) -> list[dict[str, Any]]:
    cwd = tempfile.mkdtemp(dir=folder)
    done = subprocess.run(
        [sys.executable, str(SHELLS)],
        input=json.dumps({"cells": cells, "folder": str(folder or ""), "limits": limits}),
        stdout=subprocess.PIPE,
        text=True,
        check=True,
        cwd=cwd,
        timeout=170,
    )
    return list(json.loads(done.stdout))


def shown(cells: list[dict[str, Any]]) -> list[tuple[Any, ...]]:
    return [
        (re.sub("0x[0-9a-f]+", "0x", cell["text"]), cell["images"], cell["error"]) for cell in cells
    ]


def missing(cell: dict[str, Any]) -> dict[str, str]:
    return dict(cell["report"]["missing"])
