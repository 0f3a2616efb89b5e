"""Functions and classes of cells that have been put into modules and their classes.

A method that a cell adds to a class of a library, a function that it exchanges, an accessor that it
registers: modules are imported anew, and have lost them. Other values that were put there look like
the module's own.
"""

from __future__ import annotations

import functools
import importlib
import types
from typing import Any

from ..atoms import CYTHON, module_of
from .places import Place
from .row import Row, is_of_cells, shell

# What most attributes are, and nothing of a cell's.
_PLAIN = frozenset(
    {
        *(str, int, float, bool, bytes, type(None), tuple, list, dict, set, frozenset),
        *(types.ModuleType, types.BuiltinFunctionType, types.WrapperDescriptorType),
        *(types.MethodDescriptorType, types.GetSetDescriptorType, types.MemberDescriptorType),
        types.ClassMethodDescriptorType,
    }
)

# functools.lru_cache has no public name for what it makes.
_CACHED: Any = functools._lru_cache_wrapper  # noqa: SLF001

_NAME = "what cells have put into modules"


def read(places: list[Place]) -> dict[str, Any]:
    """Return what cells have put there, by the name of its row."""
    search = _PatchSearch()
    found = [
        (place.module, place.owner, name, value)
        for place in places
        for name, value in search.in_place(place)
    ]
    return {_NAME: found} if found else {}


class _PatchSearch:
    """Looks for what cells have put somewhere."""

    def __init__(self) -> None:
        self._cells = shell().user_ns
        # Of types whose instances are nothing of a cell's, and of the others, the ids.
        self._others = {id(kind) for kind in _PLAIN}
        self._kinds: set[int] = set()

    def in_place(self, place: Place) -> list[tuple[str, Any]]:
        """Return what is of cells in a module or class, by its name."""
        function, cells, others = types.FunctionType, self._cells, self._others
        return [
            (name, value)
            for name, value in list(place.values.items())
            if (
                value.__globals__ is cells or value.__module__ == "__main__"
                if (kind := type(value)) is function
                else id(kind) not in others and self._is_of_cells(value)
            )
        ]

    def _is_of_cells(self, value: Any) -> bool:
        kind = type(value)
        if issubclass(kind, type):
            return module_of(value) == "__main__"
        if id(kind) not in self._kinds:
            found = self._kinds if _may_be_of_cells(kind) else self._others
            found.add(id(kind))
            if found is self._others:
                return False
        if is_of_cells(value, self._cells):
            return True
        # An accessor, or another descriptor of a library that is made for a function or class.
        if not hasattr(kind, "__get__"):
            return False
        held = getattr(value, "__dict__", None)
        return type(held) is dict and any(
            is_of_cells(part, self._cells) for part in list(held.values())
        )


def _may_be_of_cells(kind: type) -> bool:
    if kind is _CACHED:
        return True
    if module_of(kind).startswith(CYTHON):
        return False
    is_wrapper = kind is functools.partial or hasattr(kind, "__get__")
    return is_wrapper or module_of(kind) == "__main__"


def _write(_: Any, state: Any) -> None:
    for module, owner, name, value in state:
        place: Any = importlib.import_module(module)
        setattr(getattr(place, owner) if owner else place, name, value)


ROWS: dict[str, Row] = {_NAME: Row("sys", None, _write)}
