"""What the tests of batches share."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import nbformat
import psutil

# A bound for what must happen, not a measurement.
TIMEOUT = 120

RUN = [sys.executable, "-c", "import sys; from aca_kernel.cli import main; sys.exit(main())", "run"]


def write_notebook(path: Path, *cells: Any, kernel: str | None = "aca", old: str = "") -> Path:
    """Write a notebook; a cell is its source, or a pair of that and a tag.

    old: what an earlier run has printed in each.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    notebook = nbformat.v4.new_notebook()
    for cell in cells:
        source, *tags = (cell,) if isinstance(cell, str) else cell
        made = nbformat.v4.new_code_cell(source)
        if tags:
            made.metadata["tags"] = tags
        if old:
            made.outputs = [nbformat.v4.new_output("stream", text=old)]
        notebook.cells.append(made)
    if kernel is not None:
        notebook.metadata.kernelspec = {"name": kernel, "display_name": kernel}
    nbformat.write(notebook, path)
    return path


def texts(path: Path) -> list[str]:
    """What each code cell of a notebook shows; errors by their names."""
    notebook = nbformat.read(path, as_version=4)
    return ["".join(map(_text, cell.outputs)) for cell in notebook.cells]


def _text(output: Any) -> str:
    if output.output_type == "stream":
        return str(output.text)
    if output.output_type == "error":
        return str(output.ename)
    return str(output.data["text/plain"])


def outputs(path: Path) -> list[list[Any]]:
    """Every output of each cell, without what differs from run to run."""
    notebook = nbformat.read(path, as_version=4)
    return [list(cell.outputs) for cell in notebook.cells if cell.cell_type == "code"]


def state(path: Path) -> str:
    """How far a notebook's run has come, by its output, which tests look at again and again."""
    return str(json.loads(path.read_text())["metadata"]["aca_kernel"]["run"]["state"])


def environment(env: dict[str, str] | None = None) -> dict[str, str]:
    """This process's variables without any that name a pool, with some of their own."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("ACA_")}
    return {**kept, **(env or {})}


def run(
    folder: Path,
    *arguments: str | Path,
    env: dict[str, str] | None = None,
    timeout: float = TIMEOUT,
) -> subprocess.CompletedProcess[str]:
    """Run a batch in a folder to its end."""
    return subprocess.run(
        [*RUN, *map(str, arguments)],
        cwd=folder, env=environment(env), capture_output=True, text=True, timeout=timeout,
        check=False,
    )  # fmt: skip


@contextmanager
def started(
    folder: Path,
    *arguments: str | Path,
    env: dict[str, str] | None = None,
    is_quiet: bool = False,
) -> Iterator[subprocess.Popen[str]]:
    """Start a batch in a folder; it is killed if it has not ended when the context does.

    is_quiet: nobody reads what it says.
    """
    with subprocess.Popen(
        [*RUN, *map(str, arguments)],
        cwd=folder, env=environment(env), text=True,
        stdout=subprocess.DEVNULL if is_quiet else subprocess.PIPE, stderr=subprocess.STDOUT,
    ) as batch:  # fmt: skip
        try:
            yield batch
        finally:
            if batch.poll() is None:
                batch.kill()
                batch.communicate()


# Code with which kernels say in other words what has become of their environments.
OTHER_WORDS = """\
import sys
if sys.orig_argv[1:3] == ["-m", "aca_kernel"] or "run" in sys.orig_argv:
    # Before the modules that take these functions from it.
    from aca_kernel.messaging import loss_wording
    loss_wording.loss_of = lambda _: "Was gerechnet war, ist fort"
    loss_wording.death_of = lambda code: f"hat aufgehört: {code}"
"""


def ahead(folder: Path, *sources: str) -> dict[str, str]:
    """Variables with which every Python process runs code ahead of what it is started for."""
    site = folder / "site"
    site.mkdir()
    (site / "sitecustomize.py").write_text("\n".join(sources))
    return {"PYTHONPATH": str(site)}


def family(pid: int) -> list[psutil.Process]:
    """Every process that a batch has started."""
    try:
        return psutil.Process(pid).children(recursive=True)
    except psutil.NoSuchProcess:
        return []


def alive(processes: list[psutil.Process]) -> list[psutil.Process]:
    """Those that still run; one whose parent has not read its status does not."""
    return [one for one in processes if one.is_running() and one.status() != psutil.STATUS_ZOMBIE]


def kernels(processes: list[psutil.Process]) -> list[psutil.Process]:
    """The local kernel processes among them."""
    found = []
    for one in processes:
        try:
            words = one.cmdline()
        except (psutil.NoSuchProcess, psutil.ZombieProcess):
            continue
        if "-m" in words and words[words.index("-m") + 1] in ("aca_kernel", "ipykernel_launcher"):
            found.append(one)
    return found
