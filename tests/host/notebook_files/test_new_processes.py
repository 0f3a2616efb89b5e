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


# As Ray: another program starts the worker, and what prepares it comes there as a pickle.
RAY = """
import pickle, subprocess, sys

PROGRAM = "import pickle, sys; pickle.loads(bytes.fromhex(sys.argv[1]))(); exec(sys.argv[2])"

def init(address=None, *, runtime_env=None):
    hook = (runtime_env or {}).get("worker_process_setup_hook", print)
    def ask(code):
        words = [sys.executable, "-c", PROGRAM, pickle.dumps(hook).hex(), code]
        return subprocess.run(words, capture_output=True, text=True).stdout
    return ask
"""


@pytest.fixture
def ray(kernel: Client) -> Client:
    code = (
        "import os, sys, tempfile\nsys.path.append(top := tempfile.mkdtemp())\n"
        "os.makedirs(top + '/ray/_private')\n"
        f"open(top + '/ray/_private/worker.py', 'w').write({RAY!r})\n"
        "open(top + '/ray/__init__.py', 'w').write('from ray._private.worker import init')\n"
        "import ray"
    )
    assert kernel.run(code).status == "ok"
    return kernel


@pytest.mark.parametrize(
    ("arguments", "before"),
    [
        ("", ""),
        ("'local'", ""),
        ("runtime_env={'env_vars': {}}", ""),
        ("None, runtime_env={'worker_process_setup_hook': mine}", "mine\n"),
        ("runtime_env={'worker_process_setup_hook': 'this.s'}", "theirs\n"),
    ],
)
def test_workers_of_ray_find_files(
    ray: Client, full_folder: Path, arguments: str, before: str
) -> None:
    (full_folder / "asked.txt").write_text("there")
    ray.run(
        "import functools; mine = functools.partial(print, 'mine')\n"
        "open(top + '/this.py', 'w').write('def s(): print(\"theirs\")')\n"
        "os.environ['PYTHONPATH'] = top"
    )
    ask = f"ray.init({arguments})('print(open(\"asked.txt\").read())')"
    assert ray.run(f"print({ask}, end='')").text == f"{before}there\n"


@pytest.mark.parametrize("way", ["ray.init('192.0.2.1')", "ray.init()"])
def test_workers_of_ray_elsewhere_are_told_nothing(ray: Client, way: str) -> None:
    if way == "ray.init()":
        ray.run("os.environ['RAY_ADDRESS'] = '192.0.2.1'")
    modules = ray.run(f"print({way}('print(sorted(sys.modules))'))").text
    assert "pickle" in modules
    assert "_aca" not in modules
