"""Objects of libraries whose pickling loses something, each library in a small file of its own.

A file is imported where its library is loaded. It has one function or more of these:

    reducers(pickler)   yields types, each with a function that reduces objects of it and of its
                        subclasses
    registered(kind)    returns what is to be called when a class of a cell has come back: functions
                        of the file, each with the arguments that follow the class
    reduced_class(kind) reduces a class that is made in another way than others; None: it is not

Functions that pickles call are in the same file, and may not be renamed either (rebuild.py).
"""

from __future__ import annotations

import contextlib
import importlib
import sys
from collections.abc import Callable, Iterator
from typing import Any

# The library's module that must be loaded, and the file.
_FILES = (
    ("argparse", "arguments_of_argparse"),
    ("torch", "tensors_of_torch"),
    ("jax.tree_util", "trees_of_jax"),
    ("equinox._module._module", "modules_of_equinox"),
    ("mesa.agent", "agents_of_mesa"),
    ("rdkit.Chem", "molecules_of_rdkit"),
    ("matplotlib.cbook", "callbacks_of_matplotlib"),
    ("pydantic._internal._config", "models_of_pydantic"),
    ("plotly.basedatatypes", "parts_of_plotly"),
    ("bs4.element", "documents_of_bs4"),
    ("holoviews.core.dimension", "options_of_holoviews"),
    ("astropy.table", "tables_of_astropy"),
    ("polars", "expressions_of_polars"),
    ("bidict", "pairs_of_bidict"),
    ("awkward.highlevel", "arrays_of_awkward"),
    ("ibis.backends", "connections_of_ibis"),
    ("pint.util", "quantities_of_pint"),
)


def reducers(pickler: Any) -> Iterator[tuple[type, Callable[[Any], Any]]]:
    """Yield types of loaded libraries with their reducers."""
    for adapter in _adapters("reducers"):
        with contextlib.suppress(AttributeError):  # of a library of another version
            yield from adapter.reducers(pickler)


def registered(kind: type) -> list[tuple[Any, ...]]:
    """Return what is to be called when a class has come back."""
    found: list[tuple[Any, ...]] = []
    for adapter in _adapters("registered"):
        with contextlib.suppress(AttributeError):  # as above
            found += adapter.registered(kind)
    return found


def reduced_class(kind: type) -> Any:
    """Reduce a class that is made in a way of its library's; None: it is made as others are."""
    for adapter in _adapters("reduced_class"):
        reduced = adapter.reduced_class(kind)
        if reduced is not None:
            return reduced
    return None


def _adapters(has: str) -> Iterator[Any]:
    for library, name in _FILES:
        if library in sys.modules:
            adapter = importlib.import_module(f"{__name__}.{name}")
            if hasattr(adapter, has):
                yield adapter
