"""Clients without a window: console, nbconvert, jupyter run, jupyter execute, papermill."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import nbformat
import pexpect
import pytest

from ..support import QUICK_TOOLS

# A bound for what must happen, not a measurement.
TIMEOUT = 60


def write_notebook(path: Path, *cells: Any) -> Path:
    made = [nbformat.v4.new_code_cell(cell) if isinstance(cell, str) else cell for cell in cells]
    notebook = nbformat.v4.new_notebook(cells=made)
    notebook.metadata.kernelspec = {"name": "aca", "display_name": "aca", "language": "python"}
    nbformat.write(notebook, path)
    return path


def texts(path: Path) -> list[str]:
    """What each cell of a notebook shows."""
    notebook = nbformat.read(path, as_version=4)
    return [
        "".join(
            output.get("text") or output.get("data", {}).get("text/plain", "") or output["ename"]
            for output in cell.outputs
        )
        for cell in notebook.cells
        if cell.cell_type == "code"
    ]


def jupyter(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "jupyter", *map(str, arguments)],
        env={**os.environ, **QUICK_TOOLS},
        capture_output=True, text=True, timeout=TIMEOUT, check=False,
    )  # fmt: skip


def test_nbconvert_executes_a_notebook(tmp_path: Path) -> None:
    path = write_notebook(tmp_path / "book.ipynb", "x = 6\nprint('printed')", "x * 7", "!echo hi")
    result = jupyter("nbconvert", "--execute", "--to", "notebook", "--inplace", path)
    assert result.returncode == 0, result.stderr
    # A terminal ends its lines so, here as in ipykernel.
    assert texts(path) == ["printed\n", "42", "hi\r\n"]


def test_jupyter_execute_runs_a_notebook_and_fails_with_its_cell(tmp_path: Path) -> None:
    path = write_notebook(tmp_path / "book.ipynb", "print('fine')")
    assert jupyter("execute", path, "--inplace").returncode == 0
    assert texts(path) == ["fine\n"]
    path = write_notebook(tmp_path / "bad.ipynb", "1/0")
    result = jupyter("execute", path)
    assert result.returncode != 0
    assert "ZeroDivisionError" in result.stderr


def test_jupyter_run_runs_a_script(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text("import sys\nprint('from the script')\nprint('warned', file=sys.stderr)\n")
    result = jupyter("run", "--kernel", "aca", script)
    assert result.returncode == 0, result.stderr
    assert result.stdout == "from the script\n"
    assert "warned" in result.stderr


def test_papermill_passes_parameters_and_keeps_what_ran_before_an_error(tmp_path: Path) -> None:
    import papermill

    tagged = nbformat.v4.new_code_cell("n = 1")
    tagged.metadata["tags"] = ["parameters"]
    path = write_notebook(tmp_path / "book.ipynb", tagged, "print(n * 2)")
    output = tmp_path / "out.ipynb"
    papermill.execute_notebook(path, output, parameters={"n": 21}, progress_bar=False)
    assert texts(output)[-1] == "42\n"
    path = write_notebook(tmp_path / "bad.ipynb", "print('before')", "1/0", "print('after')")
    with pytest.raises(papermill.PapermillExecutionError, match="ZeroDivisionError"):
        papermill.execute_notebook(path, output, progress_bar=False)
    shown = " ".join(texts(output))
    assert "before" in shown
    assert "after" not in shown


def test_the_console_runs_interrupts_and_exits() -> None:
    console = pexpect.spawn(
        sys.executable,
        ["-m", "jupyter", "console", "--kernel", "aca", "--simple-prompt"],
        timeout=TIMEOUT,
        encoding="utf-8",
        dimensions=(24, 100),
    )
    try:
        console.expect(r"In \[1\]:")
        console.sendline("6 * 7")
        console.expect(r"Out\[1\]: 42")
        console.expect(r"In \[2\]:")
        console.sendline("!echo from $HOME")
        console.expect("from /home/ubuntu|from /")
        console.expect(r"In \[3\]:")
        console.sendline("print('sleeping'); __import__('time').sleep(50)")
        console.expect("sleeping\r\n")
        console.sendintr()
        console.expect("KeyboardInterrupt")
        console.expect(r"In \[4\]:")
        console.sendline("exit")
        console.expect(pexpect.EOF)
    finally:
        console.close(force=True)
