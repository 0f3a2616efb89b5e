"""Objects that Python or a library holds in a place of its own, and variables may hold as well.

They are stored among the variables, under names that no variable has, so that they are the same
objects after a restore.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from . import weak

_FINALIZER = "Out[finalizer "


class _Held(NamedTuple):
    """told: its name in a sentence. read: returns it, None if it is as in a new process."""

    module: str
    told: str
    read: Callable[[Any], Any]
    write: Callable[[Any, Any], None]


# -- pyplot ------------------------------------------------------------------------


def _read_figures(module: Any) -> Any:
    """Return the open figures, the current one last."""
    return [(key, one.canvas.figure) for key, one in module.Gcf.figs.items()] or None


def _write_figures(module: Any, figures: list[tuple[int, Any]]) -> None:
    """Give the figures, which come back in any order, their numbers and their order."""
    registered = module.Gcf.figs
    registered.clear()
    for number, figure in figures:
        manager = getattr(figure.canvas, "manager", None)
        if manager is not None:
            manager.num = number
            registered[number] = manager
            # In a property since matplotlib 3.10.
            setattr(figure, "_number" if hasattr(figure, "_number") else "number", number)


# -- others ------------------------------------------------------------------------


def _read_document(module: Any) -> Any:
    document = module.curstate().document
    return document if document.roots else None


def _write_document(module: Any, document: Any) -> None:
    module.curstate().document = document


def _read_registry(module: Any) -> Any:
    registry = module.application_registry.get()
    return None if registry is module._DEFAULT_REGISTRY else registry  # noqa: SLF001


_ALL = {
    "Out[pyplot]": _Held(
        "matplotlib._pylab_helpers", "the figures of pyplot", _read_figures, _write_figures
    ),
    "Out[bokeh]": _Held("bokeh.io.state", "bokeh's document", _read_document, _write_document),
    "Out[pint]": _Held(
        "pint",
        "pint's registry",
        _read_registry,
        lambda module, registry: module.set_application_registry(registry),
    ),
}


def read(variables: list[Any]) -> Iterator[tuple[str, Any]]:
    """Yield what is held elsewhere, by names. variables: the values of the notebook's own."""
    for name, held in _ALL.items():
        if held.module in sys.modules:
            try:
                value = held.read(sys.modules[held.module])
            except AttributeError:  # of a library of another version
                continue
            if value is not None:
                yield name, value
    # What watches objects of cells.
    for number, one in enumerate(weak.finalizers(variables)):
        yield f"{_FINALIZER}{number}]", one


def write(name: str, value: Any) -> bool:
    """Put something there again; tell whether the name is of such."""
    if name in _ALL:
        _ALL[name].write(importlib.import_module(_ALL[name].module), value)
    # A finalizer is where it was already.
    return name in _ALL or name.startswith(_FINALIZER)


def told_name(name: str) -> str:
    """Return how something is named in a sentence."""
    if name in _ALL:
        return _ALL[name].told
    return "a finalizer" if name.startswith(_FINALIZER) else name
