"""Iterators of itertools that go on for ever.

Since Python 3.14 they do not say how they are pickled.
"""

from __future__ import annotations

import gc
import itertools
from typing import Any


def reduce_count(obj: Any) -> Any:
    """Reduce an itertools.count."""
    held = _held(obj)
    # Small whole numbers are no objects in it, only the step is: `count(5)`.
    return itertools.count, (int(repr(obj)[len("count(") : -1]), 1) if len(held) < 2 else held


def reduce_repeat(obj: Any) -> Any:
    """Reduce an itertools.repeat."""
    try:
        return itertools.repeat, (*_held(obj), obj.__length_hint__())
    except TypeError:  # without an end
        return itertools.repeat, _held(obj)


def _held(obj: Any) -> tuple[Any, ...]:
    return tuple(one for one in gc.get_referents(obj) if one is not type(obj))
