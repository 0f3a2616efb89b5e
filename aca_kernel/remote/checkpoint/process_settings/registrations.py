"""Functions and classes of cells that libraries keep in tables, once they are told of them.

How to print, read or make objects of a class, what an environment or a format is called: most
libraries keep that in a dict of a module or of a class. A module that is imported anew has lost it.
What cells have put there is found by what it is, and put there again; each table is stored on its
own, under a name that tells which one.

So do functions of functools.singledispatch that are a module's, also one of Python's.

Not so what libraries remember for themselves, and tables of which another one, in C, knows, too.
"""

from __future__ import annotations

import functools
import importlib
import re
import types
from typing import Any

from ..atoms import module_of
from .places import Place, standard_packages
from .row import Row, mentioned, shell

NAME = "what cells have registered in "

_FUNCTION, _METHOD = types.FunctionType, functools.singledispatchmethod

# The code of all functions that functools.singledispatch makes.
DISPATCHING = vars(types.FunctionType)["__code__"].__get__(functools.singledispatch(repr))

# A cell that registers something with a function or an abstract class.
REGISTERS = re.compile(r"\.register\b")

_CACHE = re.compile("cache|memo|seen|known|wrapped|weak|sentinel", re.IGNORECASE)

# Those of jax and torch come back with the classes; the others are about how code runs.
_LEFT_OUT = frozenset(
    {
        *("IPython", "cloudpickle", "comm", "debugpy", "ipykernel", "jupyter_client", "matplotlib"),
        *("jax", "jaxlib", "numba", "optree", "pydantic", "torch", "tornado", "traitlets", "zmq"),
    }
)

# A table with more entries is not one of functions and classes.
_MOST_ENTRIES = 20_000

# An entry may be a few things together.
_MOST_PARTS = 8


def read(places: list[Place]) -> dict[str, Any]:
    """Return what cells have put into tables, by names that begin with NAME."""
    cells = shell().user_ns
    left_out = _LEFT_OUT | standard_packages()
    found: dict[str, Any] = {}
    for place in [one for one in places if one.package not in left_out]:
        values = list(place.values.items())
        for name, value in [one for one in values if issubclass(type(one[1]), dict)]:
            entries = _entries(value, cells) if _may_be_table(name, value) else []
            if entries:
                found[NAME + place.path(name)] = (place.module, place.owner, name, entries)
    # Each name of each place is looked at for these.
    for place in places if mentioned(REGISTERS) else ():
        for name, function in _dispatching(place):
            entries = _entries(function.registry, cells)
            if entries:
                found[NAME + place.path(name)] = (place.module, place.owner, name, entries)
    return found


def _dispatching(place: Place) -> list[tuple[str, Any]]:
    """Return what functools.singledispatch has made in a module or class, by its names."""
    code = DISPATCHING
    return [
        (name, _dispatcher(value))
        for name, value in list(place.values.items())
        if type(value) is _METHOD or (type(value) is _FUNCTION and value.__code__ is code)
    ]


def _dispatcher(value: Any) -> Any:
    """Return the function of a method that functools.singledispatchmethod has made."""
    return value.dispatcher if type(value) is _METHOD else value


def _may_be_table(name: Any, value: Any) -> bool:
    is_named = type(name) is str and not name.startswith("__") and not _CACHE.search(name)
    return is_named and 0 < len(value) < _MOST_ENTRIES


def _entries(table: Any, cells: Any) -> list[tuple[Any, Any]]:
    """Return the entries of a table that have something of a cell's in them."""
    return [
        (key, value)
        for key, value in list(table.items())
        if _is_of_cells(key, cells) or _has_part(value, cells)
    ]


def _has_part(value: Any, cells: Any) -> bool:
    kind = type(value)
    if kind in (tuple, list) and len(value) <= _MOST_PARTS:
        return any(_is_of_cells(one, cells) for one in value)
    if _is_of_cells(value, cells):
        return True
    # A record of the library's with a function or class in it.
    held = getattr(value, "__dict__", None) if kind not in _PLAIN else None
    return (
        type(held) is dict
        and len(held) <= 4 * _MOST_PARTS
        and any(_is_of_cells(one, cells) for one in list(held.values()))
    )


def _is_of_cells(value: Any, cells: Any) -> bool:
    kind = type(value)
    if kind is types.FunctionType:
        return value.__globals__ is cells
    return module_of(value if issubclass(kind, type) else kind) == "__main__"


# Records are looked into, but not what has many attributes or is a module, function or class.
_PLAIN = frozenset(
    {
        *(str, int, float, bool, bytes, type(None), dict, set, frozenset, type),
        *(types.ModuleType, types.FunctionType, types.BuiltinFunctionType),
    }
)


def _write(_: Any, state: Any) -> None:
    module, owner, name, entries = state
    place: Any = importlib.import_module(module)
    place = getattr(place, owner) if owner else place
    if name not in vars(place):
        # Its own instead of that of its base, as the library does when somebody registers.
        setattr(place, name, getattr(place, name).copy())
    table = vars(place)[name]
    if type(table) in (_FUNCTION, _METHOD):
        for kind, function in entries:
            _dispatcher(table).register(kind, function)
        return
    for key, value in entries:
        there = table.get(key)
        if type(there) is list and type(value) is list:
            there += [one for one in value if all(one is not other for other in there)]
        else:
            table[key] = value


ROW = Row("sys", None, _write)
