"""One row of the table of settings, and who has set what."""

from __future__ import annotations

import functools
import sys
import types
from collections.abc import Callable
from typing import Any, NamedTuple

from ..atoms import module_of

# Names with reasons, each of which begins lower case.
Unkept = list[tuple[str, str]]


class Row(NamedTuple):
    """Settings of one kind.

    module: the one that must be loaded. read: returns them, None if they are as in a new process.
    write: sets what `read` has returned, and may be called twice.
    is_early: variables depend on them, so that they are set before these are loaded, too.
    is_before_fork: they are not the same any more in the copy that stores them.
    """

    module: str
    read: Callable[[], Any]
    write: Callable[[Any], Any]
    is_early: bool = False
    is_before_fork: bool = False


def loaded(module: str) -> Any:
    """Return a module that is loaded."""
    return sys.modules[module]


def shell() -> Any:
    """Return IPython's shell."""
    return sys.modules["IPython"].get_ipython()


def is_of_cells(value: Any, depth: int = 2) -> bool:
    """Tell whether something is, or is made of, a function or class of a cell.

    By types alone, as far as it goes: attributes of the user's objects may run the user's code.
    """
    kind = type(value)
    if kind is types.FunctionType:
        return value.__globals__ is shell().user_ns
    if issubclass(kind, type):
        return module_of(value) == "__main__"
    if module_of(kind) == "__main__":
        return True
    if not depth:
        return False
    parts: list[Any] = []
    if kind is types.MethodType:
        parts = [value.__func__, value.__self__]
    elif kind in (staticmethod, classmethod):
        parts = [value.__func__]
    elif kind is property:
        parts = [value.fget, value.fset, value.fdel]
    elif kind is functools.partial:
        parts = [value.func]
    return any(is_of_cells(part, depth - 1) for part in parts)
