"""Annotations. Since Python 3.14 they are a function, which may not be able to run yet.

cloudpickle leaves that of a class out, because its closure holds the dict of the class.
"""

from __future__ import annotations

import gc
import types
from typing import Any

# The format of `annotationlib` in which they are what they evaluate to.
_VALUES = 1


def of_function(obj: Any) -> dict[str, Any]:
    """Return the attributes that hold a function's annotations."""
    annotate = getattr(obj, "__annotate__", None)
    held = obj.__annotations__ if annotate is None else _changed(obj, annotate)
    return {"__annotate__": annotate} if held is None else {"__annotations__": held}


def _changed(obj: Any, annotate: Any) -> Any:
    """Return a function's annotations if code has made others of them, else None."""
    try:
        held = obj.__annotations__
    except Exception:  # noqa: BLE001 - they cannot be evaluated yet
        return None
    try:
        made = annotate(_VALUES)
        is_same = made.keys() == held.keys() and all(held[one] == made[one] for one in made)
    except Exception:  # noqa: BLE001 - nor any more, or they cannot be compared
        return held
    return None if is_same else held


def of_class(obj: type) -> dict[str, Any]:
    """Return the attributes of a class that cloudpickle leaves out."""
    name = "__annotate_func__"
    return {name: vars(obj)[name]} if name in vars(obj) else {}


def class_with(names: Any) -> type | None:
    """Return the class that has this very object as its dict, None: it is a dict by itself."""
    if type(names) is not dict or "__module__" not in names:
        return None
    kinds = (types.GetSetDescriptorType, types.MemberDescriptorType)
    owners: list[Any] = [one.__objclass__ for one in names.values() if type(one) in kinds]
    # Without slots and a dict, no descriptor leads there.
    for one in owners or gc.get_referrers(names):
        if isinstance(one, type) and dict_of(one) is names:
            return one
    return None


def dict_of(obj: type) -> Any:
    """Return the dict behind the proxy that `vars` of a class returns."""
    return gc.get_referents(vars(obj))[0]
