"""A package that uv replaces within a second, by files of the same size."""

from __future__ import annotations

import os
import py_compile
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from aca_kernel.remote.packages import distributions, installer


def lay(folder: Path, version: str) -> None:
    """Put a version of a package there, as an installer that compiles nothing does."""
    (folder / "replaced.py").write_text(f"version = {version!r}\n")
    os.utime(folder / "replaced.py", (1_700_000_000, 1_700_000_000))
    metadata = folder / f"replaced-{version}.dist-info"
    metadata.mkdir()
    (metadata / "RECORD").write_text("replaced.py,,\n")


def imported(folder: Path) -> str:
    code = "import replaced; print(replaced.version)"
    words = [sys.executable, "-c", code]
    done = subprocess.run(words, cwd=folder, capture_output=True, text=True, check=True)
    return done.stdout.strip()


def test_what_was_compiled_of_the_version_before_is_not_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(tmp_path))
    lay(tmp_path, "1.0")
    py_compile.compile(str(tmp_path / "replaced.py"))
    before = distributions.find()
    shutil.rmtree(tmp_path / "replaced-1.0.dist-info")
    lay(tmp_path, "2.0")
    assert imported(tmp_path) == "1.0"
    installer._forget_compiled(before)
    assert imported(tmp_path) == "2.0"
