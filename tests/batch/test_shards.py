"""Parts of a batch, and their reports made one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as Xml  # noqa: ICN001 - a word, not letters

import pytest

from aca_kernel.batch.finding import Job
from aca_kernel.batch.outcomes import Batch, CellError, Outcome, Status
from aca_kernel.batch.reports import json_report
from aca_kernel.batch.shards import Shard, missing
from aca_kernel.batch.tracebacks import line_of
from aca_kernel.cli import main
from aca_kernel.errors import SettingInvalid

from .support import run, write_notebook

MORNING, NOON = "2026-11-29T08:00:00+00:00", "2026-11-29T12:00:00+00:00"


def jobs(count: int) -> list[Job]:
    return [Job(f"/{n}", f"/out/{n}", str(n)) for n in range(count)]


@pytest.mark.parametrize(("count", "parts"), [(10, 3), (2, 5), (0, 2), (7, 1)])
def test_each_notebook_is_in_one_part(count: int, parts: int) -> None:
    shares = [Shard(number, parts).of(jobs(count)) for number in range(1, parts + 1)]
    assert sorted(job.name for share in shares for job in share) == sorted(map(str, range(count)))
    sizes = [len(share) for share in shares]
    assert max(sizes) - min(sizes) <= 1


@pytest.mark.parametrize(
    "text", ["", "2", "0/2", "3/2", "1/0", "-1/2", "1/2/3", "a/b", "1 /2", "\u0661/\u0662"]
)
def test_what_names_no_part_is_refused(text: str) -> None:
    with pytest.raises(SettingInvalid, match=r"give I/N, for instance 2/4"):
        Shard.parse(text)


def test_parts_without_a_report_are_known() -> None:
    assert missing([Shard(1, 3), Shard(3, 3)]) == [Shard(2, 3)]
    assert missing([]) == []


def outcome(name: str, status: Status, **others: Any) -> Outcome:
    return Outcome(name, f"/{name}", f"/out/{name}", status, kernel="aca", attempts=1, **others)


def failed(name: str) -> Outcome:
    return outcome(name, Status.FAILED, errors=[CellError(2, "KeyError", "'key'", line=7)])


def write(path: Path, started: str, *outcomes: Outcome, shard: str = "") -> str:
    part = Shard.parse(shard) if shard else None
    path.write_text(json_report(Batch(started, 60.0, 2, False, part), outcomes))
    return str(path)


def merge(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    status = main(["report", "merge", *words])
    return (status, *capsys.readouterr())


def test_parts_become_one_report(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    one = write(tmp_path / "1.json", MORNING, outcome("b", Status.DONE), failed("c"), shard="1/2")
    two = write(tmp_path / "2.json", MORNING, outcome("a", Status.DONE), shard="2/2")
    whole, xml = str(tmp_path / "whole.json"), str(tmp_path / "whole.xml")
    status, out, err = merge(capsys, one, two, "--report", whole, "--report", xml)
    assert (status, err) == (1, "")
    assert [line.split() for line in out.splitlines()[:2]] == [
        ["notebook", "status", "cell", "line", "error"],
        ["c", "failed", "2", "7", "KeyError:", "'key'"],
    ]
    assert "3 notebooks in 60.0 s: 2 done, 1 failed." in out
    found = json.loads(Path(whole).read_text())
    assert [one["name"] for one in found["notebooks"]] == ["a", "b", "c"]
    assert (found["totals"]["done"], found["jobs"], found["started"]) == (2, 4, MORNING)
    error = {"cell": 2, "line": 7, "ename": "KeyError", "evalue": "'key'", "ours": False}
    assert found["notebooks"][2]["errors"] == [error]
    assert len(list(Xml.parse(xml).getroot().iter("testcase"))) == 3
    # What was merged can be merged.
    assert merge(capsys, whole, "--report", str(tmp_path / "again.json"))[0] == 1


def test_a_sentence_of_the_kernel_is_whole_in_the_table_of_a_merged_report(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = "The pool is out of order. " * 9 + "Mend it."
    errors = [CellError(1, "PoolFailed", text, is_ours=True)]
    one = write(tmp_path / "1.json", MORNING, outcome("a", Status.FAILED, errors=errors))
    _, out, _ = merge(capsys, one, "--report", str(tmp_path / "whole.json"))
    assert text in out


def test_an_interrupted_notebook_has_no_cell_that_failed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    stopped = outcome("a", Status.INTERRUPTED, cells=3, cells_run=1)
    one = write(tmp_path / "1.json", MORNING, stopped, outcome("b", Status.NOT_RUN))
    _, out, _ = merge(capsys, one, "--report", str(tmp_path / "whole.json"))
    assert [line.split() for line in out.splitlines()[1:3]] == [
        ["a", "interrupted", "-", "-", "after", "1", "of", "3", "cells"],
        ["b", "not", "run", "-", "-"],
    ]


def test_a_whole_is_stopped_that_has_notebooks_which_a_part_has_not_run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    one, whole = tmp_path / "1.json", tmp_path / "whole.json"
    stopped = Batch(MORNING, 60.0, 2, True, Shard(1, 2))
    one.write_text(json_report(stopped, [outcome("a", Status.NOT_RUN)]))
    two = write(tmp_path / "2.json", NOON, outcome("b", Status.DONE), shard="2/2")
    merge(capsys, str(one), two, "--report", str(whole))
    assert json.loads(whole.read_text())["stopped"] is True
    # What has gone on is not stopped any more.
    again = write(tmp_path / "3.json", NOON, outcome("a", Status.DONE), shard="1/2")
    merge(capsys, str(one), two, again, "--report", str(whole))
    assert json.loads(whole.read_text())["stopped"] is False


def test_a_part_that_is_missing_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    one = write(tmp_path / "1.json", MORNING, outcome("a", Status.DONE), shard="1/3")
    status, _, err = merge(capsys, one, "--report", str(tmp_path / "whole.json"))
    assert status == 1
    assert err.splitlines() == [
        "Part 2/3 has no report among these.",
        "Part 3/3 has no report among these.",
    ]


@pytest.mark.parametrize(
    ("before", "then", "status"),
    [
        (Status.FAILED, Status.DONE, Status.DONE),
        (Status.DONE, Status.FAILED, Status.FAILED),
        (Status.DONE, Status.SKIPPED, Status.DONE),
        (Status.FAILED, Status.SKIPPED, Status.SKIPPED),
        (Status.FAILED, Status.NOT_RUN, Status.FAILED),
        (Status.NOT_RUN, Status.NOT_RUN, Status.NOT_RUN),
        (Status.DONE, Status.INTERRUPTED, Status.INTERRUPTED),
    ],
)
def test_of_several_runs_of_a_notebook_the_last_one_counts(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    before: Status,
    then: Status,
    status: Status,
) -> None:
    errors = [CellError(1, "A", "b")]
    first = write(tmp_path / "1.json", MORNING, outcome("a", before, errors=errors))
    second = write(tmp_path / "2.json", NOON, outcome("a", then, errors=errors))
    # In whatever order they are named.
    for words in [(first, second), (second, first)]:
        merge(capsys, *words, "--report", str(tmp_path / "whole.json"))
        (found,) = json.loads((tmp_path / "whole.json").read_text())["notebooks"]
        assert found["status"] == status.value


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{}",
        '{"version": 1}',
        '{"version": 1, "notebooks": 3}',
        "<xml/>",
        '{"version": 9}',
        (
            f'{{"version": 1, "notebooks": [], "started": "{MORNING}", "seconds": 1e300, '
            '"jobs": 1, "stopped": false}'
        ),
        "[" * 100_000,
    ],
)
def test_what_is_no_report_is_one_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str
) -> None:
    (tmp_path / "r.json").write_text(text)
    whole = tmp_path / "whole.json"
    status, out, err = merge(capsys, str(tmp_path / "r.json"), "--report", str(whole))
    assert (status, out, err.count("\n")) == (2, "", 1)
    assert "r.json" in err
    assert not whole.exists()


def test_a_report_that_is_not_there_is_one_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    status, _, err = merge(capsys, "no.json", "--report", str(tmp_path / "whole.json"))
    assert (status, err) == (
        2,
        "aca-kernel report merge: The report no.json cannot be read: No such file or directory.\n",
    )


def test_parts_that_are_run_make_the_whole(tmp_path: Path) -> None:
    for name in ("a", "b", "c"):
        write_notebook(tmp_path / f"{name}.ipynb", f"print('{name}')", kernel="python3")
    write_notebook(
        tmp_path / "d.ipynb", "def f(x):\n    return 1 / x", "n = 0\n\nf(n)", kernel="python3"
    )
    words = (
        "a.ipynb",
        "b.ipynb",
        "c.ipynb",
        "d.ipynb",
        "--output-dir",
        "out",
        "--kernel",
        "python3",
    )
    for number in (1, 2):
        part = ("--shard", f"{number}/2", "--report", f"{number}.json")
        done = run(tmp_path, *words, *part)
        assert done.returncode == number - 1, done.stdout + done.stderr
        assert "2 notebooks in" in done.stdout
    whole = str(tmp_path / "whole.json")
    parts = [str(tmp_path / f"{number}.json") for number in (1, 2)]
    assert main(["report", "merge", *parts, "--report", whole]) == 1
    found = json.loads(Path(whole).read_text())["notebooks"]
    assert [(one["name"], one["status"]) for one in found] == [
        ("a.ipynb", "done"),
        ("b.ipynb", "done"),
        ("c.ipynb", "done"),
        ("d.ipynb", "failed"),
    ]
    assert all((tmp_path / "out" / one["name"]).exists() for one in found)
    # The line of the cell that called, not of the function that failed.
    (error,) = found[3]["errors"]
    assert (error["cell"], error["line"], error["ename"]) == (2, 3, "ZeroDivisionError")


def test_a_part_without_notebooks_is_done(tmp_path: Path) -> None:
    write_notebook(tmp_path / "a.ipynb", "1", kernel="python3")
    done = run(tmp_path, "a.ipynb", "--inplace", "--shard", "2/2", "--report", "r.json")
    assert (done.returncode, done.stderr) == (0, "")
    assert "0 notebooks in" in done.stdout
    assert "nothing to run." in done.stdout
    assert json.loads((tmp_path / "r.json").read_text())["shard"] == "2/2"


CHAINED = [
    "\x1b[31mKeyError\x1b[39m  Traceback (most recent call last)",
    "\x1b[36mCell\x1b[39m\x1b[36m \x1b[39m\x1b[32mIn[2]\x1b[39m\x1b[32m, line 3\x1b[39m\n  1 try",
    "\nDuring handling of the above exception, another exception occurred:\n",
    "\x1b[31mValueError\x1b[39m  Traceback (most recent call last)",
    "\x1b[36mCell\x1b[39m\x1b[36m \x1b[39m\x1b[32mIn[2]\x1b[39m\x1b[32m, line 5\x1b[39m\n      4",
    "\x1b[36mFile\x1b[39m\x1b[32m /lib/a.py:80\x1b[39m",
]


@pytest.mark.parametrize(
    ("traceback", "line"),
    [
        (CHAINED, 5),
        (CHAINED[:2], 3),
        (["Input In [4], in <cell line: 12>()"], 12),
        (["  Cell In[1], line 2\n    f(\n     ^\nSyntaxError: incomplete input"], 2),
        (["ValueError: see line 3"], 0),
        ([], 0),
    ],
)
def test_the_line_is_that_of_the_cell(traceback: list[str], line: int) -> None:
    assert line_of(traceback) == line
