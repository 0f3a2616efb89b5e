"""Objects of classes that are derived from Python's own, such as a list with attributes.

Pickle makes such an object by calling its class, and fills it by the methods of its class. A class
whose `__init__` or `__new__` takes other arguments than the class of Python does fails then, or
makes something else: a message is put together twice, a set comes back empty. So these objects are
made and filled by the methods of Python's class, and their attributes are set.
"""

from __future__ import annotations

import collections
import copyreg
import datetime as dt
import decimal
import fractions
import functools
import types
from collections.abc import Callable
from typing import Any

from . import rebuild

# The arguments that Python's class makes an object from, out of it.
VALUES: dict[Any, Callable[[Any], tuple[Any, ...]]] = {
    **{kind: vars(kind)["__getnewargs__"] for kind in (str, bytes, int, float, complex, tuple)},
    frozenset: lambda one: (list(frozenset.__iter__(one)),),
    bytearray: lambda one: (bytes(memoryview(one)),),
    dt.datetime: lambda one: _arguments(dt.datetime, one),
    dt.date: lambda one: _arguments(dt.date, one),
    dt.time: lambda one: _arguments(dt.time, one),
    dt.timedelta: lambda one: _arguments(dt.timedelta, one),
    decimal.Decimal: lambda one: _arguments(decimal.Decimal, one),
    fractions.Fraction: lambda one: _arguments(fractions.Fraction, one),
}

# What is filled later, so that it may hold itself, and what it is made from before.
_FILLED: dict[Any, Callable[[Any], tuple[Any, ...]]] = {
    **dict.fromkeys((list, dict, set, collections.OrderedDict, collections.Counter), lambda _: ()),
    collections.deque: lambda one: ((), one.maxlen),
    collections.defaultdict: lambda one: (one.default_factory,),
}

# What a class that says itself how it is pickled has of its own.
_METHODS = (
    "__reduce_ex__",
    "__reduce__",
    "__getnewargs__",
    "__getnewargs_ex__",
    "__getstate__",
    "__setstate__",
)

# The code of this method of all named tuples: it returns what the one of tuples does.
_OF_NAMED_TUPLES = vars(collections.namedtuple("_Empty", ()))["__getnewargs__"].__code__  # noqa: PYI024 - none is used


def reducer(kind: Any) -> Callable[[Any], Any] | None:
    """Return what reduces objects of a class; None: it is not derived, or says how by itself."""
    for base in kind.__mro__:
        is_exception = issubclass(base, BaseException) and base.__module__ == "builtins"
        if base not in VALUES and base not in _FILLED and not is_exception:
            continue
        if says_how(kind, base):
            return None
        if is_exception:
            return None if slots_of(kind) else functools.partial(_exception, base)
        return None if base is kind else functools.partial(_object, base)
    return None


def says_how(kind: type, base: type) -> bool:
    """Tell whether a class says itself how it is pickled, unlike the class of Python's."""
    return any(_has_own(kind, base, name) for name in _METHODS) or kind in copyreg.dispatch_table


def _has_own(kind: type, base: type, name: str) -> bool:
    """Tell whether a class has a method that is not the one of Python's class."""
    found = getattr(kind, name, None)
    # Of a class that came back the code is a copy.
    if base is tuple and getattr(found, "__code__", None) == _OF_NAMED_TUPLES:
        return False
    return found is not getattr(base, name, None)


def _arguments(base: Any, one: Any) -> tuple[Any, ...]:
    return tuple(base.__reduce_ex__(one, 5)[1])


def _exception(base: Any, one: BaseException) -> Any:
    kind, arguments, *state = base.__reduce__(one)
    return rebuild.derived, (base, kind, arguments, _fields_of(base, one)), *state


def _fields_of(base: type, one: BaseException) -> dict[str, Any]:
    """Read what an exception of Python tells besides its arguments, such as `filename`."""
    found = {
        name: _read(one, name, None)
        for kind in base.__mro__
        for name, value in vars(kind).items()
        if type(value) is types.MemberDescriptorType
    }
    return {name: value for name, value in found.items() if type(value) in (str, int)}


def _object(base: Any, one: Any) -> Any:
    kind: Any = type(one)
    items: Any = None
    if base is collections.Counter:
        base = dict  # it is written in Python, and calls methods of what is made
    if base in VALUES:
        arguments = VALUES[base](one)
    else:
        arguments = _FILLED[base](one)
        # An OrderedDict has an order of its own.
        mapping: Any = collections.OrderedDict if base is collections.OrderedDict else dict
        items = dict(mapping.items(one)) if issubclass(base, dict) else list(base.__iter__(one))
    attributes = _read(one, "__dict__", None)
    slots = {name: _read(one, name, _NOTHING) for name in slots_of(kind)}
    state = {
        # Some are their own attributes: `self.__dict__ = self`.
        "is_own": attributes is one,
        "attributes": None if attributes is one else attributes,
        "slots": {name: value for name, value in slots.items() if value is not _NOTHING},
        "items": items,
    }
    return rebuild.derived, (base, kind, arguments), state, None, None, rebuild.set_derived


def slots_of(kind: type) -> list[str]:
    """Return the names of the slots of a class."""
    return list(copyreg._slotnames(kind))  # type: ignore[attr-defined]  # noqa: SLF001


_NOTHING = object()


def _read(one: Any, name: str, default: Any) -> Any:
    """Read an attribute past any method of the user's."""
    try:
        return object.__getattribute__(one, name)
    except AttributeError:
        return default
