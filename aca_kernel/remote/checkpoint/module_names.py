"""The names under which modules hold objects.

Pickle stores a function or class by the name that it was made with, which is not always one that
its module holds it by: a decorator gives another, `from x import *` brings the result. And objects
that cannot be pickled at all may be a module's own, and are there again when it is imported.

What has been imported out of a library (`from os import environ`) is that library's in any case: a
copy would be another object than the one that the library works with. Not so with modules beside
the notebook, objects of which may hold what cells have put into them.
"""

from __future__ import annotations

from typing import Any

from .functions import Namespaces
from .importable import importable, is_library
from .process_settings import assignments
from .process_settings.row import is_of_cells


class ModuleNames:
    """An index of the attributes of all modules, made when it is first asked.

    variables: of the notebook. namespaces: in which functions that are not its own look for names.
    """

    def __init__(self, variables: dict[str, Any]) -> None:
        self.namespaces = Namespaces(variables)
        self._names: dict[int, tuple[str, str]] | None = None
        self._libraries: list[tuple[str, dict[str, Any]]] | None = None
        self._by_cells: set[tuple[str, str]] | None = None

    def of(self, obj: Any) -> tuple[str, str] | None:
        """Return a module and the attribute of it that an object is, the shortest that there is."""
        if self._names is None:
            self._names = _index(self._set_by_cells())
        where = self._names.get(id(obj))
        # One of a cell's is not there after an import.
        return None if where is None or is_of_cells(obj) else where

    def in_library(self, name: str, obj: Any) -> tuple[str, str] | None:
        """Return where an object comes from that was imported out of a library under its name."""
        if self._libraries is None:
            self._libraries = [
                (module, attributes)
                for module, attributes in importable()
                if is_library(attributes.get("__file__"))
            ]
        for module, attributes in self._libraries:
            if attributes.get(name) is obj and (module, name) not in self._set_by_cells():
                return module, name
        return None

    def _set_by_cells(self) -> set[tuple[str, str]]:
        """Return what cells have put into modules: it is not there after an import."""
        if self._by_cells is None:
            self._by_cells = assignments.places()
        return self._by_cells


def _index(by_cells: set[tuple[str, str]]) -> dict[int, tuple[str, str]]:
    found: dict[int, tuple[str, str]] = {}
    for name, attributes in importable():
        for attribute, value in list(attributes.items()):
            if type(attribute) is str and (name, attribute) not in by_cells:
                found.setdefault(id(value), (name, attribute))
    return found
