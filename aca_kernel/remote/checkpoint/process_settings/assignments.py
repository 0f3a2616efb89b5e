"""Attributes of modules and of libraries' classes that a cell has set to a value.

`library.LIMIT = 5` leaves no trace but the cell itself, whose text is in the history: what it sets
is looked up there, and how it is now. It is set again, or named. Functions and classes of cells
that have been put there are found without (patches.py).
"""

from __future__ import annotations

import ast
import collections
import importlib
import re
import sys
import types
from collections.abc import Iterator
from typing import Any

from .. import rebuild
from ..atoms import PLAIN, module_of
from ..importable import beside
from .row import Row, is_of_cells, shell

NAME = "what a cell has set: "

# `a.b = c`, `a.b["c"] = d`, `setattr(a, "b", c)`, before the whole of a cell is parsed.
_MAY_SET = re.compile(r"\w\.\w[\w.]*(\s*\[.*\])?\s*([-+*/|&]?=)[^=]|setattr\(")

# Of more cells, the last ones.
_MOST_CELLS = 2000

# Those of the shell and of Python's `sys` and `os` are settings of their own.
_LEFT_OUT = frozenset({"IPython", "ipykernel", "sys", "os", "__main__", "matplotlib"})

_CONTAINERS = (list, dict, set, collections.deque, collections.defaultdict, collections.Counter)


def read() -> dict[str, Any]:
    """Return what is to be set again, by names that begin with NAME."""
    return {**_imported(), **_set_by_cells()}


def _imported() -> dict[str, Any]:
    """Return containers that a module beside the notebook shares with a variable.

    The variable comes back with what is in it now, and is the module's again.
    """
    variables = {
        id(value): name
        for name, value in list(shell().user_ns.items())
        # Not `in`, which would ask classes of the user's whether they are equal.
        if name[:1] != "_" and any(type(value) is kind for kind in _CONTAINERS)
    }
    return {
        f"{NAME}{module}.{name}": (module, "", name, None, None, variables[id(value)])
        for module, attributes in (beside() if variables else ())
        for name, value in list(attributes.items())
        if id(value) in variables and not name.startswith("__")
    }


def _set_by_cells() -> dict[str, Any]:
    found: dict[str, Any] = {}
    for text in list(shell().history_manager.input_hist_parsed)[-_MOST_CELLS:]:
        if not _MAY_SET.search(text):
            continue
        try:
            tree = ast.parse(text)
        except (SyntaxError, ValueError):
            continue
        for place, name, key in _targets(tree):
            found.update(_as_it_is_now(place, name, key))
    return found


def places() -> set[tuple[str, str]]:
    """Return the modules with the attributes of them that cells have set."""
    return {(module, name) for module, owner, name, *_ in _set_by_cells().values() if not owner}


def _targets(tree: ast.AST) -> Iterator[tuple[ast.expr, str, Any]]:
    """Yield the expression, the attribute, and the key in it if one is set, of all assignments."""
    for node in ast.walk(tree):
        targets: list[Any] = []
        if isinstance(node, ast.Assign):
            targets = [part for one in node.targets for part in getattr(one, "elts", [one])]
        elif isinstance(node, (ast.AugAssign, ast.AnnAssign)):
            targets = [node.target]
        elif isinstance(node, ast.Call) and getattr(node.func, "id", "") == "setattr":
            place, name = (*node.args, None, None)[:2]
            if place is not None and isinstance(name, ast.Constant):
                yield place, str(name.value), None
        for one in targets:
            if isinstance(one, ast.Attribute):
                yield one.value, one.attr, None
            elif isinstance(one, ast.Subscript) and isinstance(one.value, ast.Attribute):
                key = one.slice.value if isinstance(one.slice, ast.Constant) else None
                if key is not None:
                    yield one.value.value, one.value.attr, key


def _as_it_is_now(expression: ast.expr, name: str, key: Any) -> Iterator[tuple[str, Any]]:
    place = _module_or_class(expression)
    if place is None:
        return
    module, owner, attributes = place
    if name not in attributes or name.startswith("__") or module.partition(".")[0] in _LEFT_OUT:
        return
    value = attributes[name]
    if key is not None:
        if type(value) is not dict or key not in value:
            return
        value = value[key]
    if is_of_cells(value) or isinstance(value, types.ModuleType):
        return
    path = ".".join(filter(None, (module, owner, name)))
    label = f"{path}[{key!r}]" if key is not None else path
    # What is a variable, too, must stay the same object.
    variable = _variable(value)
    yield NAME + label, (module, owner, name, key, None if variable else value, variable)


def _variable(value: Any) -> str:
    """Return the name of a variable that an object is, "" if it is none or need not be the same."""
    if type(value) in PLAIN:
        return ""
    names = (name for name, one in list(shell().user_ns.items()) if one is value)
    return next((name for name in names if name[:1] != "_"), "")


def _module_or_class(expression: ast.expr) -> tuple[str, str, Any] | None:
    """Return a module, a class in it or "", and the attributes, if an expression names these."""
    names: list[str] = []
    while isinstance(expression, ast.Attribute):
        names.insert(0, expression.attr)
        expression = expression.value
    if not isinstance(expression, ast.Name):
        return None
    found = shell().user_ns.get(expression.id)
    for name in names:
        if not isinstance(found, (types.ModuleType, type)):
            return None
        found = object.__getattribute__(found, "__dict__").get(name)
    if issubclass(type(found), types.ModuleType):
        module, owner = sys.modules.get(found.__name__), ""
    elif issubclass(type(found), type):
        module, owner = sys.modules.get(module_of(found)), found.__qualname__
    else:
        return None
    # Not of one that was made by hand, or is the notebook itself.
    attributes = object.__getattribute__(module, "__dict__") if module is not None else {}
    if attributes.get("__spec__") is None or attributes["__name__"] == "__main__":
        return None
    held = dict(type.__getattribute__(found, "__dict__")) if owner else attributes
    return attributes["__name__"], owner, held


def _write(_: Any, state: Any) -> None:
    module, owner, name, key, value, variable = state
    if variable:
        value = rebuild.named(variable)
    place: Any = importlib.import_module(module)
    for part in filter(None, owner.split(".")):
        place = getattr(place, part)
    if key is None:
        setattr(place, name, value)
    else:
        getattr(place, name)[key] = value


ROW = Row("sys", None, _write)
