"""What checkpoints cost; rows of `python -m tests.benchmark`.

The left column is `dill.dump_session` in a cell of the same kernel, where it can do the same.
"""

from __future__ import annotations

import re
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from .expiring import notebook

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..benchmark import Bench
    from .expiring import Notebook

_CASES = {
    "an empty notebook": "pass",
    "1,000 small variables": "globals().update({f'v{n}': [n, str(n)] for n in range(1000)})",
    "a fitted model": (
        "from sklearn.ensemble import RandomForestClassifier\n"
        "from sklearn.datasets import make_classification\n"
        "model = RandomForestClassifier(50, random_state=0)"
        ".fit(*make_classification(2000, random_state=0))"
    ),
    "a 200 MB DataFrame": (
        "model = None\nimport numpy as np, pandas as pd\n"
        "df = pd.DataFrame({f'c{n}': np.random.rand(2_500_000) for n in range(10)})"
    ),
    "the same, one column changed": "df['c3'] = df['c3'] + 1",
}

_DILL = """
import dill, os, tempfile, time
_path = os.path.join(tempfile.mkdtemp(), 'session')
_started = time.perf_counter()
dill.dump_session(_path)
print(time.perf_counter() - _started, os.path.getsize(_path))
os.unlink(_path)
"""


def checkpoint(bench: Bench, row: Callable[..., None]) -> None:
    """Seconds and bytes of each case, from the cell's point of view; the restore after each."""
    arguments = ("--AcaKernel.checkpoint=on-request",)
    with tempfile.TemporaryDirectory() as folder, notebook(Path(folder), *arguments) as one:
        for name, code in _CASES.items():
            assert one.run(code).error is None
            dill, size = (float(word) for word in one.run(_DILL).text.split())
            started = time.perf_counter()
            text = one.run("%aca checkpoint").told
            seconds = time.perf_counter() - started
            row(f"checkpoint of {name}: time", "s", dill, seconds)
            row(f"checkpoint of {name}: sent", "MB", size / 1e6, _sent(text))
            one.pool.expire()
            cell = one.run("1")
            found = re.search(r"came back in ([\d.]+) s", cell.said)
            assert found is not None
            row(f"restore of {name}", "s", None, float(found.group(1)))
    _waiting(bench, row)


def _sent(text: str) -> float:
    found = re.search(r"([\d.]+) (kB|MB) of them new", text)
    assert found is not None
    return float(found.group(1)) / (1000 if found.group(2) == "kB" else 1)


def _waiting(bench: Bench, row: Callable[..., None]) -> None:
    """How long `1+1` takes while the DataFrame is being stored, and while nothing is."""
    arguments = ("--AcaKernel.checkpoint_after_seconds=0.01", "--AcaKernel.checkpoint=auto")
    with tempfile.TemporaryDirectory() as folder, notebook(Path(folder), *arguments) as one:
        one.run(_CASES["a 200 MB DataFrame"])
        time.sleep(0.5)
        busy = []
        while not one.is_stored():
            busy.append(_timed(one))
        quiet = [_timed(one) for _ in range(bench.rounds(50))]
        row("1+1 while 200 MB are stored: median", "ms", None, sorted(busy)[len(busy) // 2])
        row("1+1 while 200 MB are stored: longest", "ms", None, max(busy))
        row("1+1 while nothing is stored: median", "ms", None, sorted(quiet)[len(quiet) // 2])


def _timed(one: Notebook) -> float:
    started = time.perf_counter()
    one.kernel.run("1+1")
    return (time.perf_counter() - started) * 1000
