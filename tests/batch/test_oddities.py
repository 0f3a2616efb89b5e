"""What is odd about one notebook, its name or its outputs fails that one, and no other."""

from __future__ import annotations

import json
import os
import resource
import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as Xml  # noqa: ICN001 - a word, not letters

import nbformat
import pytest

from aca_kernel.batch.atomic_write import write_whole
from aca_kernel.batch.notebook_io import NotebookInvalid, read_notebook, remember, text_of
from aca_kernel.batch.parameters import read_parameters

from .support import RUN, TIMEOUT, environment, run, texts, write_notebook

SURROGATE = "x = '\ud800'"

# Of its cell.
NO_METADATA = json.dumps(
    {"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": [{"cell_type": "code"}]}
)


def report(folder: Path) -> dict[str, tuple[str, str]]:
    """How each notebook ended, and of what."""
    found = json.loads((folder / "r.json").read_text())["notebooks"]
    return {
        one["name"]: (
            one["status"],
            " ".join(e["ename"] + " " + e["evalue"] for e in one["errors"]),
        )
        for one in found
    }


def change(path: Path, how: Callable[[Any], None]) -> None:
    notebook = json.loads(path.read_text())
    how(notebook)
    path.write_text(json.dumps(notebook))


def test_an_odd_notebook_does_not_end_the_others(tmp_path: Path) -> None:
    changes: dict[str, Callable[[Any], None]] = {
        "nospec": lambda one: one["metadata"].update(kernelspec=None),
        "textspec": lambda one: one["metadata"].update(kernelspec="python3"),
        "ours": lambda one: one["metadata"].update(aca_kernel="text"),
        "null": lambda one: one["cells"][1].update(source=None),
        "missing": lambda one: one["cells"][1].pop("source"),
        "tags": lambda one: one["cells"][1]["metadata"].update(tags=None),
        "marked": lambda one: one["cells"][1].update(cell_type="raw", source=SURROGATE),
        "cell": lambda one: one["cells"].append(7),
        "half": lambda one: one["cells"][0].update(source=SURROGATE),
    }
    for name, how in changes.items():
        change(write_notebook(tmp_path / f"{name}.ipynb", "print(1)", "2"), how)
    odd = "from IPython.display import display\ndisplay({'text/plain': None}, raw=True)"
    write_notebook(tmp_path / "output.ipynb", "print(1)", odd)
    send = "get_ipython().kernel.session.send(get_ipython().kernel.iopub_socket, 'stream', "
    send += "{'name': 'stdout'}, parent=get_ipython().kernel.get_parent())"
    write_notebook(tmp_path / "stream.ipynb", "print(1)", send)
    done = run(tmp_path, ".", "--output-dir", "out", "--jobs", "2", "--report", "r.json")
    assert "Traceback" not in done.stdout + done.stderr
    ended = report(tmp_path)
    good = {"nospec.ipynb", "textspec.ipynb", "ours.ipynb", "marked.ipynb"}
    assert {name for name, (status, _) in ended.items() if status == "done"} == good
    assert {status for name, (status, _) in ended.items() if name not in good} == {"failed"}
    assert "The notebook's cell 2 has no source" in ended["null.ipynb"][1]
    assert "The notebook's cell 2 has no source" in ended["missing.ipynb"][1]
    assert "The notebook's cell 2 has no list as its tags" in ended["tags.ipynb"][1]
    assert "not a notebook" in ended["cell.ipynb"][1]
    assert "The notebook's cell 1 has no Unicode text: half of a" in ended["half.ipynb"][1]
    # What came before an output that nobody can save has been saved.
    assert "KeyError" in ended["stream.ipynb"][1]
    assert texts(tmp_path / "out" / "output.ipynb") == ["1\n", ""]
    assert json.loads((tmp_path / "out" / "marked.ipynb").read_text())["cells"][1]["source"] == [
        SURROGATE
    ]


def test_a_file_with_two_names_runs_once_and_is_reported_by_both(tmp_path: Path) -> None:
    path = write_notebook(tmp_path / "a.ipynb", "1/0", "print('went on')")
    # nbclient finds a tag in a text, too.
    change(path, lambda one: one["cells"][0]["metadata"].update(tags="slow raises-exception"))
    failing = write_notebook(tmp_path / "c.ipynb", "{}['key']")
    (tmp_path / "b.ipynb").symlink_to(path)
    (tmp_path / "d.ipynb").symlink_to(failing)
    done = run(tmp_path, ".", "--output-dir", "out", "--report", "r.json")
    ended = report(tmp_path)
    assert {name: status for name, (status, _) in ended.items()} == {
        "a.ipynb": "done",
        "b.ipynb": "done",
        "c.ipynb": "failed",
        "d.ipynb": "failed",
    }
    assert {"c.ipynb", "d.ipynb"} <= set(done.stdout.split())
    assert "2 notebooks in" in done.stdout
    assert sorted(one.name for one in (tmp_path / "out").iterdir()) == ["a.ipynb", "c.ipynb"]


def test_an_odd_kernelspec_is_named_and_ends_no_other_notebook(tmp_path: Path) -> None:
    specs = {
        "ours": {"argv": [sys.executable, "-m", "aca_kernel", "--AcaKernel.cooldown_seconds=soon"]},
        "number": {"argv": 5},
        "list": [1],
    }
    for name, spec in specs.items():
        folder = tmp_path / "share" / "kernels" / name
        folder.mkdir(parents=True)
        (folder / "kernel.json").write_text(json.dumps(spec))
        write_notebook(tmp_path / f"{name}.ipynb", "print(1)", kernel=name)
    env = {"JUPYTER_PATH": str(tmp_path / "share")}
    done = run(tmp_path, ".", "--output-dir", "out", "--report", "r.json", env=env)
    assert "Traceback" not in done.stdout + done.stderr
    ended = report(tmp_path)
    # Whose these are nobody knows: where no kernel of ours is named, it is `aca`.
    assert {name for name, (status, _) in ended.items() if status == "done"} == {
        "number.ipynb",
        "list.ipynb",
    }
    assert ended["ours.ipynb"][0] == "failed"
    unusable = "The kernel 'ours' cannot be started as its kernelspec says: The 'cooldown_seconds'"
    assert unusable in ended["ours.ipynb"][1]
    unreadable = "The kernelspec 'number' cannot be read: mend"
    for name, says in (("ours", unusable), ("number", unreadable)):
        done = run(tmp_path, "list.ipynb", "--inplace", "--kernel", name, env=env)
        assert done.returncode == 2
        assert done.stderr.startswith(f"aca-kernel run: {says}")
        assert done.stderr.count("\n") == 1


@pytest.mark.parametrize("metadata", [{}, {"aca_kernel": "text"}, {"aca_kernel": {"own": 1}}])
def test_the_first_thing_that_is_written_says_how_far_it_is(metadata: dict[str, Any]) -> None:
    notebook = nbformat.v4.new_notebook(metadata=metadata)
    remember(notebook, "running", "print")
    expected = {"state": "running", "fingerprint": "print"}
    assert json.loads(text_of(notebook))["metadata"]["aca_kernel"]["run"] == expected


def test_a_mark_at_the_beginning_of_a_file_is_none_of_its_text(tmp_path: Path) -> None:
    path = write_notebook(tmp_path / "x.ipynb", "1")
    path.write_text("\ufeff" + path.read_text())
    assert read_notebook(str(path)).cells[0].source == "1"
    (tmp_path / "p.json").write_text('\ufeff{"a": 1}')
    assert read_parameters(str(tmp_path / "p.json"), []) == {"a": 1}


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('{"nbformat": 5, "nbformat_minor": 0, "metadata": {}, "cells": []}', "format is 5, which"),
        ('{"nbformat": "5"}', "not a notebook"),
        ("[5]", "not a notebook: correct that"),
        ("", "The file is empty: save the notebook again"),
        (NO_METADATA, "not a notebook, for it has no '(metadata|outputs)' where one belongs"),
    ],
)
def test_what_is_wrong_with_a_file_is_named(tmp_path: Path, text: str, says: str) -> None:
    (tmp_path / "x.ipynb").write_text(text)
    with pytest.raises(NotebookInvalid, match=says):
        read_notebook(str(tmp_path / "x.ipynb"))


@pytest.fixture(scope="module")
def books(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a notebook that fails in Japanese."""
    folder = tmp_path_factory.mktemp("books")
    write_notebook(folder / "x.ipynb", "raise ValueError('失敗')", kernel="python3")
    return folder


WORDS = "x.ipynb --output-dir out --kernel python3 --report r.json --report r.xml"


def shell(folder: Path, streams: str, **env: str) -> subprocess.CompletedProcess[str]:
    """Run a batch whose streams a shell has changed, and its status is the pipe's."""
    for name in ("r.json", "r.xml"):
        (folder / name).unlink(missing_ok=True)
    command = f"set -o pipefail; {shlex.join(RUN)} {WORDS} {streams}"
    return subprocess.run(
        ["bash", "-c", command], cwd=folder, env=environment(env), capture_output=True, text=True,
        timeout=TIMEOUT, check=False,
    )  # fmt: skip


@pytest.mark.parametrize(
    "streams",
    ["| true", "2>&1 | true", ">/dev/full", ">/dev/full 2>&1", "2>&-", ">&- 2>&-", "<&- >&- 2>&-"],
)
def test_reports_and_status_are_right_whatever_becomes_of_what_is_shown(
    books: Path, streams: str
) -> None:
    done = shell(books, streams)
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert "Exception" not in done.stderr
    assert report(books)["x.ipynb"] == ("failed", "ValueError 失敗")
    assert Xml.parse(books / "r.xml").getroot().find(".//failure") is not None


def test_an_encoding_that_lacks_characters_shows_something_else_for_them(books: Path) -> None:
    done = shell(books, "", PYTHONIOENCODING="latin-1")
    assert done.returncode == 1
    assert "ValueError: ??" in done.stdout
    assert report(books)["x.ipynb"] == ("failed", "ValueError 失敗")


def test_a_file_name_that_is_not_utf_8_can_be_reported(tmp_path: Path) -> None:
    name = os.fsdecode(b"caf\xe9.ipynb")
    write_notebook(tmp_path / name, "1/0", kernel="python3")
    done = run(tmp_path, ".", "--output-dir", "out", "--kernel", "python3", "--report", "r.json",
               "--report", "r.xml")  # fmt: skip
    assert done.returncode == 1
    assert "ZeroDivisionError" in done.stdout
    assert list(report(tmp_path)) == [name]
    case = Xml.parse(tmp_path / "r.xml").getroot().find(".//testcase")
    assert case is not None
    assert case.get("name") == "caf\ufffd.ipynb"


def test_a_file_that_cannot_be_written_leaves_nothing_beside_it(tmp_path: Path) -> None:
    path = tmp_path / "x.ipynb"
    path.write_text("old")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    # As on a full disk: an error in the middle. Python ignores the signal.
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, limits[1]))
    try:
        with pytest.raises(OSError, match="File too large"):
            write_whole(str(path), "x" * 5000)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert [one.name for one in tmp_path.iterdir()] == ["x.ipynb"]
    assert path.read_text() == "old"
