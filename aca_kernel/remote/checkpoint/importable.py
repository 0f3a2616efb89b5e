"""The modules that can be imported again, of libraries and beside the notebook."""

from __future__ import annotations

import sys
import types
from collections.abc import Iterator
from typing import Any

from ..originals import os

# Where libraries are: Python's own, and those that were installed.
_PYTHON = os.path.dirname(os.__file__) + os.sep
_FOLDERS = (f"{os.sep}site-packages{os.sep}", f"{os.sep}dist-packages{os.sep}")


def is_library(path: Any) -> bool:
    """Tell whether a module's file, None if it has none, is a library's."""
    if path is None:  # it is built in
        return True
    return type(path) is str and (path.startswith(_PYTHON) or any(one in path for one in _FOLDERS))


def beside() -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield modules that are no library's, as those beside the notebook, with their attributes."""
    for module, attributes in importable():
        if not is_library(attributes.get("__file__")):
            yield module, attributes


def importable() -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield modules by their names with their attributes, those with short names first."""
    own = __package__.partition(".")[0]
    modules = [(name, one) for name, one in list(sys.modules.items()) if type(name) is str]
    for name, module in sorted(modules, key=lambda one: (one[0].count("."), len(one[0]))):
        if not issubclass(type(module), types.ModuleType) or name.partition(".")[0] == own:
            continue
        attributes = object.__getattribute__(module, "__dict__")
        # One that was made by hand cannot be imported again.
        if attributes.get("__spec__") is not None and name != "__main__":
            yield name, attributes
