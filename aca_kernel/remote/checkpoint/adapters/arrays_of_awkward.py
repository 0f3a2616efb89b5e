"""awkward: arrays and records whose class is one of a cell's, by which their behaviour is told.

The table of behaviours is filled again after the variables; until then they would be plain ones.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from typing import Any

from ..process_settings.row import is_of_cells


def reducers(_: Any) -> Iterator[tuple[type, Callable[[Any], Any]]]:
    """Yield the reducers of arrays and records."""
    library = sys.modules["awkward.highlevel"]

    def reduce(obj: Any) -> Any:
        reduced = obj.__reduce_ex__(5)
        if not is_of_cells(type(obj)) or any(reduced[3:]):
            return reduced
        state = (type(obj), reduced[2] if len(reduced) > 2 else None)
        return *reduced[:2], state, None, None, set_state

    yield library.Array, reduce
    yield library.Record, reduce


def set_state(target: Any, state: tuple[Any, Any]) -> None:
    """Set the attributes of an array or record, and its class."""
    kind, attributes = state
    if attributes is not None:
        target.__setstate__(attributes)
    target.__class__ = kind
