"""jax: classes of cells that are nodes of trees."""

from __future__ import annotations

import contextlib
import dataclasses
import importlib
import sys
from typing import Any


def registered(kind: type) -> list[tuple[Any, ...]]:
    """Return what makes a class a node of trees again, if it is one."""
    entry = getattr(sys.modules.get("jax._src.tree_util"), "_registry", {}).get(kind)
    # equinox registers its own.
    if entry is None or type(kind).__module__.startswith("equinox."):
        return []
    flatten = entry.to_iter
    if getattr(flatten, "__qualname__", "").startswith("register_dataclass."):
        held = dict(zip(flatten.__code__.co_freevars, flatten.__closure__))  # noqa: B905 - Python 3.9
        fields = (held["data_fields"].cell_contents, held["meta_fields"].cell_contents)
        return [(register_dataclass, *map(list, fields))]
    if hasattr(kind, "tree_flatten_with_keys"):
        return [(register_class, "register_pytree_with_keys_class")]
    if hasattr(kind, "tree_flatten") and hasattr(kind, "tree_unflatten"):
        return [(register_class, "register_pytree_node_class")]
    return [(register_node, flatten, entry.from_iter)]


def register_dataclass(kind: type, data: list[str], other: list[str]) -> None:
    """Register a class by the names of its fields."""
    made = {one.name for one in dataclasses.fields(kind) if one.init}
    dropped = sorted(made.difference(data, other))
    named = {"drop_fields": dropped} if dropped else {}
    with contextlib.suppress(ValueError):  # its base has done so
        _trees().register_dataclass(kind, data, other, **named)


def register_class(kind: type, how: str) -> None:
    """Register a class that has methods for it."""
    with contextlib.suppress(ValueError):  # as above
        getattr(_trees(), how)(kind)


def register_node(kind: type, flatten: Any, unflatten: Any) -> None:
    """Register a class with two functions."""
    with contextlib.suppress(ValueError):  # as above
        _trees().register_pytree_node(kind, flatten, unflatten)


def _trees() -> Any:
    return importlib.import_module("jax.tree_util")
