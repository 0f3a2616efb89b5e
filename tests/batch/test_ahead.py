"""Cells that are sent ahead: as nbclient runs them, in fewer round trips."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ..support import Client, Pool, running_pool
from .support import run, state, texts, write_notebook

RAISES = "raises-exception"


@pytest.fixture(scope="module")
def pool():
    with running_pool(isolation="process", max_concurrent_sessions=4) as made:
        yield made


def _exchanges(pool: Pool) -> int:
    return pool.calls().get("runPythonCodeInRemoteEnvironment", 0)


def test_short_cells_share_exchanges(tmp_path: Path, pool: Pool) -> None:
    cells = [f"x{n} = {n}\nprint(x{n})\nx{n} ** 2" for n in range(100)]
    path = write_notebook(tmp_path / "x.ipynb", *cells)
    before = _exchanges(pool)
    done = run(tmp_path, "x.ipynb", "--inplace", env=pool.env)
    assert done.returncode == 0, done.stdout + done.stderr
    assert texts(path) == [f"{n}\n{n * n}" for n in range(100)]
    assert _exchanges(pool) - before < 50


@pytest.mark.parametrize("failing", [0, 3, 40, 70])
def test_behind_an_error_nothing_has_run(tmp_path: Path, pool: Pool, failing: int) -> None:
    gone = tmp_path / "gone"
    mark = f"open({str(gone)!r}, 'a').write('{{}} ');"
    cells = [mark.format(n) + (" 1 / 0" if n == failing else "") for n in range(100)]
    path = write_notebook(tmp_path / "x.ipynb", *cells)
    done = run(tmp_path, "x.ipynb", "--inplace", "--report", "r.json", env=pool.env)
    assert done.returncode == 1, done.stdout + done.stderr
    assert gone.read_text().split() == [str(n) for n in range(failing + 1)]
    assert texts(path)[failing:] == ["ZeroDivisionError", *[""] * (99 - failing)]
    (one,) = json.loads((tmp_path / "r.json").read_text())["notebooks"]
    assert (one["errors"][0]["cell"], one["cells_run"]) == (failing + 1, failing + 1)


def test_behind_expected_errors_the_next_cells_run(tmp_path: Path, pool: Pool) -> None:
    path = write_notebook(
        tmp_path / "x.ipynb",
        "print(1)",
        ("1 / 0", RAISES),
        "print(2)",
        ("print('skipped')", "skip-execution"),
        ("raise KeyboardInterrupt", RAISES),
        "print(3)",
        ("input()", RAISES),
        "print(4)",
    )
    done = run(tmp_path, "x.ipynb", "--inplace", env=pool.env)
    assert done.returncode == 0, done.stdout + done.stderr
    shown = ["1\n", "ZeroDivisionError", "2\n", "", "KeyboardInterrupt", "3\n"]
    assert texts(path) == [*shown, "StdinNotImplementedError", "4\n"]


def test_with_allow_errors_the_next_cells_run(tmp_path: Path, pool: Pool) -> None:
    path = write_notebook(tmp_path / "x.ipynb", "1 / 0", "print(1)", "input()", "print(2)")
    done = run(tmp_path, "x.ipynb", "--inplace", "--allow-errors", env=pool.env)
    assert done.returncode == 0, done.stdout + done.stderr
    assert texts(path) == ["ZeroDivisionError", "1\n", "StdinNotImplementedError", "2\n"]


def test_a_limit_counts_from_each_cells_own_start(tmp_path: Path, pool: Pool) -> None:
    cells = ["import time", *["time.sleep(0.8)"] * 4, "time.sleep(60)", "print('never')"]
    path = write_notebook(tmp_path / "x.ipynb", *cells)
    words = ("--inplace", "--timeout", "3", "--report", "r.json")
    done = run(tmp_path, "x.ipynb", *words, env=pool.env)
    assert done.returncode == 1, done.stdout + done.stderr
    (one,) = json.loads((tmp_path / "r.json").read_text())["notebooks"]
    (error,) = one["errors"]
    assert (error["cell"], error["ename"]) == (6, "CellTimeoutError")
    assert texts(path)[-1] == ""


def test_each_cells_own_time_is_reported(tmp_path: Path, pool: Pool) -> None:
    write_notebook(tmp_path / "x.ipynb", "import time", "1", "time.sleep(0.5)", "2")
    done = run(tmp_path, "x.ipynb", "--inplace", "--report", "r.json", env=pool.env)
    assert done.returncode == 0, done.stdout + done.stderr
    (one,) = json.loads((tmp_path / "r.json").read_text())["notebooks"]
    times = one["cell_seconds"]
    assert len(times) == 4
    assert times[2] >= 0.5 > max(times[1], times[3])


def test_a_widget_that_takes_outputs_has_them_in_the_next_cell(tmp_path: Path, pool: Pool) -> None:
    pytest.importorskip("ipywidgets")
    path = write_notebook(
        tmp_path / "x.ipynb",
        "import ipywidgets\nout = ipywidgets.Output()",
        "with out:\n    print('taken')",
        "print(out.outputs[0]['text'])",
    )
    done = run(tmp_path, "x.ipynb", "--inplace", env=pool.env)
    assert done.returncode == 0, done.stdout + done.stderr
    assert texts(path)[2] == "taken\n\n"


def test_a_cell_that_quits_is_the_last_that_runs(tmp_path: Path, pool: Pool) -> None:
    gone = tmp_path / "gone"
    mark = f"open({str(gone)!r}, 'a').write('ran')"
    path = write_notebook(tmp_path / "x.ipynb", "1", "quit()", *[mark] * 20)
    done = run(tmp_path, "x.ipynb", "--inplace", env=pool.env)
    assert done.returncode == 1, done.stdout + done.stderr
    assert state(path) == "failed"
    assert not gone.exists()


def _behind(client: Client, before: str, code: str) -> tuple[str, str]:
    """Run a cell that was sent ahead of another's reply; return its id and status."""
    message = client.client.session.msg(
        "execute_request",
        {"code": code, "silent": False, "store_history": True, "user_expressions": {},
         "allow_stdin": False, "stop_on_error": True},
        metadata={"aca_behind": before},
    )  # fmt: skip
    client.client.shell_channel.send(message)
    msg_id = message["header"]["msg_id"]
    return msg_id, client.collect(msg_id).status


def test_what_arrives_after_an_error_does_not_run_either(shared_kernel: Client) -> None:
    good, bad = shared_kernel.send("ran = []"), shared_kernel.send("1 / 0")
    assert [shared_kernel.collect(one).status for one in (good, bad)] == ["ok", "error"]
    late, status = _behind(shared_kernel, bad, "ran.append(1)")
    assert status == "aborted"
    assert _behind(shared_kernel, late, "ran.append(2)")[1] == "aborted"
    next_, status = _behind(shared_kernel, good, "ran.append(3)")
    assert status == "ok"
    assert _behind(shared_kernel, next_, "ran.append(4)")[1] == "ok"
    assert shared_kernel.run("ran").result == "[3, 4]"
