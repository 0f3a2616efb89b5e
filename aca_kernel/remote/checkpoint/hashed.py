"""Objects whose class has a hash of its own, and that are in sets and dicts of each other.

Pickle sets the attributes of an object after all that these hold. A set in which an object stands
that holds the set is filled before, by a hash that cannot be told yet. So what is most often hashed
comes first: attributes that are texts, numbers and the like.
"""

from __future__ import annotations

import types
from collections.abc import Callable
from typing import Any

from . import rebuild
from .atoms import PLAIN
from .derived import says_how, slots_of


def reducer(kind: Any) -> Callable[[Any], Any] | None:
    """Return what reduces objects of such a class; None: it is another one."""
    if type(kind.__hash__) is not types.FunctionType or not kind.__dictoffset__:
        return None
    return None if says_how(kind, object) or slots_of(kind) else _reduce


def _reduce(one: Any) -> Any:
    attributes = object.__getattribute__(one, "__dict__")
    plain = {name: value for name, value in attributes.items() if _is_plain(value)}
    if len(plain) == len(attributes):
        return one.__reduce_ex__(5)
    made = (rebuild.hashed, (type(one), plain))
    return *made, attributes, None, None, rebuild.set_all_attributes


def _is_plain(value: Any) -> bool:
    kind = type(value)
    return kind in PLAIN or (kind is tuple and all(type(part) in PLAIN for part in value))
