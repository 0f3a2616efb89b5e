"""bidict: a dict and its inverse, one of which keeps the other."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from typing import Any


def reducers(_: Any) -> Iterator[tuple[type, Callable[[Any], Any]]]:
    """Yield the reducer of both."""

    def reduce(obj: Any) -> Any:
        # The one that does not keep the other knows it weakly.
        if getattr(obj, "_inv", None) is None and getattr(obj, "_invweak", None) is not None:
            other = obj._invweak()  # noqa: SLF001 - nothing public tells it
            if other is not None:
                return inverse, (other,)
        return obj.__reduce_ex__(5)

    yield sys.modules["bidict"].BidictBase, reduce


def inverse(other: Any) -> Any:
    """Return the inverse of another one."""
    return other.inverse
