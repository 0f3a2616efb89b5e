"""Enumerations of cells: their aliases, and what their members have of their own.

cloudpickle makes the members by their values, before the class has its methods.
"""

from __future__ import annotations

import enum
from typing import Any

from .derived import VALUES

# What the class gives to each member.
_GIVEN = frozenset({"_value_", "_name_", "__objclass__", "_sort_order_"})


def reduced(obj: Any, arguments: tuple[Any, ...], attributes: dict[str, Any]) -> tuple[Any, ...]:
    """Return what makes an enumeration with all its names, and the arguments of that.

    arguments: of cloudpickle. The names are removed from the attributes that are set later.
    """
    bases, name, qualname, _, module, *_ = arguments
    members = obj.__members__
    for key in members:
        attributes.pop(key, None)
    kind = next((one for one in obj._member_type_.__mro__ if one in VALUES), None)
    if kind in (None, tuple) or "__new_member__" not in vars(obj):
        values = {key: member._value_ for key, member in members.items()}
        return (made, bases, name, qualname, values, module, False)
    # Each is a text, a number or the like, and its value something else.
    parts = {key: (kind, VALUES[kind](one), one._value_) for key, one in members.items()}
    return (made, bases, name, qualname, parts, module, True)


def made(
    bases: tuple[Any, ...],
    name: str,
    qualname: str,
    members: dict[str, Any],
    module: str,
    are_parts: bool,
) -> Any:
    """Make an enumeration.

    members: the value of each; are_parts: Python's class of each, its arguments, and the value.
    """

    def new(kind: Any, base: Any, arguments: tuple[Any, ...], value: Any) -> Any:
        one = base.__new__(kind, *arguments)
        one._value_ = value
        return one

    metaclass: Any = type(bases[-1])
    attributes: Any = metaclass.__prepare__(name, bases)
    if are_parts:
        attributes["__new__"] = new
    # Since Python 3.11, which else takes functions for methods.
    mark: Any = getattr(enum, "member", None)
    for key, value in members.items():
        is_marked = mark is not None and hasattr(type(value), "__get__")
        attributes[key] = mark(value) if is_marked else value
    kind = metaclass.__new__(metaclass, name, bases, attributes)
    kind.__module__, kind.__qualname__ = module, qualname
    return kind


def own_state(obj: Any) -> list[tuple[Any, ...]]:
    """Return what is to be called when the class has come back: a function and its argument."""
    found: dict[str, dict[str, Any]] = {}
    for name, member in obj.__members__.items():
        held = getattr(member, "__dict__", {})
        own = {key: value for key, value in held.items() if key not in _GIVEN}
        if own:
            found[name] = own
    return [(set_members, found)] if found else []


def set_members(kind: Any, state: dict[str, dict[str, Any]]) -> None:
    """Set what members have of their own."""
    for name, own in state.items():
        kind.__members__[name].__dict__.update(own)
