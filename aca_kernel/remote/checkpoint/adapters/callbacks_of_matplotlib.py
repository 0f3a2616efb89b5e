"""matplotlib: the callbacks of cells, and those by which a colorbar follows its image.

It leaves all callbacks out of its pickles but those that it has marked itself.
"""

from __future__ import annotations

import sys
import types
from collections.abc import Callable, Iterator
from typing import Any

from ..atoms import module_of
from ..process_settings.row import is_of_cells


def reducers(_: Any) -> Iterator[tuple[type, Callable[[Any], Any]]]:
    """Yield the reducer of registries of callbacks."""

    def reduce(obj: Any) -> Any:
        marked = set(obj._pickled_cids)  # noqa: SLF001 - nothing public tells it
        wanted = {
            number
            for callbacks in list(obj.callbacks.values())
            for number, proxy in list(callbacks.items())
            if _is_wanted(proxy())
        }
        obj._pickled_cids = marked | wanted  # noqa: SLF001 - as above
        try:
            return obj.__reduce_ex__(5)
        finally:
            obj._pickled_cids = marked  # noqa: SLF001 - as above

    yield sys.modules["matplotlib.cbook"].CallbackRegistry, reduce


_FOLLOWING = frozenset({"matplotlib.colorbar", "matplotlib.colorizer", "matplotlib.cm"})


def _is_wanted(callback: Any) -> bool:
    if callback is None:
        return False
    if type(callback) is types.MethodType:
        # What tells an image of its norm's limits, and a colorbar of its image's.
        modules = set(map(module_of, type(callback.__self__).__mro__))
        return not modules.isdisjoint(_FOLLOWING) or is_of_cells(callback)
    held = getattr(callback, "__closure__", None) or ()
    # A list's `append`, or what a cell has made of its own.
    is_method = type(callback) is types.BuiltinFunctionType and type(callback.__self__) is list
    return is_method or is_of_cells(callback) or any(is_of_cells(_content(one)) for one in held)


def _content(cell: Any) -> Any:
    try:
        return cell.cell_contents
    except ValueError:  # nothing is in it yet
        return None
