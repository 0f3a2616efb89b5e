"""Notebooks on disk, and the record of a run in its output.

The output's metadata hold `aca_kernel.run`: {"state": ..., "fingerprint": ...}, by which
--resume finds notebooks that are done and unchanged. There is no file beside the notebooks.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import warnings
from collections.abc import Mapping
from typing import Any

import nbformat
from nbformat import NotebookNode
from nbformat.reader import NotJSONError

from ..errors import SettingInvalid
from .injection import injected_at

_METADATA = "aca_kernel"

# In sentences of nbformat, which name what a notebook lacks.
_MISSING_KEY = re.compile(r"missing an? (?:expected )?key: (\w+)")

_SURROGATE = re.compile("[\ud800-\udfff]")


class NotebookInvalid(SettingInvalid):
    """A file is no notebook: this one fails, and the others run."""


def read_notebook(path: str) -> NotebookNode:
    """Return a notebook, in nbformat 4.

    Raises NotebookInvalid: there is none that can be read.
    """
    try:
        # With or without a byte order mark.
        with open(path, encoding="utf-8-sig") as file:
            text = file.read()
    except UnicodeDecodeError as error:
        raise NotebookInvalid("The notebook is not UTF-8 text: save it as UTF-8.") from error
    except OSError as error:
        raise NotebookInvalid(f"The notebook cannot be read: {error.strerror}.") from error
    try:
        with warnings.catch_warnings():
            # Of missing cell ids, which nbformat adds.
            warnings.simplefilter("ignore")
            notebook: NotebookNode = nbformat.reads(  # type: ignore[no-untyped-call]
                text, as_version=4
            )
        flaw = _flaw_of(notebook)
    except NotJSONError as error:
        if not text.strip():
            raise NotebookInvalid(
                "The file is empty: save the notebook again, or remove the file."
            ) from error
        raise NotebookInvalid(f"The notebook is not valid JSON{_where(text)}.") from error
    except Exception as error:  # nbformat's converters raise anything
        newer = _newer_format(text)
        if newer:
            raise NotebookInvalid(
                f"The notebook's format is {newer}, which is newer than any that is known here: "
                "save it in format 4."
            ) from error
        key = _MISSING_KEY.search(str(error))
        why = f", for it has no {key[1]!r} where one belongs" if key else ""
        raise NotebookInvalid(
            f"The file is JSON, and not a notebook{why}: correct that in a text editor, or save "
            "the notebook again."
        ) from error
    if flaw:
        raise NotebookInvalid(f"{flaw}: open the file in an editor and correct that.")
    return notebook


def _flaw_of(notebook: NotebookNode) -> str:
    """Return the first flaw that keeps a notebook from running, or an empty text.

    Other flaws are common, and do no harm. Raises AttributeError: it is JSON of another kind.
    """
    if not isinstance(notebook.metadata, Mapping):
        return "The notebook's metadata are not an object"
    if not isinstance(notebook.cells, list):
        return "The notebook's cells are not a list"
    flaws = (
        f"The notebook's cell {number} has no {missing}"
        for number, cell in enumerate(notebook.cells, 1)
        if (missing := _missing_of(cell))
    )
    return next(flaws, "")


def _missing_of(cell: Any) -> str:
    if not isinstance(cell, Mapping) or not isinstance(cell.get("cell_type"), str):
        return "kind"
    source = cell.get("source")
    if not isinstance(source, str):
        return "source"
    if cell["cell_type"] == "code" and _SURROGATE.search(source):
        # A kernel has to repeat it in its messages, which are UTF-8.
        return "Unicode text: half of a character stands in it"
    metadata = cell.get("metadata")
    if not isinstance(metadata, Mapping):
        return "metadata"
    return "" if isinstance(metadata.get("tags", []), (list, str)) else "list as its tags"


def _newer_format(text: str) -> int:
    """Return the number of a notebook's format if it is not known yet, else 0."""
    try:
        number = json.loads(text)["nbformat"]
    except (ValueError, TypeError, LookupError, RecursionError):  # JSON of any kind, or none
        return 0
    return number if isinstance(number, int) and number > nbformat.current_nbformat else 0


def _where(text: str) -> str:
    try:
        json.loads(text)
    except ValueError as error:
        return f": {error}"
    return ""


def text_of(notebook: NotebookNode) -> str:
    """Return a notebook as Jupyter writes it."""
    text: str = nbformat.v4.writes_json(notebook)  # type: ignore[no-untyped-call]
    return text + "\n"


# -- the record of a run ---------------------------------------------------------------


def fingerprint(notebook: NotebookNode, parameters: Mapping[str, Any], **circumstances: Any) -> str:
    """Return a hash of everything that a notebook's outputs depend on.

    Outputs, numbers, times and the cell that parameters replace do not count: running a
    notebook in place does not change it. circumstances: kernel and the like; JSON.
    """
    replaced = injected_at(notebook) if parameters else None
    cells = [
        [
            cell.cell_type,
            cell.source,
            {key: value for key, value in cell.metadata.items() if key != "execution"},
        ]
        for number, cell in enumerate(notebook.cells)
        if number != replaced
    ]
    everything = [cells, {**circumstances, "parameters": _sortable(parameters)}]
    text = json.dumps(everything, sort_keys=True, default=str)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def _sortable(value: Any) -> Any:
    """Return a value of YAML with text for keys, which may be of several types."""
    if isinstance(value, Mapping):
        return {
            key if isinstance(key, str) else f"{type(key).__name__} {key!r}": _sortable(item)
            for key, item in value.items()
        }
    return [_sortable(item) for item in value] if isinstance(value, (list, tuple)) else value


def remember(notebook: NotebookNode, state: str, print_: str) -> None:
    """Record the state of its run in a notebook."""
    if not isinstance(notebook.metadata.get(_METADATA), dict):
        notebook.metadata[_METADATA] = {}
    # Looked up again: setting it has made a copy.
    notebook.metadata[_METADATA]["run"] = {"state": state, "fingerprint": print_}


def is_done(path: str, print_: str) -> bool:
    """Tell whether a file is the output of a finished run with this fingerprint."""
    if not os.path.exists(path):
        return False
    try:
        run = read_notebook(path).metadata.get(_METADATA, {}).get("run", {})
    except (NotebookInvalid, AttributeError):
        return False
    return isinstance(run, Mapping) and dict(run) == {"state": "done", "fingerprint": print_}


def prepare(notebook: NotebookNode) -> None:
    """Remove the outputs of an earlier run."""
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs = []
            cell.execution_count = None
            cell.metadata.pop("execution", None)
    # Of widgets in those outputs.
    notebook.metadata.pop("widgets", None)
