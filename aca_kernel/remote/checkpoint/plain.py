"""Objects of classes that do not say how they are pickled, and cannot be made as pickle does it.

Pickle asks for `__setstate__` before an object has its attributes, and calls `__new__` without the
arguments that it takes.
"""

from __future__ import annotations

import contextlib
import copyreg
import inspect
import types
from collections.abc import Callable
from typing import Any

from . import rebuild, weak

_NEW_ARGUMENTS = ("__getnewargs__", "__getnewargs_ex__")


def is_plain(kind: type) -> bool:
    """Tell whether a class leaves it to Python how its objects are pickled."""
    methods = ("__reduce_ex__", "__reduce__")
    return all(getattr(kind, name) == getattr(object, name) for name in methods)


def reducer(kind: Any) -> Callable[[Any], Any] | None:
    """Return what reduces objects of a class; None: pickle itself does it well."""
    asks_itself, needs_arguments = _asks_itself(kind), _needs_arguments(kind)
    if not asks_itself and not needs_arguments:
        return None

    def reduce(obj: Any) -> Any:
        reduced = obj.__reduce_ex__(5)
        if not isinstance(reduced, tuple):
            return reduced
        if needs_arguments and reduced[0] is copyreg.__newobj__:  # type: ignore[attr-defined]
            reduced = (object.__new__, *reduced[1:])
        return _with_attributes(reduced) if asks_itself else reduced

    return reduce


def _asks_itself(kind: type) -> bool:
    """Tell whether objects of a class look for attributes in others of theirs.

    Asked for `__setstate__`, they would look in those, which have not come yet, without end.
    """
    asks = type(getattr(kind, "__getattr__", None)) is types.FunctionType
    return asks and not hasattr(kind, "__setstate__")


def _needs_arguments(kind: Any) -> bool:
    """Tell whether `__new__` of a class takes arguments that pickle does not know."""
    new = kind.__new__
    if type(new) is not types.FunctionType or any(hasattr(kind, one) for one in _NEW_ARGUMENTS):
        return False
    try:
        inspect.signature(new).bind(kind)
    except TypeError:
        # Not what is made of a class in C that makes its objects itself.
        with contextlib.suppress(TypeError):
            object.__new__(kind)
            return True
    return False


def _with_attributes(reduced: Any) -> Any:
    """Have attributes set past the methods of an object when it comes back."""
    state = reduced[2] if len(reduced) > 2 else None
    elements = (*reduced[3:5], None, None)[:2]
    if type(state) is dict:
        return *reduced[:3], *elements, rebuild.set_attributes
    # With slots.
    if type(state) is tuple and len(state) == 2 and type(state[1]) is dict:
        return *reduced[:3], *elements, weak.set_attributes
    return reduced
