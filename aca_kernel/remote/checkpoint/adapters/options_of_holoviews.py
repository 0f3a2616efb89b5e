"""holoviews: the options of elements, which it keeps in a table of its own."""

from __future__ import annotations

import copy
import importlib
import sys
from collections.abc import Callable, Iterator
from typing import Any


def reducers(_: Any) -> Iterator[tuple[type, Callable[[Any], Any]]]:
    """Yield the reducer of what may have options."""
    store = sys.modules["holoviews.core.options"].Store

    def reduce(obj: Any) -> Any:
        before = store.save_option_state
        # As its own way to write pickles does.
        store.save_option_state = True
        try:
            reduced = obj.__reduce_ex__(5)
        finally:
            store.save_option_state = before
        if len(reduced) < 3 or any(reduced[3:]) or type(reduced[2]) is not dict:
            return reduced
        return *reduced[:3], None, None, set_state

    yield sys.modules["holoviews.core.dimension"].LabelledData, reduce


def set_state(target: Any, state: dict[str, Any]) -> None:
    """Set the attributes of an object, and its options under the number that they had."""
    store: Any = importlib.import_module("holoviews.core.options").Store
    number = state.get("_id")
    if number is not None:
        store._weakrefs.setdefault(number, [])  # noqa: SLF001 - where loading looks for it
    # A tree takes attributes that are set for new branches.
    tree = {name: copy.copy(state[name]) for name in ("children", "data") if name in state}
    before = store.load_counter_offset
    store.load_counter_offset = 0
    try:
        target.__setstate__(state)
    finally:
        store.load_counter_offset = before
    if len(tree) == 2:
        target.__dict__.update(tree)
