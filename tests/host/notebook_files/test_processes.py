"""What processes of the code's fetch and remove counts as if the notebook's own had done it."""

from __future__ import annotations

import itertools
import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from ...in_turn import Turns, turns
from ...support import running_kernel
from ..conftest import kernel_in


@pytest.fixture(scope="module")
def shared(place: Path) -> Iterator[Turns]:
    with turns(lambda: kernel_in(place)) as one:
        yield one


BEGIN = """
import multiprocessing, os, shutil
def read(name):
    with open(name) as file:
        return file.read()
"""

IN_POOL = "with multiprocessing.get_context('fork').Pool(1) as pool: print(pool.map({}, {!r}))"


def test_what_a_forked_process_fetches_is_a_copy(folder: Path) -> None:
    (folder / "data.csv").write_text("one")
    (folder / "sub").mkdir()
    (folder / "sub" / "more.csv").write_text("more")
    with running_kernel(arguments=("--AcaKernel.files_back=True",)) as kernel:
        kernel.run(BEGIN)
        cell = kernel.run(IN_POOL.format("read", ["data.csv", "sub/more.csv"]))
        assert (cell.stream("stdout"), cell.said) == ("['one', 'more']\n", "")
        assert "Written here: nothing" in kernel.run("%aca files").text
        (folder / "data.csv").write_text("edited")
        assert kernel.run("read('data.csv')").result == "'edited'"
        # In the same cell, and in the other direction.
        (folder / "data.csv").write_text("edited again")
        code = (
            # Python 3.12 warns of each fork in a process with threads, as ipykernel's is.
            "import time, warnings\nwarnings.simplefilter('ignore', DeprecationWarning)\n"
            "pid = os.fork()\nif pid == 0:\n    read('data.csv')\n    os._exit(0)\n"
            "os.waitpid(pid, 0)\nread('data.csv')"
        )
        cell = kernel.run(code)
        assert (cell.result, cell.said) == ("'edited again'", "")
    assert (folder / "data.csv").read_text() == "edited again"


def test_what_a_forked_process_removes_stays_away(corner: Path, shared: Turns) -> None:
    (corner / "one.txt").write_text("one")
    (corner / "sub").mkdir()
    (corner / "sub" / "two.txt").write_text("two")
    kernel = shared.take(f"%cd -q {corner.name}")
    kernel.run(BEGIN)
    kernel.run("os.path.exists('one.txt'), os.listdir('sub')")
    kernel.run(IN_POOL.format("os.remove", ["one.txt"]))
    kernel.run(IN_POOL.format("shutil.rmtree", ["sub"]))
    code = "os.path.exists('one.txt'), os.makedirs('sub'), os.listdir('sub'), os.listdir()"
    assert kernel.run(code).result == "(False, None, [], ['sub'])"
    # Also for the next process in this environment.
    kernel.run("os.kill(os.getpid(), 9)")
    code = f"import os; os.chdir({corner.name!r}); os.path.exists('one.txt'), os.listdir('sub')"
    assert kernel.run(code).result == "(False, [])"


def test_processes_and_threads_at_a_time_take_no_fetching_for_the_codes_work(
    corner: Path, shared: Turns
) -> None:
    (corner / "many").mkdir()
    paths = [corner / "many" / f"{number}.txt" for number in range(20)]
    end = threading.Event()

    def rewrite() -> None:
        for count, path in enumerate(itertools.cycle(paths)):
            if count % 3 == 0:
                path.unlink(missing_ok=True)
            (corner / "new").write_text(str(count))
            os.replace(corner / "new", path)
            if end.wait(0.01):
                return

    code = """
import glob, multiprocessing, os, threading, time
def work(_):
    deadline = time.monotonic() + 3
    while time.monotonic() < deadline:
        for path in glob.glob('many/*'):
            try:
                open(path).close(), os.path.getsize(path)
            except OSError:
                pass
threads = [threading.Thread(target=work, args=(None,)) for _ in range(2)]
for one in threads: one.start()
with multiprocessing.get_context('fork').Pool(3) as pool: pool.map(work, range(3))
for one in threads: one.join()
"""
    for path in paths:
        path.write_text("first")
    writer = threading.Thread(target=rewrite)
    kernel = shared.take(f"%cd -q {corner.name}")
    writer.start()
    try:
        cell = kernel.run(code)
    finally:
        end.set()
        writer.join()
    assert (cell.status, cell.text) == ("ok", "")
    found = kernel.run("{path: open(path).read() for path in glob.glob('many/*')}").result
    assert eval(str(found)) == {f"many/{path.name}": path.read_text() for path in paths}
