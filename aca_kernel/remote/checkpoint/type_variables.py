"""Type variables and aliases, those of the syntax of Python 3.12 among them.

Checkpoints refer to `own_alias` and `set_alias` by name.
"""

from __future__ import annotations

import keyword
import typing
from typing import Any

from . import rebuild

# Those that this Python has.
KINDS: tuple[Any, ...] = tuple(
    getattr(typing, name)
    for name in ("TypeVar", "ParamSpec", "TypeVarTuple")
    if hasattr(typing, name)
)

_FLAGS = ("covariant", "contravariant", "infer_variance")


def reduce_variable(obj: Any) -> Any:
    """Reduce a type variable; a module's own is found by its name.

    cloudpickle forgets defaults, and that the variance is inferred.
    """
    import cloudpickle.cloudpickle as internals

    found = internals._lookup_module_and_qualname(obj, name=obj.__name__)  # noqa: SLF001
    if found is not None:
        return getattr, found
    arguments = {name: True for name in _FLAGS if getattr(obj, f"__{name}__", False)}
    if getattr(obj, "__bound__", None) is not None:
        arguments["bound"] = obj.__bound__
    if hasattr(obj, "has_default") and obj.has_default():
        arguments["default"] = obj.__default__
    constraints = getattr(obj, "__constraints__", ())
    made = (type(obj), obj.__name__, arguments, constraints, obj.__module__)
    return rebuild.type_variable, made


def reduce_alias(obj: Any) -> Any:
    """Reduce what the statement `type` makes; it may refer to itself if it has no parameters."""
    name = obj.__name__
    if obj.__type_params__ or not name.isidentifier() or keyword.iskeyword(name):
        return rebuild.type_alias, (name, obj.__value__, obj.__type_params__)
    return own_alias, (name,), obj.__value__, None, None, set_alias


# What aliases stand for that are being made, by their ids.
_values: dict[int, list[Any]] = {}


def own_alias(name: str) -> Any:
    """Make an alias without parameters, as the statement `type` does in a cell.

    It looks up what it stands for when it is asked, so that this may refer to it. name: a word.
    """
    held: list[Any] = []
    names = {"__name__": "__main__", "held": held}
    exec(f"type {name} = held[0]", names)  # noqa: S102 - older Pythons do not know the statement
    made = names[name]
    _values[id(made)] = held
    return made


def set_alias(target: Any, value: Any) -> None:
    """Set what an alias stands for."""
    _values.pop(id(target)).append(value)
