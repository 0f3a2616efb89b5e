"""Pickling of views of dicts: keys, values and items, and proxies that can be read only.

They show what the dict holds later. So they are stored with the dict, which they do not tell: the
garbage collector does.
"""

from __future__ import annotations

import collections
import gc
import types
from collections.abc import Callable
from typing import Any

_MAKERS: tuple[Callable[[Any], Any], ...] = (
    *(dict.keys, dict.values, dict.items),
    *(collections.OrderedDict.keys, collections.OrderedDict.values, collections.OrderedDict.items),
)

_EMPTY = collections.OrderedDict[Any, Any]()


def reducers() -> dict[type, Callable[[Any], Any]]:
    """Return a reducer for each type of views."""
    # An OrderedDict is taken by the methods of dicts, too, which make views of theirs.
    made: dict[type, Callable[[Any], Any]] = {
        type(maker(_EMPTY)): _reducer(maker) for maker in _MAKERS
    }
    return {**made, types.MappingProxyType: _reducer(types.MappingProxyType)}


def _reducer(maker: Callable[[Any], Any]) -> Callable[[Any], Any]:
    return lambda view: (maker, tuple(gc.get_referents(view)))
