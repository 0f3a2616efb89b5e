"""Pickling of weak references, and of what `weakref` makes of them.

A weak reference keeps nothing alive, in a checkpoint neither. Its target is stored if something
else in the same pickle holds it, or lives by a name; else the reference comes back dead, which is
named. So variables with weak references are pickled without the targets first, and again with those
that this has met (groups.py): a target may hold others, as a key does in a WeakKeyDictionary. With
which variables they belong together shows before: what may come to be held counts as held.
"""

from __future__ import annotations

import functools
import gc
import logging
import types
import weakref
from collections.abc import Callable, Iterator
from typing import Any

from . import rebuild
from .derived import slots_of
from .functions import StandIn, is_found
from .process_settings.row import is_of_cells

_Reducers = Iterator[tuple[type, Callable[[Any], Any]]]

# They live by their names, if these are found.
_NAMED = (type, types.FunctionType, types.BuiltinFunctionType, types.ModuleType)

_CONTAINERS: tuple[Any, ...] = (
    weakref.WeakSet,
    weakref.WeakKeyDictionary,
    weakref.WeakValueDictionary,
)

# How targets are named that are not stored, by the variable's name, and why they are not.
LOST = "what {} refers to weakly"
WHY_LOST = "nothing that is stored with it holds that"

# What a class has that says itself how its objects are pickled.
_METHODS = ("__reduce_ex__", "__reduce__", "__getstate__")


class Targets:
    """The targets of weak references in one pickle.

    alive: ids of those that something else in it holds; None: that is not known yet.
    name_of: returns the variable that a function or class of another group is stored by, or None.
    is_of_module: tells whether an object is a module's own.
    met: the others by their ids; they are not stored.
    wants: names of variables that are to be restored before, if they are.
    """

    def __init__(
        self,
        alive: set[int] | None,
        name_of: Callable[[Any], str | None],
        is_of_module: Callable[[Any], bool],
    ) -> None:
        self.met: dict[int, Any] = {}
        self.wants: set[str] = set()
        self._is_first = alive is None
        self._alive = alive or set()
        self._name_of = name_of
        self._is_of_module = is_of_module

    def stored(self, target: Any) -> Any:
        """Return what stands in the pickle for a target; None: nothing, it is not stored."""
        if (name := self._name_of(target)) is not None:
            self.wants.add(name)
            return StandIn(rebuild.named_if_there, name)  # it may not come back
        if id(target) in self._alive or self._lives_by_name(target):
            return target
        self.met[id(target)] = target
        return None

    def met_too(self, *held: Any) -> tuple[Any, ...]:
        """Return what is to be met because a target that is not stored yet may hold it."""
        return held if self._is_first else ()

    def _lives_by_name(self, target: Any) -> bool:
        if self._is_of_module(target):
            return True
        kind = type(target)
        return issubclass(kind, logging.Logger) or (issubclass(kind, _NAMED) and is_found(target))


def reducers(targets: Targets) -> _Reducers:
    """Yield types and reducers for objects of them and their subclasses."""
    for proxy_type in (weakref.ProxyType, weakref.CallableProxyType):
        yield proxy_type, functools.partial(_reduce_proxy, targets)
    for kind, reduce in (
        (weakref.WeakMethod, _reduce_method),
        (weakref.ReferenceType, _reduce_reference),
        (weakref.finalize, _reduce_finalizer),
        *[(one, functools.partial(_reduce_container, one)) for one in _CONTAINERS],
    ):
        yield kind, functools.partial(_unless_it_says_how, kind, reduce, targets)


def _unless_it_says_how(kind: type, reduce: Any, targets: Targets, one: Any) -> Any:
    if any(getattr(type(one), name, None) is not getattr(kind, name, None) for name in _METHODS):
        return one.__reduce_ex__(5)
    return reduce(targets, one)


def _attributes_of(one: Any, base: type, own: tuple[str, ...] = ()) -> tuple[Any, Any] | None:
    """Return attributes and slots that a subclass has added, None if none; own: of its base."""
    attributes = getattr(one, "__dict__", {})
    attributes = {name: value for name, value in attributes.items() if name not in own}
    names = [name for name in slots_of(type(one)) if name not in slots_of(base)]
    slots = {name: getattr(one, name) for name in names if hasattr(one, name)}
    return (attributes, slots) if attributes or slots else None


def _with_attributes(made: tuple[Any, ...], state: Any) -> tuple[Any, ...]:
    return made if state is None else (*made, state, None, None, set_attributes)


# -- references --------------------------------------------------------------------


def _reduce_reference(targets: Targets, one: Any) -> Any:
    target = weakref.ReferenceType.__call__(one)
    stored = None if target is None else targets.stored(target)
    if stored is None:
        made: tuple[Any, ...] = (dead_reference, (type(one), *targets.met_too(one.__callback__)))
    else:
        made = (reference, (type(one), stored, one.__callback__))
    return _with_attributes(made, _attributes_of(one, weakref.ReferenceType))


def _reduce_method(targets: Targets, one: Any) -> Any:
    target, function = weakref.ReferenceType.__call__(one), one._func_ref()  # noqa: SLF001
    stored = what = None
    if target is not None and function is not None:
        stored, name = targets.stored(target), function.__name__
        by_name = getattr(type(target), name, None) is function
        what = name if by_name else targets.stored(function)
    if stored is None or what is None:
        made: tuple[Any, ...] = (dead_method, (type(one), *targets.met_too(_callback_of(one))))
    else:
        made = (method, (type(one), stored, what, _callback_of(one)))
    return _with_attributes(made, _attributes_of(one, weakref.WeakMethod))


def _callback_of(one: Any) -> Any:
    """Return the callback of a WeakMethod, which it keeps in a closure."""
    own = one.__callback__
    if own is None:  # it is dead
        return None
    names = own.__code__.co_freevars
    return own.__closure__[names.index("callback")].cell_contents


def _reduce_proxy(targets: Targets, one: Any) -> Any:
    try:
        # A proxy answers for its target; this method is bound to that.
        target = one.__sizeof__.__self__
    except ReferenceError:
        return dead_proxy, ()
    # It tells its callback to nobody else.
    callbacks = gc.get_referents(one)
    if (stored := targets.stored(target)) is None:
        return dead_proxy, targets.met_too(*callbacks)
    return proxy, (stored, *callbacks)


# -- containers and finalizers -----------------------------------------------------


def _reduce_container(base: Any, targets: Targets, one: Any) -> Any:
    if base is weakref.WeakSet:
        pairs: list[tuple[Any, ...]] = [(each,) for each in list(base.__iter__(one))]
    else:
        pairs = list(base.items(one))
    weak = 1 if base is weakref.WeakValueDictionary else 0
    stored = [(pair, targets.stored(pair[weak])) for pair in pairs]
    items = [(*pair[:weak], one, *pair[weak + 1 :]) for pair, one in stored if one is not None]
    held = [pair[1 - weak] for pair in pairs if len(pair) > 1]
    state = (_attributes_of(one, base, tuple(vars(base()))), items, *targets.met_too(held))
    return container, (base, type(one)), state, None, None, fill_container


def _reduce_finalizer(targets: Targets, one: Any) -> Any:
    made = (object.__new__, (type(one),))
    alive = one.peek()
    stored = None if alive is None else targets.stored(alive[0])
    if alive is not None and stored is not None:
        state: tuple[Any, ...] = (stored, *alive[1:], one.atexit)
    else:
        state = targets.met_too(alive and alive[1:])
    return (*made, state, None, None, set_finalizer) if state else made


def finalizers(values: list[Any]) -> list[Any]:
    """Return the live finalizers of cells, which nobody else needs to hold.

    values: of the variables; who watches one of these is a cell's, too.
    """
    ids = set(map(id, values))
    known: Any = weakref.finalize._registry  # type: ignore[attr-defined]  # noqa: SLF001
    found = []
    for one in list(known):
        alive = one.peek()
        if alive is not None and (
            id(alive[0]) in ids or is_of_cells(alive[1]) or is_of_cells(alive[0])
        ):
            found.append(one)
    return found


# -- what pickles call -------------------------------------------------------------


class _Gone:
    """An object that is not kept."""

    def method(self) -> None:
        """Do nothing."""


def reference(kind: Any, target: Any, callback: Any) -> Any:
    """Make a weak reference."""
    if target is None:
        return dead_reference(kind)
    return weakref.ReferenceType.__new__(kind, target, callback)


def dead_reference(kind: Any, *_: Any) -> Any:
    """Make a weak reference to nothing any more."""
    return weakref.ReferenceType.__new__(kind, _Gone())


def method(kind: Any, target: Any, function: Any, callback: Any) -> Any:
    """Make a weak reference to a bound method; function: its name in the class, or itself."""
    if target is None or function is None:
        return dead_method(kind)
    if type(function) is str:
        function = getattr(type(target), function)
    return weakref.WeakMethod.__new__(kind, types.MethodType(function, target), callback)


def dead_method(kind: Any, *_: Any) -> Any:
    """Make a weak reference to a method of nothing any more."""
    return weakref.WeakMethod.__new__(kind, _Gone().method)


def proxy(target: Any, *callbacks: Any) -> Any:
    """Make a weak proxy."""
    return dead_proxy() if target is None else weakref.proxy(target, *callbacks)


def dead_proxy(*_: Any) -> Any:
    """Make a weak proxy of nothing any more."""
    return weakref.proxy(_Gone())


def set_attributes(target: Any, state: tuple[dict[str, Any], dict[str, Any]]) -> None:
    """Set what a subclass has given to an object."""
    attributes, slots = state
    if attributes:
        target.__dict__.update(attributes)
    for name, value in slots.items():
        object.__setattr__(target, name, value)


def container(base: Any, kind: Any) -> Any:
    """Make an empty container past its own methods."""
    made = base.__new__(kind)
    base.__init__(made)
    return made


def fill_container(target: Any, state: tuple[Any, ...]) -> None:
    """Set what such a container holds."""
    attributes, items = state[:2]
    if attributes is not None:
        set_attributes(target, attributes)
    weak = 1 if isinstance(target, weakref.WeakValueDictionary) else 0
    base = next(one for one in _CONTAINERS if isinstance(target, one))
    put = base.add if base is weakref.WeakSet else base.__setitem__
    for item in items:
        if item[weak] is not None:
            put(target, *item)


def set_finalizer(target: Any, state: tuple[Any, ...]) -> None:
    """Have a finalizer watch its object."""
    if len(state) == 1 or state[0] is None:
        return
    one, function, arguments, named, is_at_exit = state
    weakref.finalize.__init__(target, one, function, *arguments, **named)
    target.atexit = is_at_exit
