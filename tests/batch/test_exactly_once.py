"""What an environment's end takes with it does not run again behind the batch's back."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ..support import eventually, running_pool
from .support import TIMEOUT, started, write_notebook

WAIT = """\
import os, time
open({runs!r}, 'a').write('x')
while not os.path.exists({gate!r}): time.sleep(0.05)
"""


@pytest.mark.parametrize("words", [(), ("--kernel-processes",)])
@pytest.mark.parametrize("ahead", [[], ["x = 20"]])
def test_a_cell_of_the_first_call_that_is_lost_is_not_run_again_without_a_word(
    tmp_path: Path, words: tuple[str, ...], ahead: list[str]
) -> None:
    runs, gate = tmp_path / "runs", tmp_path / "gate"
    write_notebook(tmp_path / "x.ipynb", *ahead, WAIT.format(runs=str(runs), gate=str(gate)))
    options = ("x.ipynb", "--inplace", "--retries", "0", "--report", "r.json", *words)
    with (
        running_pool(isolation="process") as pool,
        started(tmp_path, *options, env=pool.env) as batch,
    ):
        assert eventually(lambda: runs.exists() and runs.read_text() == "x", TIMEOUT)
        pool.kill_environments()
        gate.touch()
        out, _ = batch.communicate(timeout=TIMEOUT)
    assert batch.returncode == 1, out
    assert runs.read_text() == "x"
    (one,) = json.loads((tmp_path / "r.json").read_text())["notebooks"]
    assert one["attempts"] == 1
    # Its processes end one after the other: one may live to tell of another's end.
    assert one["errors"][0]["ename"] in ("EnvironmentGone", "RemoteKernelDied")
