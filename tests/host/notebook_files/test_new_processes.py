"""Processes that begin anew find files beside the notebook."""

from __future__ import annotations

from pathlib import Path

import pytest

from ...support import Client, eventually
from .conftest import DECOYS, SECRET

STARTS = {
    "spawn": "pool = multiprocessing.get_context('spawn').Pool(1)\nask = pool.map",
    "forkserver": "pool = multiprocessing.get_context('forkserver').Pool(1)\nask = pool.map",
    "concurrent.futures": """
import concurrent.futures
pool = concurrent.futures.ProcessPoolExecutor(1, multiprocessing.get_context('spawn'))
ask = lambda function, values: list(pool.map(function, values))
""",
    "joblib": """
import joblib
def ask(function, values):
    return joblib.Parallel(2, backend='loky')(joblib.delayed(function)(one) for one in values)
""",
}


@pytest.fixture
def kernel(full_folder: Path, full_kernel: Client) -> Client:
    reading = (
        "def read(path):\n    try:\n        return open(path).read()\n"
        "    except OSError as error:\n        return type(error).__name__\n"
    )
    (full_folder / "reading.py").write_text(reading)
    assert full_kernel.run("import multiprocessing, reading").status == "ok"
    return full_kernel


@pytest.mark.parametrize("way", STARTS)
def test_workers_find_files(way: str, kernel: Client, full_folder: Path) -> None:
    first, second = (full_folder / f"{way}-{number}.txt" for number in (1, 2))
    first.write_text("one")
    second.write_text("two")
    kernel.run(STARTS[way])
    code = "ask(reading.read, ['{}', 'absent.txt'])"
    assert kernel.run(code.format(first.name)).result == "['one', 'FileNotFoundError']"
    # The worker lives on, and what it fetched is known here.
    assert kernel.run(code.format(second.name)).result == "['two', 'FileNotFoundError']"
    second.write_text("changed")
    changed = "['changed', 'FileNotFoundError']"
    assert eventually(lambda: kernel.run(code.format(second.name)).result == changed)
    assert kernel.run(f"open({first.name!r}).read()").result == "'one'"


def test_what_may_not_leave_does_not(kernel: Client) -> None:
    kernel.run(STARTS["spawn"])
    cell = kernel.run(f"print(ask(reading.read, {list(DECOYS)!r}))")
    assert cell.error is None
    assert SECRET not in cell.text


def test_what_a_worker_fetches_is_no_work_of_the_codes(kernel: Client, full_folder: Path) -> None:
    (full_folder / "fetched.txt").write_text("x")
    kernel.run(STARTS["spawn"])
    assert kernel.run("ask(reading.read, ['fetched.txt'])").result == "['x']"
    # A file that is gone there goes here, unless it were the code's.
    (full_folder / "fetched.txt").unlink()
    code = "import os; os.path.exists('fetched.txt')"
    assert eventually(lambda: kernel.run(code).result == "False")
