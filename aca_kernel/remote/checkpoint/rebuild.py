"""Functions that the pickles of a checkpoint call when they are loaded.

Checkpoints refer to them by name: none may be renamed or lose an argument. numpy may be missing
and is imported in the functions that need it.
"""

from __future__ import annotations

import builtins
import collections
import contextlib
import functools
import importlib
import math
import struct
import types
import typing
from collections.abc import Callable, Iterable, Iterator
from typing import Any, cast

from ..originals import os
from . import caches
from .lazy_annotations import dict_of
from .reasons import NotRestored

# The namespace that is being restored; functions of cells look up their globals in it.
_namespace: dict[str, Any] = {}

# What came back that is no variable, such as an entry of `Out`, by its name in the checkpoint.
_others: dict[str, Any] = {}


def restore_into(namespace: dict[str, Any]) -> None:
    """Set the namespace that the pickles loaded next belong to."""
    global _namespace  # noqa: PLW0603 - pickles call functions that have no other context
    _namespace = namespace


def note(name: str, value: Any) -> None:
    """Note what came back under a name that is no variable's."""
    _others[name] = value


def forget() -> None:
    """Forget what came back under such names."""
    _others.clear()


def named(name: str) -> Any:
    """Return a function or class of a cell that was restored before."""
    for known in (_namespace, _others):
        if name in known:
            return known[name]
    raise NotRestored(f"it needs `{name}`, which did not come back")


def named_if_there(name: str) -> Any:
    """Return the same, or None if it did not come back."""
    return _namespace.get(name, _others.get(name))


def attribute(module: str, name: str) -> Any:
    """Return what is a module's own."""
    try:
        return getattr(importlib.import_module(module), name)
    except AttributeError:
        raise NotRestored(f"the module {module} has no `{name}`") from None


def replaced(module: str, path: str) -> Any:
    """Return a module's own function, before that of a cell is put in its place."""
    found: Any = importlib.import_module(module)
    for name in path.split("."):
        found = getattr(found, name)
    return found


def shell() -> Any:
    """Return IPython's shell."""
    from IPython import get_ipython

    return get_ipython()


def namespace() -> dict[str, Any]:
    """Return the notebook's own namespace."""
    return _namespace


# A pickle that puts it into the memo of whoever loads it, as the first object.
NAMESPACE = b"\x80\x05c" + __name__.encode() + b"\nnamespace\n)R\x94."


# -- functions ---------------------------------------------------------------------


def code(maker: Callable[..., Any], arguments: tuple[Any, ...], filename: str) -> Any:
    """Make a code object; maker, arguments: of cloudpickle."""
    return maker(*arguments).replace(co_filename=filename)


def function(
    code: types.CodeType, name: str, closure: tuple[Any, ...] | None, where: Any = None
) -> Any:
    """Make a function. where: its globals, or the name of their module; None: the notebook's."""
    names = _namespace if where is None else where
    if isinstance(where, str):
        names = vars(importlib.import_module(where))
    return types.FunctionType(code, names, name, None, closure)


def new_namespace(names: dict[str, Any]) -> dict[str, Any]:
    """Make a namespace of functions that is no module's."""
    return {**names, "__builtins__": builtins}


def namespace_of(module: types.ModuleType) -> dict[str, Any]:
    """Return the namespace of a module that was made by hand."""
    return vars(module)


def set_module(target: types.ModuleType, state: dict[str, Any]) -> None:
    """Set the attributes of a module that was made by hand."""
    vars(target).update(state["names"], __builtins__=builtins)


def set_function(target: Any, state: dict[str, Any]) -> None:
    """Set the attributes of a function, and what it uses of its namespace."""
    target.__dict__.update(state.pop("__dict__"))
    target.__globals__.update(state.pop("__globals__", {}))
    for name, value in state.items():
        setattr(target, name, value)


def cell() -> Any:
    """Make an empty cell of a closure."""
    return types.CellType()


def fill_cell(target: Any, state: tuple[Any, ...]) -> None:
    """Set the contents of a cell, if it had any."""
    if state:
        target.cell_contents = state[0]


def fill_cell_with_dict(target: Any, owner: type) -> None:
    """Set the contents of a cell to the dict of a class."""
    target.cell_contents = dict_of(owner)


def cached(wrapped: Any, parameters: dict[str, Any], attributes: dict[str, Any]) -> Any:
    """Wrap a function in an empty functools.lru_cache."""
    value = functools.lru_cache(**parameters)(wrapped)
    value.__dict__.update(attributes)
    return value


def fill_cache(target: Any, state: tuple[list[Any], int, int]) -> None:
    """Fill the cache of a function with the calls that it has answered, and set its counts."""
    caches.fill(target, caches.Contents(*state))


def dispatching(name: str) -> Any:
    """Make a function of functools.singledispatch, with nothing registered."""

    def nothing(_: Any) -> None:
        pass

    nothing.__name__ = name
    return functools.singledispatch(nothing)


def set_dispatching(target: Any, state: dict[str, Any]) -> None:
    """Register the functions of functools.singledispatch again."""
    for kind, function_of_kind in state["registry"].items():
        target.register(kind, function_of_kind)
    target.__dict__.update(state["attributes"])
    for name, value in state["names"].items():
        setattr(target, name, value)


def dispatching_method() -> Any:
    """Make a functools.singledispatchmethod, which has a cache of its own since Python 3.13."""
    return functools.singledispatchmethod(dispatching(""))


def cached_property() -> Any:
    """Make a functools.cached_property, which has a lock of its own until Python 3.12."""
    return functools.cached_property(len)


def set_attributes(target: Any, state: dict[str, Any]) -> None:
    """Set the attributes of an object, past any `__setattr__`."""
    target.__dict__.update(state)


def hashed(kind: type, attributes: dict[str, Any]) -> Any:
    """Make an object with those of its attributes that a hash may need."""
    made: Any = object.__new__(kind)
    made.__dict__.update(attributes)
    return made


def set_all_attributes(target: Any, state: dict[str, Any]) -> None:
    """Set the attributes of such an object, in their order."""
    target.__dict__.clear()
    target.__dict__.update(state)


def set_exception(target: BaseException, state: tuple[Any, tuple[Any, Any, bool]]) -> None:
    """Set the attributes of an exception, and what it was raised from or while handling."""
    attributes, (cause, context, is_suppressed) = state
    if attributes is not None:
        target.__setstate__(attributes)
    target.__cause__, target.__context__ = cause, context
    # Setting the cause sets it.
    target.__suppress_context__ = is_suppressed


def derived(
    base: Any, kind: type, arguments: tuple[Any, ...], fields: dict[str, Any] | None = None
) -> Any:
    """Make an object of a class past its own methods, as Python's class makes it.

    fields: what an exception of Python has besides the arguments.
    """
    made = base.__new__(kind, *arguments)
    if base.__init__ is not object.__init__:
        base.__init__(made, *arguments)
    for name, value in (fields or {}).items():
        # Some that arguments give cannot be set.
        if object.__getattribute__(made, name) != value:
            object.__setattr__(made, name, value)
    return made


def set_derived(target: Any, state: dict[str, Any]) -> None:
    """Set the attributes of such an object, and what it holds."""
    if state["is_own"]:
        target.__dict__ = target
    elif state["attributes"]:
        target.__dict__.update(state["attributes"])
    for name, value in state["slots"].items():
        object.__setattr__(target, name, value)
    items = state["items"]
    if isinstance(target, collections.OrderedDict):
        for key, value in items.items():
            collections.OrderedDict.__setitem__(target, key, value)
        return
    for kind, fill in _FILLS:
        if isinstance(target, kind):
            fill(target, items)


_FILLS: tuple[tuple[type, Callable[[Any, Any], None]], ...] = (
    (list, list.extend),
    (dict, dict.update),
    (set, set.update),
    (collections.deque, collections.deque.extend),
)


def new_type() -> Any:
    """Make a typing.NewType."""
    return typing.NewType("", object)


def type_alias(name: str, value: Any, parameters: tuple[Any, ...]) -> Any:
    """Make an alias as the statement `type` does in a cell: its module is the caller's."""
    kind = vars(typing)["TypeAliasType"]
    make = types.FunctionType(_make_alias.__code__, _namespace)
    return make(kind, name, value, parameters)


def _make_alias(kind: Any, name: str, value: Any, parameters: tuple[Any, ...]) -> Any:
    return kind(name, value, type_params=parameters)


def type_variable(
    kind: Any,
    name: str,
    arguments: dict[str, Any],
    constraints: tuple[Any, ...] = (),
    module: str = "__main__",
) -> Any:
    """Make a TypeVar, ParamSpec or TypeVarTuple, as if in that module."""
    made = kind(name, *constraints, **arguments)
    made.__module__ = module
    return made


# -- classes -----------------------------------------------------------------------

# Hooks of cells for new classes. What they did to variables comes back with the variables.
_HOOKS_OF_BASES = ("__init_subclass__",)
_HOOKS_OF_METACLASSES = ("__prepare__", "__new__", "__init__", "__setattr__")

# Metaclasses of libraries that look for fields, which come later (adapters).
_LOOKING_FOR_FIELDS = frozenset({("equinox._module._module", "_ModuleMeta")})


def quiet_class(maker: Callable[..., Any], *arguments: Any) -> Any:
    """Make an empty class; maker: one of cloudpickle's, with its arguments."""
    # For an enumeration they begin with the bases, for another class with its metaclass.
    bases = arguments[0] if isinstance(arguments[0], tuple) else arguments[2]
    bases = types.resolve_bases(bases)
    kinds = [type(base) for base in bases]
    if isinstance(arguments[0], type):
        kinds.append(arguments[0])
    with _quiet(bases, kinds):
        return maker(*arguments)


def set_class(target: Any, state: tuple[Any, ...]) -> None:
    """Set the attributes of a class, and call what tells a library of it.

    state: a function of cloudpickle's, its argument, and the calls, each with its arguments.
    """
    setter, attributes, *calls = state
    with _quiet((), [type(target)]):
        setter(target, attributes)
    for function, *arguments in calls:
        function(target, *arguments)


@contextlib.contextmanager
def _quiet(bases: Iterable[type], metaclasses: Iterable[type]) -> Iterator[None]:
    """Skip the hooks for new classes that cells have defined, or that come too early.

    Others of modules run: a module is imported again and has lost what they did.
    """
    hooks: dict[tuple[int, str], tuple[type, str, Any]] = {}
    for classes, names in ((bases, _HOOKS_OF_BASES), (metaclasses, _HOOKS_OF_METACLASSES)):
        for owner in (one for kind in classes for one in kind.__mro__):
            module = vars(owner).get("__module__")
            if module == "__main__" or (module, owner.__name__) in _LOOKING_FOR_FIELDS:
                hooks.update(
                    ((id(owner), name), (owner, name, vars(owner)[name]))
                    for name in names
                    if name in vars(owner)
                )
    for owner, name, _ in hooks.values():
        # Replaced, not removed: the order of a class's attributes stays.
        type.__setattr__(owner, name, _passing_on(owner, name))
    try:
        yield
    finally:
        for owner, name, hook in hooks.values():
            type.__setattr__(owner, name, hook)


def _passing_on(owner: type, name: str) -> Any:
    def static(kind: Any, *arguments: Any, **named: Any) -> Any:
        return getattr(super(owner, kind), name)(kind, *arguments, **named)

    def bound(one: Any, *arguments: Any, **named: Any) -> Any:
        return getattr(super(owner, one), name)(*arguments, **named)

    if name == "__new__":
        return staticmethod(static)
    return classmethod(bound) if name in {"__prepare__", "__init_subclass__"} else bound


# -- arrays ------------------------------------------------------------------------


def array(
    data: Any, dtype: Any, shape: tuple[int, ...], order: str, writeable: bool, kind: Any = None
) -> Any:
    """Make an array that owns its memory."""
    import numpy as np

    made: Any = getattr(data, "obj", None)
    is_all = type(made) is np.ndarray and made.flags.owndata and made.shape == (len(data),)
    if is_all and order != "F" and kind in (None, np.ndarray) and len(data):
        # Memory of numpy's own (pieces.py) that nobody else has: it becomes the array.
        made.dtype = dtype
        made.resize(shape, refcheck=False)
    else:
        made = np.ndarray.__new__(
            kind or np.ndarray, shape, dtype, order="F" if order == "F" else "C"
        )
        flat(made).view(np.uint8)[:] = np.frombuffer(data, np.uint8)
    if not writeable:
        made.flags.writeable = False
    return made


def view(
    owner: Any,
    dtype: Any,
    shape: tuple[int, ...],
    strides: tuple[int, ...],
    offset: int,
    writeable: bool,
    kind: Any = None,
) -> Any:
    """Make an array that shares the memory of another one."""
    import numpy as np

    kind = kind or np.ndarray
    if (owner.dtype, owner.shape, owner.strides, 0) == (dtype, shape, strides, offset):
        made: Any = np.ndarray.view(owner, kind)
    else:
        # The array itself, where it can be, so that it is the base of the view.
        memory = owner if owner.flags.c_contiguous else flat(owner)
        made = np.ndarray.__new__(kind, shape, dtype, memory, offset, strides)
    if not writeable and made.flags.writeable:
        made.flags.writeable = False
    if "_mmap" in getattr(made, "__dict__", ()):
        made._mmap = owner._mmap  # noqa: SLF001 - by which such an array knows that it is in a file
    return made


def memmap(
    path: Any,
    mode: str,
    offset: int,
    dtype: Any,
    shape: tuple[int, ...],
    order: Any,
    data: Any,
) -> Any:
    """Open an array in a file again; data: what it holds, if that is not in the file."""
    import numpy as np

    try:
        has_bytes = os.path.getsize(path)
    except OSError:
        raise NotRestored(f"its file {path} is not there") from None
    if has_bytes < offset + math.prod(shape) * dtype.itemsize:
        raise NotRestored(f"its file {path} is shorter than it was")
    # Opened, not created as it was then.
    made = np.memmap(path, dtype, "r+" if mode == "w+" else mode, offset, shape, order)  # type: ignore[call-overload]
    made.mode = mode
    if data is not None:
        flat(made).view(np.uint8)[:] = np.frombuffer(data, np.uint8)
    return made


def flat(owner: Any) -> Any:
    """Return the memory of a contiguous array as a one-dimensional one."""
    import numpy as np

    plain: Any = np.ndarray.view(owner, np.ndarray)
    return (plain if plain.flags.c_contiguous else plain.T).reshape(-1)


def whole_memory(owner: Any, is_read_only: bool) -> memoryview:
    """Make a memoryview of all that an object has."""
    view = memoryview(owner)
    return view.toreadonly() if is_read_only else view


def part_of_memory(
    owner: Any, start: int, form: Any, shape: tuple[int, ...], step: int, is_read_only: bool
) -> memoryview:
    """Make a memoryview of a part. start: the byte of the first element; step: in elements."""
    plain = memoryview(owner).cast("B")
    size = struct.calcsize(form)
    count = math.prod(shape)
    if step < 0:
        # The part begins with its last element.
        start += (count - 1) * step * size
    length = ((count - 1) * abs(step) + 1) * size
    view: Any = plain[start : start + length].cast(form)
    view = view[::step] if len(shape) == 1 else view.cast("B").cast(form, shape)
    return cast("memoryview", view.toreadonly() if is_read_only else view)


# -- pandas ------------------------------------------------------------------------


def block_refs() -> Any:
    """Make pandas' record of the objects that share memory (copy on write)."""
    from pandas._libs.internals import BlockValuesRefs

    return BlockValuesRefs()


def manager(kind: type, blocks: tuple[Any, ...], axes: list[Any]) -> Any:
    """Make the block manager of a DataFrame or Series."""
    made: Any = kind
    if len(axes) == 1:
        return made(blocks[0], axes[0], verify_integrity=False)
    return made(blocks, axes, verify_integrity=False)


def block(maker: Any, arguments: tuple[Any, ...], refs: Any) -> Any:
    """Make a block of a DataFrame, and register it with those that share its memory."""
    made = maker(*arguments)
    made.refs = refs
    refs.add_reference(made)
    return made
