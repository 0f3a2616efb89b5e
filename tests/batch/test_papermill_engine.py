"""papermill's engine `aca`: by its command line, as schedulers call it, and by its interface."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
from importlib.metadata import entry_points
from pathlib import Path

import nbformat
import pytest

from aca_kernel.batch.papermill_entry import AcaEngine

from ..support import QUICK_TOOLS, TIMEOUT, running_pool
from .support import outputs, write_notebook


def shown(path: Path) -> list[str]:
    """Each code cell's outputs; papermill puts a cell of Markdown before one that has failed."""
    return [str(cell) for cell in outputs(path)]


def test_papermill_finds_the_engine() -> None:
    (found,) = entry_points(group="papermill.engine", name="aca")
    assert found.load() is AcaEngine


def test_a_notebook_of_another_kernel_runs_in_a_pool(tmp_path: Path) -> None:
    path = write_notebook(
        tmp_path / "in.ipynb",
        ("n = 1", "parameters"),
        "print(n * 2)",
        "%aca status",
        kernel="python3",
    )
    words = ["--engine", "aca", "--language", "python", "-p", "n", "21"]
    with running_pool() as pool:
        done = subprocess.run(
            [sys.executable, "-m", "papermill", path, "out.ipynb", *words],
            cwd=tmp_path,
            env={**os.environ, **QUICK_TOOLS, **pool.env},
            capture_output=True,
            text=True,
            timeout=TIMEOUT,
            check=False,
        )
    assert done.returncode == 0, done.stderr
    *_, printed, status = shown(tmp_path / "out.ipynb")
    assert "42\\n" in printed
    assert "127.0.0.1" in status


def test_an_error_ends_the_notebook_as_papermill_has_it(
    tmp_path: Path,
) -> None:
    import papermill

    path = write_notebook(tmp_path / "in.ipynb", "print('before')", "1/0", "print('after')")
    output = tmp_path / "out.ipynb"
    with pytest.raises(papermill.PapermillExecutionError, match="ZeroDivisionError"):
        papermill.execute_notebook(path, output, engine_name="aca", progress_bar=False)
    before, _, after = shown(output)
    assert "before" in before
    assert after == "[]"


def test_a_loss_between_two_cells_ends_the_notebook_and_notices_are_no_output(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    import papermill

    with running_pool() as pool:
        for name, value in pool.env.items():
            monkeypatch.setenv(name, value)
        codes = ("x = 1", "print(6)", "print('ran')", "print(8)")
        path = write_notebook(tmp_path / "in.ipynb", *codes)
        complete = papermill.engines.NotebookExecutionManager.cell_complete

        def expire(manager: object, cell: object, cell_index: int = 0, **more: object) -> None:
            complete(manager, cell, cell_index=cell_index, **more)
            if cell_index == 1:
                pool.expire()

        monkeypatch.setattr(papermill.engines.NotebookExecutionManager, "cell_complete", expire)
        with (
            caplog.at_level(logging.WARNING, "papermill"),
            pytest.raises(papermill.PapermillExecutionError, match="ended between two cells"),
        ):
            papermill.execute_notebook(
                path, tmp_path / "out.ipynb", engine_name="aca", progress_bar=False
            )
    notebook = nbformat.read(tmp_path / "out.ipynb", as_version=4)
    assert "EnvironmentGone" in str(notebook)
    assert shown(tmp_path / "out.ipynb")[-1] == "[]"
    assert [one for one in caplog.records if "environment" in one.getMessage()]
