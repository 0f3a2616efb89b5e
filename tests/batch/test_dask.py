"""The example for Dask of docs/batch.md, if `distributed` is installed."""

from __future__ import annotations

import itertools
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from ..support import TIMEOUT, running_pool
from .support import outputs, write_notebook

PAGE = Path(__file__).parents[2] / "docs" / "batch.md"

# Its workers come up one after the other on a busy machine.
START_SECONDS = 120


def example() -> str:
    found = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    (code,) = [one for one in found if "dask" in one]
    return str(code)


def test_two_workers_share_a_pool_and_take_turns_where_it_has_one_place(tmp_path: Path) -> None:
    pytest.importorskip("distributed")
    for name in ("a", "b", "c"):
        write_notebook(
            tmp_path / f"{name}.ipynb",
            "import time\nbegun = time.time()\ntime.sleep(0.5)",
            "print(begun, time.time())",
        )
    (tmp_path / "example.py").write_text(example())
    with running_pool(max_concurrent_sessions=1) as pool:
        done = subprocess.run(
            [sys.executable, "example.py"],
            cwd=tmp_path,
            env={**os.environ, **pool.env},
            capture_output=True,
            text=True,
            timeout=TIMEOUT + START_SECONDS,
            check=False,
        )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "['a.ipynb', 'b.ipynb', 'c.ipynb']"
    times = []
    for name in ("a", "b", "c"):
        (output,) = outputs(tmp_path / "out" / f"{name}.ipynb")[-1]
        times.append([float(word) for word in output.text.split()])
    for (_, end), (begin, _) in itertools.pairwise(sorted(times)):
        assert end <= begin
