"""A notebook of which no cell has begun keeps its outputs, whatever kept its cells from it."""

from __future__ import annotations

import json
import signal
from pathlib import Path

import pytest

from ..support import TIMEOUT as BOUND
from ..support import eventually, running_kernel, running_pool
from .support import run, started, state, texts, write_notebook


def old_notebook(folder: Path) -> tuple[Path, bytes]:
    path = write_notebook(folder / "x.ipynb", "print('first')", "print('second')", old="old\n")
    return path, path.read_bytes()


def test_a_key_that_is_refused_costs_no_output(tmp_path: Path) -> None:
    path, before = old_notebook(tmp_path)
    with running_pool() as pool:
        env = {**pool.env, "ACA_MCP_API_KEY": "wrong-key-1234"}
        done = run(tmp_path, path, "--inplace", env=env)
    assert "x.ipynb: failed, 0 of 2 cells" in done.stderr
    assert path.read_bytes() == before


def test_a_pool_that_cannot_be_reached_costs_no_output(tmp_path: Path) -> None:
    path, before = old_notebook(tmp_path)
    # The port of discard, where nothing listens.
    env = {"ACA_MCP_ENDPOINT": "http://127.0.0.1:9/mcp", "ACA_MCP_API_KEY": "a-key-1234"}
    done = run(tmp_path, path, "--inplace", env=env)
    assert "x.ipynb: failed, 0 of 2 cells" in done.stderr
    assert path.read_bytes() == before


@pytest.mark.parametrize("is_stopped", [True, False])
def test_a_wait_for_a_place_that_is_in_vain_costs_no_output(
    tmp_path: Path, *, is_stopped: bool
) -> None:
    path, before = old_notebook(tmp_path)
    config = tmp_path / "config"
    config.mkdir()
    seconds = 600 if is_stopped else 1
    (config / "aca_kernel_config.py").write_text(
        f"c.AcaKernel.pool_full_timeout_seconds = {seconds}"
    )
    with running_pool(max_concurrent_sessions=1) as pool, running_kernel(pool.env) as holder:
        holder.run("1")
        env = {**pool.env, "JUPYTER_CONFIG_DIR": str(config)}
        with started(tmp_path, path, "--inplace", env=env) as batch:
            assert batch.stdout is not None
            lines = []
            while "The session pool is full" not in "".join(lines):
                lines.append(batch.stdout.readline())
            if is_stopped:
                batch.send_signal(signal.SIGINT)
            out, _ = batch.communicate(timeout=BOUND)
    assert batch.returncode == (130 if is_stopped else 1), out
    assert f"x.ipynb: {'interrupted' if is_stopped else 'failed'}, 0 of 2 cells" in out
    assert path.read_bytes() == before


def test_a_cell_that_is_interrupted_is_saved_and_not_counted(tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    code = f"print('begun', flush=True)\nopen({str(mark)!r}, 'w')\nimport time; time.sleep(600)"
    path = write_notebook(tmp_path / "x.ipynb", code, "1", old="old\n")
    words = (path, "--inplace", "--kernel", "python3", "--report", "r.json")
    with started(tmp_path, *words) as batch:
        assert eventually(mark.exists, BOUND)
        batch.send_signal(signal.SIGINT)
        out, _ = batch.communicate(timeout=BOUND)
    assert "x.ipynb: interrupted, 0 of 2 cells" in out
    assert texts(path)[0] == "begun\nKeyboardInterrupt"
    assert state(path) == "interrupted"
    (one,) = json.loads((tmp_path / "r.json").read_text())["notebooks"]
    assert (one["cells"], one["cells_run"]) == (2, 0)
