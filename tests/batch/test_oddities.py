"""What is odd about one notebook, its name or its outputs fails that one, and no other."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from .support import run, texts, write_notebook

SURROGATE = "x = '\ud800'"


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
    # What came before an output that nobody can save has been saved.
    assert "KeyError" in ended["stream.ipynb"][1]
    assert texts(tmp_path / "out" / "output.ipynb") == ["1\n", ""]
    assert json.loads((tmp_path / "out" / "marked.ipynb").read_text())["cells"][1]["source"] == [
        SURROGATE
    ]
