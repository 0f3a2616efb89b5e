"""The namespaces of all modules and of their classes, where cells may have changed something.

There are several thousand, with a hundred thousand names, and each checkpoint looks at all of them:
what is done for a name must cost little.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any, NamedTuple

from ..atoms import module_of
from ..importable import importable


class Place(NamedTuple):
    """A module that can be imported again, or one of its own classes.

    package: the first part of the module's name. owner: the class's name in the module; "" for the
    module. values: as they are now, by name.
    """

    package: str
    module: str
    owner: str
    values: Mapping[str, Any]

    def path(self, name: str) -> str:
        """Return the dotted path of one of its values."""
        return ".".join(filter(None, (self.module, self.owner, name)))


def all_places() -> list[Place]:
    """Return all, but for the notebook itself and this package."""
    found = []
    for name, values in importable():
        if values.get("__name__") != name:  # another name of it
            continue
        package = name.partition(".")[0]
        found.append(Place(package, name, "", values))
        classes = [(key, one) for key, one in list(values.items()) if issubclass(type(one), type)]
        for key, one in classes:
            if module_of(one) == name:
                held = type.__getattribute__(one, "__dict__")
                found.append(Place(package, name, key, held))
    return found


def standard_packages() -> frozenset[str]:
    """Return the names of the standard library's modules and packages."""
    return frozenset(getattr(sys, "stdlib_module_names", sys.builtin_module_names))
