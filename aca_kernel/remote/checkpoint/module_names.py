"""The names under which modules hold objects.

Pickle stores a function or class by the name that it was made with, which is not always one that
its module holds it by: a decorator gives another, `from x import *` brings the result. And objects
that cannot be pickled at all may be a module's own, and are there again when it is imported.
"""

from __future__ import annotations

import sys
import types
from typing import Any


class ModuleNames:
    """An index of the attributes of all modules, made when it is first asked for something."""

    def __init__(self) -> None:
        self._names: dict[int, tuple[str, str]] | None = None

    def of(self, obj: Any) -> tuple[str, str] | None:
        """Return a module and the attribute of it that an object is, the shortest that there is."""
        if self._names is None:
            self._names = _index()
        return self._names.get(id(obj))


def _index() -> dict[int, tuple[str, str]]:
    own = __package__.partition(".")[0]
    found: dict[int, tuple[str, str]] = {}
    modules = [(name, one) for name, one in list(sys.modules.items()) if type(name) is str]
    for name, module in sorted(modules, key=lambda one: (one[0].count("."), len(one[0]))):
        if not issubclass(type(module), types.ModuleType) or name.partition(".")[0] == own:
            continue
        attributes = object.__getattribute__(module, "__dict__")
        # One that was made by hand cannot be imported again.
        if attributes.get("__spec__") is None or name == "__main__":
            continue
        for attribute, value in list(attributes.items()):
            if type(attribute) is str:
                found.setdefault(id(value), (name, attribute))
    return found
