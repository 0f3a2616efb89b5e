"""Batches that are stopped: Ctrl-C once and twice, kill, resume; no process stays."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import pexpect
import pytest

from aca_kernel.batch import whole_run
from aca_kernel.cli import main

from ..support import eventually
from .support import (
    RUN,
    TIMEOUT,
    alive,
    environment,
    family,
    run,
    started,
    state,
    texts,
    write_notebook,
)

STUBBORN = """\
import time
while True:
    try:
        time.sleep(60)
    except KeyboardInterrupt:
        print('not yet')
"""


@contextlib.contextmanager
def on_a_terminal(folder: Path, *arguments: str):
    batch = pexpect.spawn(
        RUN[0], [*RUN[1:], *arguments], cwd=str(folder), env=environment({"TERM": "xterm"}),
        encoding="utf-8", timeout=TIMEOUT, dimensions=(24, 100),
    )  # fmt: skip
    try:
        yield batch
    finally:
        batch.close(force=True)


def test_ctrl_c_interrupts_the_remote_code_and_writes_what_is_there(tmp_path: Path) -> None:
    write_notebook(
        tmp_path / "1.ipynb",
        "print('first')",
        "import time\ntry:\n    time.sleep(600)\nfinally:\n    print('cleaned up')",
        "print('never')",
    )
    write_notebook(tmp_path / "2.ipynb", "print('not begun')")
    with on_a_terminal(tmp_path, ".", "--output-dir", "out", "--jobs", "1",
                       "--report", "r.json") as batch:  # fmt: skip
        batch.expect("1.ipynb  cell 2 of 3")
        # A bar for the batch, and lines that are drawn over.
        batch.expect(re.escape("\x1b[1A\x1b[2K") + "[^\n]*0 of 2 notebooks, ")
        processes = family(batch.pid)
        batch.sendintr()
        batch.expect("Ctrl-C again stops at once")
        batch.expect(pexpect.EOF)
        batch.close()
        assert batch.exitstatus == 130
        assert "1 interrupted, 1 not run." in batch.before
    assert eventually(lambda: not alive(processes))
    assert texts(tmp_path / "out" / "1.ipynb") == ["first\n", "cleaned up\nKeyboardInterrupt", ""]
    assert state(tmp_path / "out" / "1.ipynb") == "interrupted"
    assert not (tmp_path / "out" / "2.ipynb").exists()
    statuses = [one["status"] for one in json.loads((tmp_path / "r.json").read_text())["notebooks"]]
    assert statuses == ["interrupted", "not run"]


def test_a_second_ctrl_c_stops_at_once_and_leaves_no_process(tmp_path: Path) -> None:
    for n in range(2):
        write_notebook(tmp_path / f"{n}.ipynb", "print('first')", STUBBORN)
    with on_a_terminal(tmp_path, ".", "--output-dir", "out", "--jobs", "2") as batch:
        batch.expect("0.ipynb  cell 2 of 2")
        batch.expect("1.ipynb  cell 2 of 2")
        processes = family(batch.pid)
        batch.sendintr()
        batch.expect("Ctrl-C again stops at once")
        batch.sendintr()
        # Far less than what an interrupted cell is given.
        batch.expect(pexpect.EOF, timeout=8)
        batch.close()
        assert batch.exitstatus == 130
    assert eventually(lambda: not alive(processes))
    assert texts(tmp_path / "out" / "0.ipynb")[0] == "first\n"
    assert state(tmp_path / "out" / "0.ipynb") == "interrupted"


def test_ctrl_c_before_anything_runs_just_ends(tmp_path: Path) -> None:
    write_notebook(tmp_path / "1.ipynb", "print('first')")
    with on_a_terminal(tmp_path, ".", "--inplace") as batch:
        batch.expect("1.ipynb  starting")
        processes = family(batch.pid)
        batch.sendintr()
        batch.expect(pexpect.EOF)
        batch.close()
        assert batch.exitstatus == 130
    assert eventually(lambda: not alive(processes))
    assert texts(tmp_path / "1.ipynb") == [""]


def test_a_killed_batch_has_lost_no_finished_cell_and_resumes(tmp_path: Path) -> None:
    mark = "import os, time\nprint(os.getpid(), time.time_ns())"
    for n in range(3):
        write_notebook(tmp_path / f"{n}.ipynb", mark)
    write_notebook(tmp_path / "3.ipynb", mark, "print('second')", "time.sleep(float(SECONDS))")
    words = [".", "--output-dir", "out", "--jobs", "2", "--resume", "-p", "SECONDS", "600"]
    with started(tmp_path, *words) as batch:
        output = tmp_path / "out" / "3.ipynb"
        assert eventually(lambda: output.exists() and "second\n" in texts(output), TIMEOUT)
        done = [tmp_path / "out" / f"{n}.ipynb" for n in range(3)]
        assert eventually(lambda: all(one.exists() and state(one) == "done" for one in done))
        processes = family(batch.pid)
        batch.send_signal(signal.SIGKILL)
        batch.communicate()
    assert eventually(lambda: not alive(processes))
    assert state(output) == "running"
    before = {one: (texts(one), one.stat().st_mtime_ns) for one in done}
    again = run(tmp_path, *words, "--timeout", "2")
    assert "1 failed, 3 skipped." in again.stdout, again.stdout
    assert {one: (texts(one), one.stat().st_mtime_ns) for one in done} == before
    assert texts(output)[2] == "second\n"


def test_sigterm_stops_as_ctrl_c_does(tmp_path: Path) -> None:
    write_notebook(tmp_path / "1.ipynb", "print('first')", "import time; time.sleep(600)")
    with started(tmp_path, ".", "--inplace") as batch:
        assert eventually(lambda: texts(tmp_path / "1.ipynb")[0] == "first\n", TIMEOUT)
        processes = family(batch.pid)
        os.kill(batch.pid, signal.SIGTERM)
        out, _ = batch.communicate(timeout=TIMEOUT)
        assert "1 interrupted." in out
        assert batch.returncode == 130
        assert eventually(lambda: not alive(processes))
        assert state(tmp_path / "1.ipynb") == "interrupted"


def test_a_notebook_that_is_stopped_ahead_of_its_first_step_has_not_run(tmp_path: Path) -> None:
    for name in ("1.ipynb", "3.ipynb", "4.ipynb"):
        write_notebook(tmp_path / name)
    (tmp_path / "2.ipynb").write_text("no notebook")
    assert run(tmp_path, "1.ipynb", "--output-dir", "out").returncode == 0
    # The third one is begun when the first has been skipped; at that moment the second fails.
    done = run(
        tmp_path, ".", "--output-dir", "out", "--resume", "--fail-fast", "--jobs", "2",
        "--report", "r.json",
    )  # fmt: skip
    assert done.returncode == 1, done.stderr
    notebooks = json.loads((tmp_path / "r.json").read_text())["notebooks"]
    found = [one["status"] for one in notebooks]
    assert found == ["skipped", "failed", "not run", "not run"]


def test_ctrl_c_when_nothing_is_left_but_to_clean_up_costs_no_report(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    write_notebook(tmp_path / "1.ipynb")
    assert run(tmp_path, ".", "--output-dir", "out").returncode == 0

    @contextlib.asynccontextmanager
    async def slow_pool(*_: object) -> AsyncIterator[None]:
        yield
        os.kill(os.getpid(), signal.SIGINT)
        await asyncio.sleep(TIMEOUT)

    monkeypatch.setattr(whole_run, "local_pool", slow_pool)
    monkeypatch.chdir(tmp_path)
    words = ["run", ".", "--output-dir", "out", "--resume", "--report", "r.json"]
    assert main(words) == 130
    assert "1 skipped." in capsys.readouterr().out
    assert json.loads((tmp_path / "r.json").read_text())["totals"]["skipped"] == 1
