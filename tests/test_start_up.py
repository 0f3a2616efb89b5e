"""A kernel starts without what only commands, or rare requests, need."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest

# Each of them would take tens of milliseconds of every kernel's start.
NOT_NEEDED = {"filelock", "httpx", "pathspec", "rich"}

PROGRAM = "import sys; from aca_kernel.cli import main; sys.exit(main())"


def test_the_kernels_program_does_not_import_them() -> None:
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "aca_kernel", "--help-all"],
        capture_output=True,
        text=True,
        check=True,
    )
    imported = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
    assert "aca_kernel.app" in imported
    assert not NOT_NEEDED & imported


# What answers calls of the environment, the first of which comes later.
OF_CALLS = {"aca_kernel.host.call_table", "aca_kernel.packages.declared", "aca_kernel.remote.state"}


def test_the_kernels_modules_do_not_import_them() -> None:
    code = (
        "import sys, aca_kernel.app, aca_kernel.kernel.driver, aca_kernel.pool.embedded_backend\n"
        f"print(sorted({NOT_NEEDED | OF_CALLS} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


@pytest.mark.parametrize("command", ["doctor", "run"])
def test_commands_import_no_formats_that_notebooks_do_not_have(
    tmp_path: Path, command: str
) -> None:
    nbformat.write(nbformat.v4.new_notebook(), tmp_path / "empty.ipynb")
    arguments = {"doctor": ["--help"], "run": ["--output-dir", "out", "empty.ipynb"]}[command]
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-c", PROGRAM, command, *arguments],
        capture_output=True,
        text=True,
        check=True,
        cwd=tmp_path,
    )
    imported = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
    # They are there only as what JupyterLab needs.
    for name in ("arrow", "lark"):
        assert importlib.util.find_spec(name)
        assert name not in imported
    assert ("nbformat" in imported) == (command == "run")
