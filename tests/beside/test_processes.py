"""What processes of the code's fetch and remove counts as if the notebook's own had done it."""

from __future__ import annotations

from pathlib import Path

import pytest

from ..support import running_kernel

BEGIN = """
import multiprocessing, os, shutil
def read(name):
    with open(name) as file:
        return file.read()
"""

IN_POOL = "with multiprocessing.get_context('fork').Pool(1) as pool: print(pool.map({}, {!r}))"


def test_what_a_forked_process_fetches_is_a_copy(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("JUPYTER_DATA_DIR", str(tmp_path / "jupyter"))
    (folder / "data.csv").write_text("one")
    (folder / "sub").mkdir()
    (folder / "sub" / "more.csv").write_text("more")
    with running_kernel(arguments=("--AcaKernel.files_back=True",)) as kernel:
        kernel.run(BEGIN)
        cell = kernel.run(IN_POOL.format("read", ["data.csv", "sub/more.csv"]))
        assert (cell.stream("stdout"), cell.stream("stderr")) == ("['one', 'more']\n", "")
        assert "Written here: nothing" in kernel.run("%aca files").text
        (folder / "data.csv").write_text("edited")
        assert kernel.run("read('data.csv')").result == "'edited'"
        # In the same cell, and in the other direction.
        (folder / "data.csv").write_text("edited again")
        code = (
            "import time\npid = os.fork()\nif pid == 0:\n    read('data.csv')\n    os._exit(0)\n"
            "os.waitpid(pid, 0)\nread('data.csv')"
        )
        cell = kernel.run(code)
        assert (cell.result, cell.stream("stderr")) == ("'edited again'", "")
    assert (folder / "data.csv").read_text() == "edited again"


def test_what_a_forked_process_removes_stays_away(folder: Path) -> None:
    (folder / "one.txt").write_text("one")
    (folder / "sub").mkdir()
    (folder / "sub" / "two.txt").write_text("two")
    with running_kernel() as kernel:
        kernel.run(BEGIN)
        kernel.run("os.path.exists('one.txt'), os.listdir('sub')")
        kernel.run(IN_POOL.format("os.remove", ["one.txt"]))
        kernel.run(IN_POOL.format("shutil.rmtree", ["sub"]))
        code = "os.path.exists('one.txt'), os.makedirs('sub'), os.listdir('sub'), os.listdir()"
        assert kernel.run(code).result == "(False, None, [], ['sub'])"
        # Also for the next process in this environment.
        kernel.run("os.kill(os.getpid(), 9)")
        code = "import os; os.path.exists('one.txt'), os.listdir('sub')"
        assert kernel.run(code).result == "(False, [])"
