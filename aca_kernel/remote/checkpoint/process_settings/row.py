"""One row of the table of settings, and who has set what."""

from __future__ import annotations

import functools
import operator
import re
import sys
import types
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

from ..atoms import module_of

# Names with reasons, each of which begins lower case.
Unkept = list[tuple[str, str]]


class Row(NamedTuple):
    """Settings of one kind.

    module: the one that must be loaded, which both functions are given. read: returns them, None if
    they are as in a new process; None: a search finds them.
    write: sets what `read` has returned, and may be called twice.
    is_early: variables depend on them, so that they are set before these are loaded, too.
    is_before_fork: they are not the same any more in the copy that stores them.
    """

    module: str
    read: Callable[[Any], Any] | None
    write: Callable[[Any, Any], Any]
    is_early: bool = False
    is_before_fork: bool = False


def call(path: str) -> Callable[..., Any]:
    """Return what calls a function of a row's module, which is looked up by then."""
    return lambda module, *state: operator.attrgetter(path)(module)(*state)


def call_each(path: str) -> Callable[[Any, Any], None]:
    """Return what calls such a function for each item of a dict, or pair of a list."""

    def write(module: Any, state: Any) -> None:
        for pair in dict(state).items():
            call(path)(module, *pair)

    return write


def loaded(module: str) -> Any:
    """Return a module that is loaded."""
    return sys.modules[module]


def shell() -> Any:
    """Return IPython's shell."""
    return sys.modules["IPython"].get_ipython()


def mentioned(pattern: re.Pattern[str]) -> bool:
    """Tell whether a cell's text has something that matches."""
    return any(map(pattern.search, list(shell().history_manager.input_hist_parsed)))


def of_cells(lists: Iterable[tuple[Any, Iterable[Any]]]) -> dict[Any, list[Any]] | None:
    """Return what is of cells in lists, by the names of these; None: there is nothing."""
    found = {name: [one for one in ones if is_of_cells(one)] for name, ones in lists}
    return {name: ones for name, ones in found.items() if ones} or None


# What is made of functions, by the ids of its types: a metaclass may forbid to hash its classes.
_PARTS: dict[int, Callable[[Any], tuple[Any, ...]]] = {
    id(property): lambda one: (one.fget, one.fset, one.fdel),
    id(staticmethod): lambda one: (one.__func__,),
    id(classmethod): lambda one: (one.__func__,),
    id(types.MethodType): lambda one: (one.__func__, one.__self__),
    id(functools.partial): lambda one: (one.func,),
    # It has no public name.
    id(functools._lru_cache_wrapper): lambda one: (one.__wrapped__,),  # noqa: SLF001
}


def is_of_cells(value: Any, cells: Any = None, depth: int = 2) -> bool:
    """Tell whether something is, or is made of, a function or class of a cell.

    By types alone, as far as it goes: attributes of the user's objects may run the user's code.
    cells: the namespace of cells, for who asks often.
    """
    kind = type(value)
    if cells is None:
        cells = shell().user_ns
    if kind is types.FunctionType:
        # A decorator of a module makes others, and names them so.
        return value.__globals__ is cells or value.__module__ == "__main__"
    if issubclass(kind, type):
        return module_of(value) == "__main__"
    if module_of(kind) == "__main__":
        return True
    if not depth:
        return False
    parts = _PARTS.get(id(kind))
    return parts is not None and any(
        is_of_cells(part, cells, depth - 1) for part in parts(value) if part is not None
    )
