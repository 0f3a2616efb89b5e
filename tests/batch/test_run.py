"""Whole batches that nobody disturbs: outputs, errors, reports, exit statuses."""

from __future__ import annotations

import json
from pathlib import Path
from xml.etree import ElementTree as Xml  # noqa: ICN001 - a word, not letters

import nbformat
import psutil
import pytest

from aca_kernel.cli import main

from ..support import running_control_plane, running_pool
from .support import run, texts, write_notebook


@pytest.fixture(scope="module")
def batch(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str, str, int]:
    """One batch with a bit of everything, on the pool that it starts itself."""
    folder = tmp_path_factory.mktemp("batch")
    books = folder / "books"
    write_notebook(
        books / "good" / "same.ipynb",
        "x = 6\nprint('printed')",
        "# a remark\n",
        "",
        ("print('skipped')", "skip-execution"),
        "x * 7",
        "for i in range(300): print(i, flush=True)",
    )
    write_notebook(books / "bad" / "same.ipynb", "print('before')", "{}['key']", "print('after')")
    write_notebook(books / "expected.ipynb", ("1/0", "raises-exception"), "print('went on')")
    write_notebook(
        books / "given.ipynb", ("n = 1\nname = 'nobody'", "parameters"), "print(n + 1, name)"
    )
    write_notebook(books / "other.ipynb", "print('runs on aca')", kernel="no-such-kernel")
    (books / "torn.ipynb").write_text('{"cells": [')
    done = run(
        folder, "books", "--output-dir", "out", "--jobs", "3", "-p", "n", "41",
        "-p", "name", "somebody", "--report", "r.json", "--report", "r.xml",
        env={"JUPYTER_RUNTIME_DIR": str(folder / "runtime")},
    )  # fmt: skip
    return folder, done.stdout, done.stderr, done.returncode


def test_outputs_are_saved_below_the_output_folder_and_sources_stay(
    batch: tuple[Path, str, str, int],
) -> None:
    folder, *_ = batch
    shown = texts(folder / "out" / "books" / "good" / "same.ipynb")
    numbers = "".join(f"{i}\n" for i in range(300))
    assert shown == ["", "printed\n", "", "", "", "42", numbers]
    notebook = nbformat.read(folder / "out" / "books" / "good" / "same.ipynb", as_version=4)
    nbformat.validate(notebook)
    assert len(notebook.cells[-1].outputs) == 1
    assert texts(folder / "books" / "good" / "same.ipynb") == [""] * 6
    assert texts(folder / "out" / "books" / "other.ipynb")[-1] == "runs on aca\n"


def test_each_notebook_finds_the_files_beside_it_and_none_of_the_one_before(
    tmp_path: Path,
) -> None:
    for name in ("one", "two"):
        write_notebook(
            tmp_path / name / "book.ipynb",
            "import os\nnames = sorted(os.listdir())\nimport helper",
            "names, open('data.txt').read(), helper.NAME",
        )
        (tmp_path / name / "data.txt").write_text(name)
        (tmp_path / name / "helper.py").write_text(f"NAME = {name!r}")
    # In one environment, which the first leaves to the second.
    done = run(tmp_path, "one", "two", "--output-dir", "out", "--jobs", "1")
    assert done.returncode == 0, done.stdout
    for name in ("one", "two"):
        listed = ["book.ipynb", "data.txt", "helper.py"]
        expected = repr((listed, name, name))
        assert texts(tmp_path / "out" / name / "book.ipynb") == ["", expected]


def test_a_notebook_that_leaves_its_environment_gets_the_next_one_at_once(tmp_path: Path) -> None:
    write_notebook(tmp_path / "x.ipynb", "x = 1", "%aca restart", "'x' in dir()", "%aca restart")
    done = run(tmp_path, "x.ipynb", "--inplace")
    assert done.returncode == 0, done.stdout + done.stderr
    assert texts(tmp_path / "x.ipynb")[2] == "False"
    assert "The session pool is full" not in done.stderr


def test_parameters_are_injected_behind_the_defaults(batch: tuple[Path, str, str, int]) -> None:
    folder, *_ = batch
    assert texts(folder / "out" / "books" / "given.ipynb") == ["", "", "42 somebody\n"]


def test_a_failing_notebook_keeps_what_ran_and_an_expected_error_is_none(
    batch: tuple[Path, str, str, int],
) -> None:
    folder, *_ = batch
    assert texts(folder / "out" / "books" / "bad" / "same.ipynb") == [
        "",
        "before\n",
        "KeyError",
        "",
    ]
    assert texts(folder / "out" / "books" / "expected.ipynb")[1:] == [
        "ZeroDivisionError",
        "went on\n",
    ]


def test_the_summary_names_notebook_cell_and_error_and_the_status_is_1(
    batch: tuple[Path, str, str, int],
) -> None:
    _, out, err, status = batch
    assert status == 1
    lines = [" ".join(line.split()) for line in out.splitlines()]
    assert lines[0] == "notebook status cell line error"
    # The third: one that runs was injected ahead of it.
    assert "books/bad/same.ipynb failed 3 1 KeyError: 'key'" in lines
    torn = next(line for line in lines if "torn" in line)
    assert "The notebook is not valid JSON" in torn
    assert "6 notebooks in" in lines[-1]
    assert "4 done, 2 failed." in lines[-1]
    # No terminal: one line for each event, and no control sequences.
    assert "\x1b" not in err
    assert "books/good/same.ipynb: started, 5 cells" in err
    assert "books/bad/same.ipynb: failed, 3 of 4 cells" in err


def test_the_json_report_says_the_same(batch: tuple[Path, str, str, int]) -> None:
    folder, *_ = batch
    report = json.loads((folder / "r.json").read_text())
    assert report["version"] == 1
    assert report["jobs"] == 3
    assert report["totals"] == {
        "done": 4, "failed": 2, "interrupted": 0, "skipped": 0, "not run": 0
    }  # fmt: skip
    bad = next(one for one in report["notebooks"] if "bad" in one["name"])
    assert bad["errors"] == [
        {"cell": 3, "line": 1, "ename": "KeyError", "evalue": "'key'", "ours": False}
    ]
    assert (bad["status"], bad["cells"], bad["cells_run"], bad["attempts"]) == ("failed", 4, 3, 1)
    assert bad["seconds"] > 0
    assert bad["output"] == str(folder / "out" / "books" / "bad" / "same.ipynb")


def test_the_junit_report_says_the_same(batch: tuple[Path, str, str, int]) -> None:
    folder, *_ = batch
    suite = Xml.parse(folder / "r.xml").getroot().find("testsuite")
    assert suite is not None
    assert (suite.get("tests"), suite.get("failures"), suite.get("errors")) == ("6", "2", "0")
    cases = {(case.get("classname"), case.get("name")): case for case in suite.iter("testcase")}
    assert len(cases) == 6
    failure = cases["books.bad", "same.ipynb"].find("failure")
    assert failure is not None
    assert failure.get("type") == "KeyError"
    assert cases["books.good", "same.ipynb"].find("failure") is None


def test_a_batch_leaves_nothing_in_the_runtime_directory(
    batch: tuple[Path, str, str, int],
) -> None:
    folder, *_ = batch
    assert [path for path in (folder / "runtime").rglob("*") if path.is_file()] == []


def test_where_environments_may_not_be_handed_over_each_notebook_has_a_pool_of_its_own(
    tmp_path: Path,
) -> None:
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "aca_kernel_config.py").write_text("c.AcaKernel.reuse = 'never'")
    for n in range(2):
        write_notebook(tmp_path / f"{n}.ipynb", "1")
    env = {"JUPYTER_CONFIG_DIR": str(tmp_path / "config")}
    done = run(tmp_path, "0.ipynb", "1.ipynb", "--inplace", "--jobs", "1", env=env)
    assert done.returncode == 0, done.stdout + done.stderr


def test_in_place_again_and_again_gives_the_same_notebook(tmp_path: Path) -> None:
    path = write_notebook(tmp_path / "x.ipynb", "print(n)", "n * 2")
    path.chmod(0o640)
    words = ("x.ipynb", "--inplace", "--kernel", "python3", "-p", "n")
    for _ in range(2):
        assert run(tmp_path, *words, "21").returncode == 0
        assert texts(path) == ["", "21\n", "42"]
    assert path.stat().st_mode & 0o777 == 0o640
    assert [one.name for one in tmp_path.iterdir()] == ["x.ipynb"]
    resumed = run(tmp_path, *words, "21", "--resume")
    assert "1 skipped" in resumed.stdout
    assert "1 done" in run(tmp_path, *words, "2", "--resume").stdout


def test_resume_runs_what_failed_and_what_changed(tmp_path: Path) -> None:
    same = write_notebook(tmp_path / "same.ipynb", "print('same')")
    changed = write_notebook(tmp_path / "changed.ipynb", "print('first')")
    failed = write_notebook(tmp_path / "failed.ipynb", "print('before')", "1/0")
    words = (same, changed, failed, "--output-dir", "out", "--resume", "--kernel", "python3")
    assert run(tmp_path, *words).returncode == 1
    before = (tmp_path / "out" / "same.ipynb").stat().st_mtime_ns
    write_notebook(changed, "print('second')")
    write_notebook(failed, "print('mended')")
    done = run(tmp_path, *words)
    assert done.returncode == 0
    assert "2 done, 1 skipped." in done.stdout
    assert texts(tmp_path / "out" / "changed.ipynb") == ["second\n"]
    assert texts(tmp_path / "out" / "failed.ipynb") == ["mended\n"]
    assert (tmp_path / "out" / "same.ipynb").stat().st_mtime_ns == before


def test_resume_runs_what_changed_in_an_injected_cell(tmp_path: Path) -> None:
    tag = "injected-parameters"
    words = ("x.ipynb", "--output-dir", "out", "--resume", "--kernel", "python3")
    write_notebook(tmp_path / "x.ipynb", ("n = 1", tag), ("m = 1", tag), "print(n, m)")
    assert "1 done" in run(tmp_path, *words).stdout
    write_notebook(tmp_path / "x.ipynb", ("n = 2", tag), ("m = 1", tag), "print(n, m)")
    assert "1 done" in run(tmp_path, *words).stdout
    assert texts(tmp_path / "out" / "x.ipynb")[-1] == "2 1\n"
    # With values, only the first is replaced.
    assert "1 done" in run(tmp_path, *words, "-p", "n", "3").stdout
    write_notebook(tmp_path / "x.ipynb", ("n = 4", tag), ("m = 1", tag), "print(n, m)")
    assert "1 skipped" in run(tmp_path, *words, "-p", "n", "3").stdout
    write_notebook(tmp_path / "x.ipynb", ("n = 4", tag), ("m = 2", tag), "print(n, m)")
    assert "1 done" in run(tmp_path, *words, "-p", "n", "3").stdout


def test_allow_errors_goes_on_and_tells(tmp_path: Path) -> None:
    write_notebook(tmp_path / "x.ipynb", "1/0", "print('went on')")
    done = run(tmp_path, "x.ipynb", "--inplace", "--allow-errors", "--report", "r.json")
    assert done.returncode == 0
    assert "ZeroDivisionError" in done.stdout
    assert texts(tmp_path / "x.ipynb") == ["ZeroDivisionError", "went on\n"]
    (one,) = json.loads((tmp_path / "r.json").read_text())["notebooks"]
    assert one["status"] == "done"
    assert [error["cell"] for error in one["errors"]] == [1]


def test_a_cell_that_takes_too_long_is_interrupted_and_has_failed(tmp_path: Path) -> None:
    write_notebook(tmp_path / "x.ipynb", "import time", "time.sleep(60)", "print('not run')")
    done = run(tmp_path, "x.ipynb", "--inplace", "--timeout", "1.5")
    assert done.returncode == 1
    assert "CellTimeoutError: The cell did not finish within 1.5 s." in done.stdout
    assert texts(tmp_path / "x.ipynb") == ["", "KeyboardInterruptCellTimeoutError", ""]


@pytest.mark.parametrize("kernel", ["aca", "python3"])
def test_a_cell_that_ignores_its_interrupt_is_killed_and_says_so(
    tmp_path: Path, kernel: str
) -> None:
    code = """\
import time, os
print(os.getpid())
while True:
    try: time.sleep(60)
    except KeyboardInterrupt: pass
"""
    path = write_notebook(tmp_path / "x.ipynb", code, "print('not run')", old="old\n")
    with running_pool(isolation="process") as pool:
        words = ("x.ipynb", "--inplace", "--timeout", "2", "--kernel", kernel)
        # It has 2 s, then 10 to clean up after itself; the bound is that of a slow machine.
        done = run(tmp_path, *words, env=pool.env, timeout=100)
        shown, nothing = texts(path)
        # In the environment, too, which goes on for others.
        assert not psutil.pid_exists(int(shown.split()[0]))
    assert done.returncode == 1
    said = "CellTimeoutError: The cell did not finish within 2 s, nor when interrupted."
    assert said in done.stdout
    assert shown.endswith("\nCellTimeoutError")
    assert nothing == ""


def test_an_infinite_timeout_is_none(tmp_path: Path) -> None:
    write_notebook(tmp_path / "x.ipynb", "print(1)")
    words = ("x.ipynb", "--inplace", "--timeout", "inf", "--kernel", "python3")
    done = run(tmp_path, *words)
    assert done.returncode == 0, done.stdout
    assert texts(tmp_path / "x.ipynb") == ["1\n"]


def test_fail_fast_interrupts_the_others(tmp_path: Path) -> None:
    write_notebook(tmp_path / "1.ipynb", "import time; time.sleep(600)")
    write_notebook(tmp_path / "2.ipynb", "import time; time.sleep(1)", "1/0")
    write_notebook(tmp_path / "3.ipynb", "1")
    done = run(tmp_path, ".", "--inplace", "--jobs", "2", "--fail-fast", "--report", "r.json")
    assert done.returncode == 1
    report = json.loads((tmp_path / "r.json").read_text())
    assert [one["status"] for one in report["notebooks"]] == ["interrupted", "failed", "not run"]
    assert report["stopped"] is True


def test_the_kernels_folder_is_the_notebooks(tmp_path: Path) -> None:
    code = "import os; os.path.basename(os.getcwd())"
    write_notebook(tmp_path / "a" / "x.ipynb", code, kernel="python3")
    assert run(tmp_path, "a", "--inplace", "--kernel", "python3").returncode == 0
    assert texts(tmp_path / "a" / "x.ipynb") == ["'a'"]


def test_jobs_is_by_default_the_size_of_a_pool_that_azure_knows(tmp_path: Path) -> None:
    for n in range(3):
        write_notebook(tmp_path / f"{n}.ipynb", "1")
    with running_control_plane(max_concurrent_sessions=2) as plane:
        done = run(tmp_path, ".", "--inplace", "--report", "r.json", env=plane.env)
    assert done.returncode == 0, done.stdout + done.stderr
    assert json.loads((tmp_path / "r.json").read_text())["jobs"] == 2


def test_a_pool_that_cannot_work_fails_each_notebook_with_its_sentence(tmp_path: Path) -> None:
    write_notebook(tmp_path / "x.ipynb", "1", "2")
    with running_pool() as pool:
        env = {**pool.env, "ACA_MCP_API_KEY": "wrong-key-1234"}
        # Not as an error of the notebook's own, which --allow-errors would go on behind.
        done = run(tmp_path, "x.ipynb", "--inplace", "--allow-errors", env=env)
    assert done.returncode == 1
    assert done.stdout.count("KeyRefused: The session pool refused the API key.") == 1
    # With what to do, however long that is.
    assert "it may take five minutes to be accepted." in done.stdout
    assert "wrong-key" not in done.stdout + done.stderr


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["x.ipynb"], "Where should the outputs go?"),
        (["x.ipynb", "--inplace", "--output-dir", "o"], "not allowed with"),
        (["x.ipynb", "--inplace", "--kernel", "nobody"], "There is no kernel 'nobody'"),
        (["x.ipynb", "--inplace", "--jobs", "0"], "--jobs must be 1 or more"),
        (["x.ipynb", "--inplace", "--timeout", "0"], "--timeout must be more than 0"),
        (["x.ipynb", "--inplace", "--timeout", "nan"], "--timeout must be more than 0"),
        (["x.ipynb", "--inplace", "--retries", "-1"], "--retries must be 0 or more"),
        (["x.ipynb", "--inplace", "--report", "r.txt"], "What kind of report is r.txt?"),
        (["x.ipynb", "--inplace", "--report", "x.ipynb/r.xml"], "r.xml cannot be written to"),
        (["x.ipynb", "--inplace", "--report", "folder.html"], "there is a folder of this name"),
        (["x.ipynb", "--inplace", "-p", "1x", "2"], "The parameter '1x' is not a name"),
        (["x.ipynb", "--output-dir", ""], "The name of --output-dir is empty"),
        (["x.ipynb", "", "--inplace"], "The name of a notebook is empty"),
        (["no.ipynb", "--inplace"], "There is no notebook no.ipynb"),
    ],
)
def test_bad_usage_is_one_sentence_and_status_2(
    tmp_path: Path,
    arguments: list[str],
    says: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    write_notebook(tmp_path / "x.ipynb", "1")
    (tmp_path / "folder.html").mkdir()
    monkeypatch.chdir(tmp_path)
    try:
        status: object = main(["run", *arguments])
    except SystemExit as exit_:  # argparse's own
        status = exit_.code
    assert status == 2
    shown = capsys.readouterr()
    assert says in shown.err
    assert shown.err.count("\n") == 1
    assert shown.out == ""


def test_the_folders_of_reports_are_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    write_notebook(tmp_path / "x.ipynb")
    monkeypatch.chdir(tmp_path)
    assert main(["run", "x.ipynb", "--inplace", "--report", "out/all/r.json"]) == 0
    assert main(["report", "merge", "out/all/r.json", "--report", "whole/r.html"]) == 0
    assert Path("whole/r.html").exists()
    capsys.readouterr()
