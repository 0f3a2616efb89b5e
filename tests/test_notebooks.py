"""The notebooks run under the kernel, and give the outputs that they were saved with."""

from __future__ import annotations

import copy
import re
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient

FOLDER = Path(__file__).resolve().parent.parent / "notebooks"
NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))

# What differs from run to run or from machine to machine, and what stands for it.
_VARYING = [
    (re.compile(r"\x1b\[[0-9;]*m"), ""),  # colours
    (re.compile(r"\r\n"), "\n"),
    (re.compile(r"[^\n]*\r(?!\n)"), ""),  # what a terminal would write over
    (re.compile(r"\b[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\b|\b[0-9a-f]{32}\b"), "<id>"),
    (re.compile(r"\b0x[0-9a-f]+\b"), "<address>"),
    (re.compile(r"\b\d+\.\d+\.\d+\w*"), "<version>"),
    (re.compile(r"\b\d+(\.\d+)?\s?(ns|[µμu]s|ms|s|min|it/s|s/it)(?!\w)"), "<time>"),
    (re.compile(r"\b\d\d:\d\d(:\d\d)?\b"), "<time>"),
]
_STYLE = re.compile(r"<style.*?</style>", re.DOTALL)
_TAG = re.compile(r"<[^>]+>")
_PNG_BEGINNING = "iVBORw0KGgo"


def normalise_text(text: str) -> str:
    """Put marks in the place of addresses, times, ids and versions."""
    for pattern, mark in _VARYING:
        text = pattern.sub(mark, text)
    return text


def normalise_outputs(outputs: list[Any]) -> list[Any]:
    """Return a cell's outputs in a form that is equal for equal behaviour."""
    normal: list[Any] = []
    for output in outputs:
        kind = output["output_type"]
        if kind == "stream":
            name, text = output["name"], output["text"]
            # How a text is divided into messages is a matter of timing.
            if normal and normal[-1][:2] == ["stream", name]:
                normal[-1][2] += text
            else:
                normal.append(["stream", name, text])
        elif kind == "error":
            last_line = output["traceback"][-1].splitlines()[-1]
            texts = (output["ename"], output["evalue"], last_line)
            normal.append([kind, *map(normalise_text, texts)])
        else:
            data = {mime: _normalise(mime, value) for mime, value in output["data"].items()}
            normal.append([kind, output.get("execution_count"), data])
    for item in normal:
        if item[0] == "stream":
            item[2] = normalise_text(item[2])
    return normal


def _normalise(mime: str, value: Any) -> Any:
    if mime == "image/png":
        # Pixels depend on the version of the drawing library and its fonts.
        return "<image>" if value.startswith(_PNG_BEGINNING) else value
    if mime == "application/vnd.jupyter.widget-view+json":
        return {**value, "model_id": "<id>"}
    if mime == "text/html":
        # The markup of tables changes between versions of pandas, their content does not.
        return normalise_text(_TAG.sub(" ", _STYLE.sub("", value))).split()
    return normalise_text(value) if isinstance(value, str) else value


def code_cells(notebook: Any) -> list[Any]:
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def read(path: Path) -> Any:
    return nbformat.read(path, as_version=4)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebook_gives_its_saved_outputs(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("ACA_MCP_ENDPOINT", "ACA_MCP_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    saved = read(path)
    run = copy.deepcopy(saved)
    for cell in code_cells(run):
        cell.outputs, cell.execution_count = [], None
    client = NotebookClient(
        run, kernel_name="aca", timeout=60, resources={"metadata": {"path": str(tmp_path)}}
    )
    client.execute()
    for number, (expected, actual) in enumerate(
        zip(code_cells(saved), code_cells(run), strict=True), 1
    ):
        assert normalise_outputs(actual.outputs) == normalise_outputs(expected.outputs), (
            f"code cell {number} of {path.name}:\n{expected.source}"
        )
    # What the cells wrote is in the environment, not here.
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebook_is_saved_as_a_whole_run_of_this_kernel(path: Path) -> None:
    notebook = read(path)
    nbformat.validate(notebook)
    assert notebook.metadata.kernelspec.name == "aca"
    for number, cell in enumerate(code_cells(notebook), 1):
        assert cell.execution_count == number
        assert "execution" not in cell.metadata, "times of a run make needless differences"
        is_expected_to_fail = "raises-exception" in cell.metadata.get("tags", [])
        has_failed = any(output.output_type == "error" for output in cell.outputs)
        assert has_failed == is_expected_to_fail


def test_there_are_notebooks() -> None:
    assert {path.stem for path in NOTEBOOKS} >= {"quickstart", "tour"}


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("<Figure at 0x7f3a10>", "<Figure at 0x5510aa>"),
        ("took 1.25 ms", "took 12 s"),
        ("adding: 40/40 [00:01<00:00, 31.2it/s]", "adding: 40/40 [00:02<00:00, 19.9it/s]"),
        ("pandas 2.2.3", "pandas 3.0.0rc1"),
        ("468d819bf22b48e0b8a694e11033fe85", "93536e55c4e04f14a681386077c6db06"),
        (" 10%\r 50%\r100%\n", "100%\r\n"),
    ],
)
def test_normaliser_takes_away_what_varies(first: str, second: str) -> None:
    assert normalise_text(first) == normalise_text(second)


@pytest.mark.parametrize(
    ("first", "second"), [("385", "386"), ("step 1 of 5", "step 2 of 5"), ("1.414", "1.415")]
)
def test_normaliser_leaves_results(first: str, second: str) -> None:
    assert normalise_text(first) != normalise_text(second)
