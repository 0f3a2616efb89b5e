"""Functions that are stored by value, and the namespace that each finds its globals in.

That is the notebook's for those of cells. Functions that a module has made, by a decorator for
instance, find theirs in the module, which is imported again. Those of `exec`, of `%run` and of
modules made by hand share a namespace that is nobody's: what of it they use comes back with them,
and they go on sharing it.
"""

from __future__ import annotations

import sys
import types
from collections.abc import Callable
from typing import Any

from . import lazy_annotations, rebuild

# What a namespace tells of itself.
_OF_NAMESPACES = ("__name__", "__package__", "__file__", "__path__")


class StandIn:
    """Stands in a pickle for what a function returns when it is loaded."""

    def __init__(self, function: Callable[..., Any], *arguments: Any) -> None:
        self._reduced = function, arguments

    def __reduce__(self) -> Any:
        return self._reduced


class Namespaces:
    """The namespaces of functions that are not the notebook's.

    Each has one stand-in: that two functions have it shows that they share the namespace.
    variables: of the notebook, whose dicts and modules may be such namespaces.
    """

    def __init__(self, variables: dict[str, Any]) -> None:
        self._variables = variables
        self._known: dict[int, Any] | None = None

    def of(self, names: dict[str, Any]) -> Any:
        """Return what stands for a namespace: a module's name, the dict itself, or a StandIn."""
        module = names.get("__name__")
        is_importable = type(module) is str and names.get("__spec__") is not None
        if is_importable and vars(sys.modules.get(str(module), _NONE)) is names:
            return module
        if self._known is None:
            self._known = self._held()
        if id(names) not in self._known:
            own = {name: names[name] for name in _OF_NAMESPACES if name in names}
            self._known[id(names)] = StandIn(rebuild.new_namespace, own)
        return self._known[id(names)]

    def _held(self) -> dict[int, Any]:
        found: dict[int, Any] = {}
        for value in list(self._variables.values()):
            if type(value) is dict:
                found[id(value)] = value
            elif type(value) is types.ModuleType:
                found[id(vars(value))] = StandIn(rebuild.namespace_of, value)
        return found


_NONE = types.ModuleType("none")


def is_found(obj: Any) -> bool:
    """Tell whether an object's module has it under the name that it was made with."""
    import cloudpickle.cloudpickle as internals

    return internals._lookup_module_and_qualname(obj) is not None  # noqa: SLF001


def reduce_function(obj: Any, *namespace: Any, used: dict[str, Any] | None = None) -> Any:
    """Reduce a function by its parts. used: of a namespace that is nobody's."""
    names = ["__dict__", "__defaults__", "__kwdefaults__", "__module__", "__qualname__", "__doc__"]
    if getattr(obj, "__type_params__", ()):
        names.append("__type_params__")
    state = {name: getattr(obj, name) for name in names}
    state.update(lazy_annotations.of_function(obj))
    if used:
        state["__globals__"] = used
    made = (obj.__code__, obj.__name__, obj.__closure__, *namespace)
    return rebuild.function, made, state, None, None, rebuild.set_function


def reduce_foreign(obj: Any, reduced: Any, namespaces: Namespaces) -> Any:
    """Reduce a function whose globals are not the notebook's. reduced: what cloudpickle says."""
    namespace = namespaces.of(obj.__globals__)
    if type(namespace) is not StandIn:
        return reduce_function(obj, namespace)
    parts = reduced[2][1]
    used = dict(parts["__globals__"])
    # Submodules are imported by being in the pickle, and used as attributes of their packages.
    used |= {one.__name__: one for one in parts["_cloudpickle_submodules"]}
    return reduce_function(obj, namespace, used=used)


def reduce_module(obj: Any, reduced: Any, namespaces: Namespaces) -> Any:
    """Reduce a module that was made by hand; its functions may hold it. reduced: as above."""
    if not isinstance(reduced, tuple) or len(reduced[1]) != 2:
        return reduced
    name, names = reduced[1]
    state = {"names": names, "namespace": namespaces.of(vars(obj))}
    return types.ModuleType, (name,), state, None, None, rebuild.set_module
