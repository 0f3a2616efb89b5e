"""Functions and classes of cells that have been put into modules and their classes.

A method that a cell adds to a class of a library, a function that it exchanges, an accessor that it
registers: modules are imported anew, and have lost them. Other values that were put there look like
the module's own.

Several hundred thousand attributes are looked at, so that each must cost little.
"""

from __future__ import annotations

import functools
import importlib
import sys
import types
from collections.abc import Iterator
from typing import Any

from ..atoms import module_of
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


def _read() -> Any:
    search = _PatchSearch()
    return [
        found
        for name, attributes in modules()
        for found in search.in_module(name, list(attributes.items()))
    ] or None


def modules() -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the modules that can be imported again, by their names, with their attributes."""
    own = __package__.partition(".")[0]
    for name, module in list(sys.modules.items()):
        is_module = issubclass(type(module), types.ModuleType)
        if is_module and name != "__main__" and name.partition(".")[0] != own:
            attributes = object.__getattribute__(module, "__dict__")
            if attributes.get("__spec__") is not None and attributes.get("__name__") == name:
                yield name, attributes


class _PatchSearch:
    """Looks for what cells have put somewhere; yields module, class or "", name and value."""

    def __init__(self) -> None:
        self._cells = shell().user_ns
        # Whether instances of a type may be something of a cell's, by the type's id.
        self._kinds: dict[int, bool] = {}

    def in_module(
        self, module: str, attributes: list[tuple[str, Any]]
    ) -> Iterator[tuple[str, str, str, Any]]:
        """Look at the attributes of a module and of its own classes."""
        for name, value in attributes:
            kind = type(value)
            if kind is types.FunctionType:
                if value.__globals__ is self._cells:
                    yield module, "", name, value
            elif issubclass(kind, type):
                of_module = module_of(value)
                if of_module == "__main__":
                    yield module, "", name, value
                elif of_module == module:
                    for inner, part in list(type.__getattribute__(value, "__dict__").items()):
                        if self._is_of_cells(part):
                            yield module, name, inner, part
            elif self._is_of_cells(value):
                yield module, "", name, value

    def _is_of_cells(self, value: Any) -> bool:
        kind = type(value)
        if kind is types.FunctionType:
            return value.__globals__ is self._cells
        may_be = self._kinds.get(id(kind))
        if may_be is None:
            may_be = self._kinds[id(kind)] = _may_be_of_cells(kind)
        if not may_be:
            return False
        if is_of_cells(value):
            return True
        # An accessor, or another descriptor of a library that is made for a function or class.
        if not hasattr(kind, "__get__") or issubclass(kind, type):
            return False
        held = getattr(value, "__dict__", None)
        return type(held) is dict and any(map(is_of_cells, list(held.values())))


def _may_be_of_cells(kind: type) -> bool:
    if any(kind is one for one in _PLAIN):
        return False
    is_wrapper = kind is functools.partial or hasattr(kind, "__get__")
    return is_wrapper or issubclass(kind, type) or module_of(kind) == "__main__"


def _write(state: Any) -> None:
    for module, owner, name, value in state:
        place: Any = importlib.import_module(module)
        setattr(getattr(place, owner) if owner else place, name, value)


ROWS: dict[str, Row] = {
    "what cells have put into modules": Row("sys", _read, _write),
}
