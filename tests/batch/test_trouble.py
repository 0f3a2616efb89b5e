"""Batches on pools that misbehave: exact results, and nothing runs that should not."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

import psutil
import pytest

from ..support import TIMEOUT as BOUND
from ..support import eventually, running_kernel, running_pool
from .support import (
    OTHER_WORDS,
    ahead,
    alive,
    family,
    kernels,
    run,
    started,
    texts,
    write_notebook,
)


def report(folder: Path) -> dict[str, dict]:
    return {one["name"]: one for one in json.loads((folder / "r.json").read_text())["notebooks"]}


def test_a_notebook_whose_environment_is_killed_begins_anew(tmp_path: Path) -> None:
    runs, gate = tmp_path / "runs", tmp_path / "gate"
    code = f"""\
import os, time
open({str(runs)!r}, 'a').write('x')
while not os.path.exists({str(gate)!r}): time.sleep(0.05)
"""
    write_notebook(tmp_path / "x.ipynb", "x = 20", code, "print(x + 1)")
    words = ("x.ipynb", "--inplace", "--report", "r.json")
    with (
        running_pool(isolation="process") as pool,
        started(tmp_path, *words, env=pool.env) as batch,
    ):
        assert eventually(lambda: runs.exists() and runs.read_text() == "x", BOUND)
        pool.kill_environments()
        assert eventually(lambda: runs.read_text() == "xx", BOUND)
        gate.touch()
        out, _ = batch.communicate(timeout=BOUND)
    assert batch.returncode == 0, out
    assert texts(tmp_path / "x.ipynb") == ["", "", "21\n"]
    assert report(tmp_path)["x.ipynb"]["attempts"] == 2
    assert "It is restarted." in out


# Lets a batch wait between its first cell and the next.
_WAIT_BETWEEN = """
import asyncio, os, sys
if "run" in sys.orig_argv:
    from nbclient import NotebookClient
    execute = NotebookClient.async_execute_cell

    async def execute_and_wait(self, cell, cell_index, *arguments):
        executed = await execute(self, cell, cell_index, *arguments)
        open(os.environ["ENDED"], "w").close()
        while cell_index == 0 and not os.path.exists(os.environ["GATE"]):
            await asyncio.sleep(0.05)
        return executed

    NotebookClient.async_execute_cell = execute_and_wait
"""


@pytest.mark.parametrize("in_other_words", [False, True])
def test_an_environment_that_is_lost_between_two_cells_is_noticed(
    tmp_path: Path, in_other_words: bool
) -> None:
    runs, ended, gate = tmp_path / "runs", tmp_path / "ended", tmp_path / "gate"
    path = write_notebook(
        tmp_path / "x.ipynb", f"x = 20; open({str(runs)!r}, 'a').write('x');", "print('x' in dir())"
    )
    env = ahead(tmp_path, _WAIT_BETWEEN, *([OTHER_WORDS] if in_other_words else []))
    env |= {"ENDED": str(ended), "GATE": str(gate)}
    # With --allow-errors nothing would stop it from going on in an empty environment.
    words = ("x.ipynb", "--inplace", "--allow-errors", "--report", "r.json")
    with (
        running_pool(isolation="process") as pool,
        started(tmp_path, *words, env=pool.env | env) as batch,
    ):
        assert eventually(ended.exists, BOUND)
        pool.kill_environments()
        gate.touch()
        out, _ = batch.communicate(timeout=BOUND)
    assert batch.returncode == 0, out
    assert texts(path) == ["", "True\n"]
    assert runs.read_text() == "xx"
    assert report(tmp_path)["x.ipynb"]["attempts"] == 2
    assert "The session environment, or the process in it, ended between two cells." in out


def test_it_begins_anew_as_often_as_retries_say_and_code_that_fails_is_never_run_again(
    tmp_path: Path,
) -> None:
    write_notebook(
        tmp_path / "x.ipynb", "print('begun')", "import os; os.kill(os.getpid(), 9)", "print('no')"
    )
    runs = tmp_path / "runs"
    code = f"open({str(runs)!r}, 'a').write('x')\nclass EnvironmentGone(Exception): pass\n"
    write_notebook(tmp_path / "y.ipynb", code + "raise EnvironmentGone('by name only')")
    with running_pool(isolation="process") as pool:
        done = run(tmp_path, ".", "--inplace", "--retries", "1", "--report", "r.json",
                   env=pool.env)  # fmt: skip
    assert done.returncode == 1
    assert "RemoteKernelDied: The remote kernel was killed (SIGKILL)" in done.stdout
    assert "1 restarted, because environments ended under them." in done.stdout
    assert report(tmp_path)["x.ipynb"]["attempts"] == 2
    assert texts(tmp_path / "x.ipynb") == ["begun\n", "RemoteKernelDied", ""]
    assert "EnvironmentGone: by name only" in done.stdout
    assert report(tmp_path)["y.ipynb"]["attempts"] == 1
    assert runs.read_text() == "x"


@pytest.mark.parametrize("kernel", ["aca", "python3"])
def test_a_notebook_that_ends_its_own_process_has_failed_and_is_not_run_again(
    tmp_path: Path, kernel: str
) -> None:
    runs = tmp_path / "runs"
    ways = {"zero": "os._exit(0)", "three": "os._exit(3)", "quit": "quit()"}
    for name, way in ways.items():
        mark = f"import os\nprint(1)\nopen({str(runs)!r}, 'a').write('x')\n"
        write_notebook(tmp_path / f"{name}.ipynb", mark + way, "# remark", "print('no')")
    # What nothing follows is nobody's trouble.
    write_notebook(tmp_path / "last.ipynb", "print(1)", "quit()", "")
    words = (".", "--inplace", "--kernel", kernel, "--jobs", "2", "--report", "r.json")
    with running_pool(isolation="process") as pool:
        done = run(tmp_path, *words, env=pool.env)
    found = report(tmp_path)
    assert {one["attempts"] for one in found.values()} == {1}, done.stderr
    assert runs.read_text() == "xxx"
    assert "Traceback" not in done.stderr
    assert found["last.ipynb"]["status"] == "done"
    died = {"aca": "RemoteKernelDied", "python3": "DeadKernelError"}[kernel]
    for name, status in {"zero": 0, "three": 3}.items():
        (error,) = found[f"{name}.ipynb"]["errors"]
        assert (error["cell"], error["ename"]) == (1, died)
        assert f"ended with exit status {status}" in error["evalue"]
        assert died in texts(tmp_path / f"{name}.ipynb")[0]
    (error,) = found["quit.ipynb"]["errors"]
    assert (error["cell"], error["ename"]) == (1, "KernelEnded")
    assert texts(tmp_path / "quit.ipynb")[2] == ""


def test_how_the_remote_kernel_ended_is_told_by_no_words(tmp_path: Path) -> None:
    for name, way in {"exits": "os._exit(3)", "killed": "os.kill(os.getpid(), 9)"}.items():
        write_notebook(tmp_path / f"{name}.ipynb", "print(1)", f"import os; {way}", "1")
    words = (".", "--inplace", "--retries", "1", "--report", "r.json")
    with running_pool(isolation="process") as pool:
        run(tmp_path, *words, env=pool.env | ahead(tmp_path, OTHER_WORDS))
    found = report(tmp_path)
    assert {name: one["attempts"] for name, one in found.items()} == {
        "exits.ipynb": 1,
        "killed.ipynb": 2,
    }
    for one in found.values():
        assert "hat aufgehört" in one["errors"][0]["evalue"]


@pytest.mark.parametrize("limit", [[], ["--timeout", "60"]], ids=["no limit", "a limit"])
def test_a_cell_that_is_said_to_raise_may_end_its_process(tmp_path: Path, limit: list[str]) -> None:
    runs = tmp_path / "runs"
    ways = {
        "exit": "os._exit(3)",
        "killed": "os.kill(os.getpid(), 9)",
        "raised": "raise SystemExit(3)",
    }
    after = "print('x' in globals(), open('kept.txt').read())"
    for name, way in ways.items():
        code = f"import os\nopen({str(runs)!r}, 'a').write('x')\nopen('kept.txt', 'w').write('it')"
        write_notebook(
            tmp_path / f"{name}.ipynb", f"x = 1\n{code};", (way, "raises-exception"), after
        )
    words = (".", "--inplace", "--jobs", "3", *limit, "--report", "r.json")
    with running_pool(isolation="process") as pool:
        done = run(tmp_path, *words, env=pool.env)
    assert done.returncode == 0, done.stdout + done.stderr
    # None has begun anew.
    assert runs.read_text() == "xxx"
    for one in report(tmp_path).values():
        assert (one["status"], one["errors"]) == ("done", [])
        assert (one["attempts"], one["cells_run"]) == (1, 3)
    shown = {name: texts(tmp_path / f"{name}.ipynb")[1:] for name in ways}
    assert shown["exit"] == shown["killed"] == ["RemoteKernelDied", "False it\n"]
    # ipykernel says more about it, on stderr.
    assert "SystemExit" in shown["raised"][0]
    assert shown["raised"][1] == "True it\n"


def test_a_cell_that_is_said_to_raise_may_exceed_its_limit(tmp_path: Path) -> None:
    path = write_notebook(
        tmp_path / "x.ipynb",
        "import time",
        ("time.sleep(600)", "raises-exception"),
        "print('went on')",
    )
    done = run(tmp_path, "x.ipynb", "--inplace", "--timeout", "1", "--report", "r.json")
    assert done.returncode == 0, done.stdout + done.stderr
    assert report(tmp_path)["x.ipynb"]["errors"] == []
    assert texts(path) == ["", "KeyboardInterruptCellTimeoutError", "went on\n"]


def test_a_local_kernel_that_is_killed_is_replaced(tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    path = write_notebook(
        tmp_path / "x.ipynb",
        "print('begun')",
        f"import os, time\nwhile not os.path.exists({str(gate)!r}): time.sleep(0.05)",
        kernel="python3",
    )
    with started(
        tmp_path, "x.ipynb", "--inplace", "--kernel", "python3", "--report", "r.json"
    ) as batch:
        assert eventually(lambda: texts(path)[0] == "begun\n", BOUND)
        (kernel,) = kernels(family(batch.pid))
        kernel.kill()
        gate.touch()
        out, _ = batch.communicate(timeout=BOUND)
        assert batch.returncode == 0, out
        assert report(tmp_path)["x.ipynb"]["attempts"] == 2


# An ipykernel that ends in its first so many starts as if one of its ports were taken.
_SHAKY = """
import sys
starts, failing = sys.argv[1:3]
del sys.argv[1:3]
with open(starts, "a+") as file:
    file.write("x")
    file.seek(0)
    if len(file.read()) <= int(failing):
        sys.exit("Address already in use")
from ipykernel.kernelapp import launch_new_instance
launch_new_instance()
"""


@pytest.mark.parametrize("failing", [1, 2])
def test_a_kernel_process_that_does_not_start_is_started_once_more(
    tmp_path: Path, failing: int
) -> None:
    starts, folder = tmp_path / "starts", tmp_path / "share" / "kernels" / "shaky"
    folder.mkdir(parents=True)
    argv = [sys.executable, "-c", _SHAKY, str(starts), str(failing), "-f", "{connection_file}"]
    (folder / "kernel.json").write_text(json.dumps({"argv": argv, "language": "python"}))
    path = write_notebook(tmp_path / "x.ipynb", "print(1)")
    words = ("x.ipynb", "--inplace", "--kernel", "shaky", "--report", "r.json")
    done = run(tmp_path, *words, env={"JUPYTER_PATH": str(tmp_path / "share")})
    assert starts.read_text() == "xx"
    assert "x.ipynb: The kernel did not start. It is started again.\n" in done.stderr
    found = report(tmp_path)["x.ipynb"]
    assert found["attempts"] == 1
    if failing == 1:
        assert (done.returncode, found["status"], texts(path)) == (0, "done", ["1\n"])
    else:
        assert (done.returncode, found["status"]) == (1, "failed")
        (error,) = found["errors"]
        assert error["ename"] == "KernelNotStarted"
        assert error["evalue"].endswith("(Address already in use)")


def test_the_wait_for_a_place_is_no_time_of_a_cell(tmp_path: Path) -> None:
    path = write_notebook(tmp_path / "x.ipynb", "print('ran')")
    with running_pool(max_concurrent_sessions=1) as pool, running_kernel(pool.env) as holder:
        holder.run("1")
        words = ("x.ipynb", "--inplace", "--timeout", "3")
        with started(tmp_path, *words, env=pool.env) as batch:
            assert batch.stdout is not None
            assert "The session pool is full" in batch.stdout.readline()
            time.sleep(3.5)
            holder.manager.shutdown_kernel()
            out, _ = batch.communicate(timeout=BOUND)
    assert batch.returncode == 0, out
    assert texts(path) == ["ran\n"]


# Notes how much of long texts the batch holds each time that it has written a notebook. What waits
# for Python's collector counts as held. One thread at a time: two would go through each other's
# lists.
_NOTE_HELD = """
import gc, os, sys, threading
gc.disable()
replace, lock = os.replace, threading.Lock()

def noting(source, target, **options):
    replace(source, target, **options)
    if str(target).endswith(".ipynb"):
        with lock:
            held = {id(one): sys.getsizeof(one) for one in gc.get_referents(*gc.get_objects())
                    if isinstance(one, (str, bytes, bytearray, memoryview))}
            with open(os.environ["HELD"], "a") as file:
                print(sum(size for size in held.values() if size > 1 << 20), file=file)

os.replace = noting
"""


@pytest.mark.timeout(600)
def test_a_batch_keeps_no_outputs_and_has_no_more_kernels_than_jobs(tmp_path: Path) -> None:
    # ipykernel's own kernels: what is looked at is the batch, and they start soonest.
    for n in range(14):
        write_notebook(tmp_path / f"{n:02}.ipynb", "print('x' * 8_000_000)", "1", kernel="python3")
    words = (".", "--output-dir", "out", "--jobs", "2", "--kernel", "python3")
    env = ahead(tmp_path, _NOTE_HELD) | {"HELD": str(tmp_path / "held")}
    with started(tmp_path, *words, env=env) as batch:
        process = psutil.Process(batch.pid)
        most = 0

        def look() -> bool:
            nonlocal most
            most = max(most, len(alive(kernels(process.children()))))
            return batch.poll() is not None

        assert eventually(look, 500)
        out, _ = batch.communicate()
    assert batch.returncode == 0, out
    # One that is ending may overlap with the next.
    assert 1 <= most <= 2
    held = [int(line) for line in (tmp_path / "held").read_text().split()]
    assert len(held) >= 14
    # At times two notebooks are held, as their outputs, as messages and as texts of files; if
    # outputs were kept, it would always be 8 MB more with each.
    assert min(held[-6:]) < 40 << 20, held
