"""plotly: parts of figures, such as a trace or an axis, go on being parts of these."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from typing import Any


def reducers(_: Any) -> Iterator[tuple[type, Callable[[Any], Any]]]:
    """Yield the reducer of parts."""
    base = sys.modules["plotly.basedatatypes"]

    def reduce(obj: Any) -> Any:
        parent = obj.parent
        where = None if parent is None else _place(obj, parent, base.BaseFigure)
        return obj.__reduce_ex__(5) if where is None else (part, (parent, *where))

    yield base.BasePlotlyType, reduce


def _place(obj: Any, parent: Any, figures: Any) -> tuple[str, int | None] | None:
    """Return the name of a part, and its number where there are several."""
    names = ("layout", "data", "frames") if isinstance(parent, figures) else [*parent]
    for name in names:
        found = parent[name]
        if found is obj:
            return name, None
        if isinstance(found, tuple):
            for number, one in enumerate(found):
                if one is obj:
                    return name, number
    return None


def part(parent: Any, name: str, number: int | None) -> Any:
    """Return a part of a figure, or of another part."""
    found = parent[name]
    return found if number is None else found[number]
