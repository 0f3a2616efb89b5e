"""Injection of parameters into a notebook, by papermill's convention.

A cell tagged `parameters` holds the defaults. A cell tagged `injected-parameters`, with
one assignment for each value, is inserted behind it, or at the top if there is none, or
replaces an earlier one. Source: papermill's documentation, "Parameterize".
"""

from __future__ import annotations

import importlib
import math
from collections.abc import Mapping
from typing import Any

import nbformat
from nbformat import NotebookNode

from ..errors import SettingInvalid

PARAMETERS_TAG = "parameters"
INJECTED_TAG = "injected-parameters"

# nbclient's tag of a cell that is skipped.
_SKIP_TAG = "skip-execution"


def inject(
    notebook: NotebookNode, parameters: Mapping[str, Any], kernel_name: str, language: str
) -> None:
    """Inject values into a notebook.

    language: of the kernelspec. Raises SettingInvalid: no translator for it is installed.
    """
    if not parameters:
        return
    cell = nbformat.v4.new_code_cell(  # type: ignore[no-untyped-call]
        source=_source(parameters, kernel_name, language)
    )
    cell.metadata["tags"] = [INJECTED_TAG]
    if (notebook.nbformat, notebook.nbformat_minor) < (4, 5):
        del cell["id"]  # which came with 4.5
    old = injected_at(notebook)
    if old is not None:
        notebook.cells[old] = cell
        return
    defaults = _first_tagged(notebook, PARAMETERS_TAG)
    notebook.cells.insert(0 if defaults is None else defaults + 1, cell)


def injected_at(notebook: NotebookNode) -> int | None:
    """Return the index of the cell that `inject` replaces, None if it inserts one."""
    return _first_tagged(notebook, INJECTED_TAG)


def has_tag(cell: NotebookNode, tag: str) -> bool:
    """Tell whether a cell has a tag, also if its metadata are invalid.

    Of tags that are one text, as nbclient does: whether the tag is in it.
    """
    tags = cell.metadata.get("tags", [])
    return isinstance(tags, (list, str)) and tag in tags


def is_run(cell: NotebookNode) -> bool:
    """Tell whether nbclient runs a cell."""
    return bool(cell.cell_type == "code" and cell.source.strip() and not has_tag(cell, _SKIP_TAG))


def _first_tagged(notebook: NotebookNode, tag: str) -> int | None:
    return next((n for n, cell in enumerate(notebook.cells) if has_tag(cell, tag)), None)


def _source(parameters: Mapping[str, Any], kernel_name: str, language: str) -> str:
    try:
        # By name: it need not be installed for the type checker.
        papermill = importlib.import_module("papermill.translators")
    except ImportError:
        if language.lower() != "python":
            raise SettingInvalid(
                f"Parameters for {language} notebooks need papermill: pip install papermill."
            ) from None
        lines = [f"{name} = {_literal(value)}" for name, value in parameters.items()]
        return "\n".join(["# Parameters", *lines, ""])
    try:
        return str(
            papermill.translate_parameters(kernel_name, language, dict(parameters), "Parameters")
        )
    except papermill.PapermillException as error:
        raise SettingInvalid(
            f"papermill cannot write parameters in the language {language} of the kernel "
            f"{kernel_name}: leave them out, or choose another --kernel."
        ) from error


def _literal(value: Any) -> str:
    """Write a value of JSON or YAML as Python."""
    if isinstance(value, Mapping):
        items = (f"{_literal(key)}: {_literal(item)}" for key, item in value.items())
        return "{" + ", ".join(items) + "}"
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(map(_literal, value)) + "]"
    if isinstance(value, float) and not math.isfinite(value):
        return f"float({str(value)!r})"
    if value is None or isinstance(value, (bool, int, float, str)):
        return repr(value)
    return repr(str(value))  # a date of YAML; papermill does the same
