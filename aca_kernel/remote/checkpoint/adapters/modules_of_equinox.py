"""equinox: modules that cells define. What it knows of their fields it finds out when one is made.

The class is made empty, without equinox being told, and equinox is told when it has its fields.
"""

from __future__ import annotations

import dataclasses
import functools
import importlib
from typing import Any

_MODULE = "equinox._module._module"


def registered(kind: type) -> list[tuple[Any, ...]]:
    """Return what tells equinox of a class, if it is one of its modules."""
    own = importlib.import_module(_MODULE)
    if not isinstance(kind, own._ModuleMeta):  # noqa: SLF001 - nothing public tells it
        return []
    is_abstract = kind in own._abstract_module_registry  # noqa: SLF001 - as above
    return [(register, own._has_dataclass_init[kind], is_abstract)]  # noqa: SLF001 - as above


def register(kind: Any, has_own_init: bool, is_abstract: bool) -> None:
    """Tell equinox of a class, as its metaclass does."""
    own: Any = importlib.import_module(_MODULE)
    fields = dataclasses.fields(kind)
    names = tuple(one.name for one in fields)
    own._has_dataclass_init[kind] = has_own_init  # noqa: SLF001 - as above
    if is_abstract:
        own._abstract_module_registry.add(kind)  # noqa: SLF001 - as above
    own._module_info[kind] = own._ModuleInfo(names, frozenset(names))  # noqa: SLF001 - as above
    flatten, with_keys, unflatten = own.generate_flatten_functions(kind, fields)
    own.jtu.register_pytree_with_keys(
        kind,
        flatten_with_keys=with_keys,
        flatten_func=flatten,
        unflatten_func=functools.partial(unflatten, kind),
    )
