"""How the objects of a notebook are pickled: cloudpickle, and what it does not do.

- A function made in a cell keeps the notebook's namespace as its globals, instead of a copy
  of what it uses of it; functions that share variables of a closure go on sharing them.
- A function or class that a variable is named for is stored with that variable, and elsewhere
  by the variable's name: an old instance and a new one are of the same class after a restore.
- Arrays that share memory go on sharing it, owners own it, and pandas goes on knowing.
- What would come back as something else (open files, widgets) is refused.

Large arrays are handed over as they are (pickle's out-of-band buffers), not copied.
"""

from __future__ import annotations

import contextlib
import copyreg
import enum
import functools
import io
import pickle
import sys
import types
import typing
from collections.abc import Callable, Iterator
from typing import Any

import cloudpickle

from . import arrays, rebuild
from .atoms import module_of

# Buffers below this stand in the pickle itself: each of the others is pieces of its own.
_SMALLEST_BUFFER = 4096

# Those of them that this Python has, and that cloudpickle does not know.
_TYPE_VARIABLES: list[Any] = [
    getattr(typing, name) for name in ("ParamSpec", "TypeVarTuple") if hasattr(typing, name)
]

# The code of all functions that functools.singledispatch makes.
_DISPATCHING = vars(types.FunctionType)["__code__"].__get__(functools.singledispatch(repr))


class NotStorable(Exception):
    """This cannot be stored; the text says why, as a noun."""


class Pickler(cloudpickle.Pickler):  # type: ignore[misc]
    """Pickles the values of one group of variables.

    names: the variables that functions and classes of cells are known by, by `id` of those.
    own: ids of the values of this group, which are stored here and not by their names.
    needs: names of variables of other groups that the pickle refers to.
    made: ids of the functions and classes that are stored here as what they are.
    """

    def __init__(
        self,
        file: Any,
        shell: Any,
        names: dict[int, str],
        own: set[int],
        keep_buffer: Callable[[pickle.PickleBuffer], None],
    ) -> None:
        def take(buffer: pickle.PickleBuffer) -> bool:
            if memoryview(buffer).nbytes < _SMALLEST_BUFFER:
                return True
            keep_buffer(buffer)
            return False

        super().__init__(file, protocol=5, buffer_callback=take)
        self.needs: set[str] = set()
        self.made: set[int] = set()
        self._shell = shell
        self._globals = shell.user_ns
        self._names = names
        self._own = own
        self._numpy = sys.modules.get("numpy")
        self._reducers: dict[type, Callable[[Any], Any]] = {
            types.FunctionType: self._function,
            types.CodeType: _reduce_code,
            types.CellType: _reduce_cell,
            functools._lru_cache_wrapper: self._cached,  # noqa: SLF001 - it has no public name
            functools.cached_property: _reduce_cached_property,
            functools.singledispatchmethod: _reduce_dispatching_method,
            **dict.fromkeys(_TYPE_VARIABLES, _reduce_type_variable),
            # Since Python 3.12.
            getattr(typing, "TypeAliasType", typing.NewType): self._type_alias,
            typing.NewType: self._new_type,
            # Pickle knows how to store these, unlike other open files.
            io.BytesIO: super().reducer_override,
            io.StringIO: super().reducer_override,
        }
        self._bases: list[tuple[type, Callable[[Any], Any]]] = [
            (type, self._class),
            (io.IOBase, _refuse("an open file")),
            (type(shell), lambda _: (rebuild.shell, ())),
            *self._bases_of_libraries(),
        ]

    def release(self) -> None:
        """Let go of all objects; nothing collects circles in the copy of a process."""
        self.clear_memo()
        self._reducers.clear()
        self._bases.clear()

    def reducer_override(self, obj: Any) -> Any:
        """Return how an object is to be made again; pickle asks for all but plain values."""
        kind = type(obj)
        reducer = self._reducers.get(kind)
        if reducer is None:
            reducer = self._reducers[kind] = self._reducer_of(kind)
        return reducer(obj)

    def _reducer_of(self, kind: type) -> Callable[[Any], Any]:
        for base, reducer in self._bases:
            if issubclass(kind, base):
                return reducer
        default: Callable[[Any], Any] = super().reducer_override
        # Only what defines how it is pickled may say that it is known by its name.
        asked: Any = kind
        plain: Any = object
        is_plain = (asked.__reduce_ex__, asked.__reduce__) == (
            plain.__reduce_ex__,
            plain.__reduce__,
        )
        return default if is_plain or kind in self.dispatch_table else _reduce

    def _bases_of_libraries(self) -> Iterator[tuple[type, Callable[[Any], Any]]]:
        """Yield what is stored in a way of ours, of the libraries that are in use."""
        if self._numpy is not None:
            yield self._numpy.ndarray, self._array
        widget = getattr(sys.modules.get("ipywidgets"), "Widget", None)
        if widget is not None:
            yield widget, _refuse("a widget, which lives in the front end as well")
        internals = sys.modules.get("pandas._libs.internals")
        refs = getattr(internals, "BlockValuesRefs", None)
        if refs is not None:
            self._reducers[refs] = lambda _: (rebuild.block_refs, ())
            yield getattr(internals, "Block"), self._pandas_block  # noqa: B009 - untyped
        managers = sys.modules.get("pandas.core.internals.managers")
        manager = getattr(managers, "BaseBlockManager", None)
        if manager is not None and refs is not None:
            yield manager, lambda one: (rebuild.manager, (type(one), one.blocks, one.axes))
        index = getattr(sys.modules.get("pandas"), "Index", None)
        if index is not None:
            yield index, self._pandas_index

    # -- functions and classes -----------------------------------------------------

    def _by_name(self, obj: Any) -> Any:
        name = self._names.get(id(obj))
        if name is None or id(obj) in self._own:
            return None
        self.needs.add(name)
        return rebuild.named, (name,)

    def _class(self, obj: Any) -> Any:
        reduced = self._by_name(obj)
        if reduced is not None:
            return reduced
        reduced = super().reducer_override(obj)
        # Those of Python that have no name in a module are looked up, and not made.
        if isinstance(reduced, tuple) and len(reduced) > 2:
            self.made.add(id(obj))
            maker, arguments, state, _, _, setter = _without_tracker(reduced, obj)
            made, state = (maker, *_with_slots(arguments, obj)), (setter, state)
            reduced = (rebuild.quiet_class, made, state, None, None, rebuild.set_class)
        return reduced

    def _function(self, obj: Any) -> Any:
        reduced = self._by_name(obj)
        if reduced is not None:
            return reduced
        if obj.__globals__ is not self._globals:
            if obj.__code__ is _DISPATCHING and obj.__module__ == "__main__":
                self.made.add(id(obj))
                return _reduce_dispatching(obj)
            reduced = super().reducer_override(obj)
            if reduced is not NotImplemented:
                self.made.add(id(obj))
            return reduced
        self.made.add(id(obj))
        state = {
            "__dict__": obj.__dict__,
            "__defaults__": obj.__defaults__,
            "__kwdefaults__": obj.__kwdefaults__,
            "__module__": obj.__module__,
            "__qualname__": obj.__qualname__,
            "__doc__": obj.__doc__,
        }
        # Since Python 3.14 annotations are a function, which may not be able to run yet.
        annotations = "__annotate__" if hasattr(obj, "__annotate__") else "__annotations__"
        state[annotations] = getattr(obj, annotations)
        if getattr(obj, "__type_params__", ()):
            state["__type_params__"] = obj.__type_params__
        made = (obj.__code__, obj.__name__, obj.__closure__)
        return rebuild.function, made, state, None, None, rebuild.set_function

    def _new_type(self, obj: Any) -> Any:
        reduced = self._by_name(obj)
        if reduced is not None or obj.__module__ != "__main__":
            return reduced or NotImplemented
        self.made.add(id(obj))
        return rebuild.new_type, (), vars(obj), None, None, rebuild.set_attributes

    def _type_alias(self, obj: Any) -> Any:
        reduced = self._by_name(obj)
        if reduced is not None or obj.__module__ != "__main__":
            return reduced or NotImplemented
        self.made.add(id(obj))
        return rebuild.type_alias, (obj.__name__, obj.__value__, obj.__type_params__)

    def _cached(self, obj: Any) -> Any:
        """Functions with functools.lru_cache come back with an empty cache."""
        reduced = self._by_name(obj)
        if reduced is not None:
            return reduced
        wrapped = obj.__wrapped__
        if getattr(wrapped, "__globals__", None) is not self._globals:
            return super().reducer_override(obj)
        self.made.add(id(obj))
        attributes = {key: value for key, value in vars(obj).items() if key != "__wrapped__"}
        return rebuild.cached, (wrapped, obj.cache_parameters(), attributes)

    # -- arrays --------------------------------------------------------------------

    def _array(self, obj: Any) -> Any:
        try:
            return arrays.reduce(obj)
        except arrays.NoFile as error:
            raise NotStorable(str(error)) from None

    def _pandas_block(self, obj: Any) -> Any:
        maker, arguments = obj.__reduce__()[:2]
        refs = getattr(obj, "refs", None)
        if refs is None:
            return maker, arguments
        return rebuild.block, (maker, arguments, refs)

    def _pandas_index(self, obj: Any) -> Any:
        """An index cannot be changed and need not share memory, nor be told who does."""
        reduced = obj.__reduce__()
        if len(reduced) < 2 or len(reduced[1]) != 2 or not isinstance(reduced[1][1], dict):
            return reduced
        maker, (kind, parts) = reduced[:2]
        data = parts.get("data")
        if (
            self._numpy is not None
            and type(data) is self._numpy.ndarray
            and arrays.owner(data) is not None
        ):
            parts = {**parts, "data": data.copy()}
        return (maker, (kind, parts), *reduced[2:])


def _reduce_code(code: types.CodeType) -> Any:
    """Keep the name of the cell's file, by which tracebacks and `inspect` find its source.

    cloudpickle leaves it out from 3.1.3 on, so that equal code has equal pickles.
    """
    maker, arguments = Pickler.dispatch_table[types.CodeType](code)
    # A copy, as cloudpickle makes of each name: who shares a text would be part of the pickle.
    return rebuild.code, (maker, arguments, "".join(code.co_filename))


def _reduce_cell(obj: Any) -> Any:
    try:
        contents: tuple[Any, ...] = (obj.cell_contents,)
    except ValueError:  # nothing is in it yet
        contents = ()
    return rebuild.cell, (), contents, None, None, rebuild.fill_cell


def _reduce(obj: Any) -> Any:
    """Ask an object how it is to be made again; it may say that its name is enough.

    A name in the notebook is not: it has not come back yet, or is this very object.
    """
    reduced = obj.__reduce_ex__(5)
    if not isinstance(reduced, str):
        return reduced
    if pickle.whichmodule(obj, reduced) != "__main__":  # type: ignore[attr-defined]
        return reduced
    # What is of a cell, and nothing but its attributes, is stored as that.
    kind = type(obj)
    slots = copyreg._slotnames(kind)  # type: ignore[attr-defined]  # noqa: SLF001
    if module_of(kind) == "__main__" and not issubclass(kind, enum.Enum) and not slots:
        with contextlib.suppress(TypeError):
            object.__new__(kind)
            made = (object.__new__, (kind,))
            return *made, vars(obj), None, None, rebuild.set_attributes
    raise NotStorable(f"`{reduced}`, which is known by its name only")


def _reduce_type_variable(obj: Any) -> Any:
    if obj.__module__ != "__main__":
        return _reduce(obj)
    names = ("bound", "covariant", "contravariant")
    found = {name: getattr(obj, f"__{name}__", None) for name in names}
    arguments = {name: value for name, value in found.items() if value}
    return rebuild.type_variable, (type(obj), obj.__name__, arguments)


def _reduce_dispatching(obj: Any) -> Any:
    """Store what was registered: the caches beside it hold weak references."""
    made_with_it = {"registry", "dispatch", "register", "_clear_cache"}
    state = {key: value for key, value in vars(obj).items() if key not in made_with_it}
    names = {name: getattr(obj, name) for name in ("__module__", "__qualname__", "__doc__")}
    state = {"attributes": state, "names": names, "registry": dict(obj.registry)}
    return rebuild.dispatching, (obj.__name__,), state, None, None, rebuild.set_dispatching


def _reduce_dispatching_method(obj: Any) -> Any:
    state = {key: value for key, value in vars(obj).items() if key in {"dispatcher", "func"}}
    return rebuild.dispatching_method, (), state, None, None, rebuild.set_attributes


def _reduce_cached_property(obj: Any) -> Any:
    state = {key: value for key, value in vars(obj).items() if key != "lock"}
    return rebuild.cached_property, (), state, None, None, rebuild.set_attributes


def _refuse(what: str) -> Callable[[Any], Any]:
    def refuse(_: Any) -> Any:
        raise NotStorable(what)

    return refuse


def _without_tracker(reduced: Any, obj: type) -> Any:
    """Leave out the id that cloudpickle gives to a class: it is another one in each fork.

    With it, no pickle of a class would ever be the same as the one before.
    """
    import cloudpickle.cloudpickle as internals

    tracker = getattr(internals, "_DYNAMIC_CLASS_TRACKER_BY_CLASS", {}).get(obj)
    if tracker is None or not isinstance(reduced, tuple):
        return reduced
    arguments = tuple(None if one is tracker else one for one in reduced[1])
    return (reduced[0], arguments, *reduced[2:])


def _with_slots(arguments: tuple[Any, ...], obj: type) -> tuple[Any, ...]:
    """Add `__slots__` to what a class begins with: it cannot be given them later."""
    slots = vars(obj).get("__slots__")
    # Enumerations are made from other arguments; typing.NamedTuple makes its own.
    is_named_tuple = typing.NamedTuple in vars(obj).get("__orig_bases__", ())
    if slots is None or not isinstance(arguments[0], type) or is_named_tuple:
        return arguments
    return (*arguments[:3], {**arguments[3], "__slots__": slots}, *arguments[4:])
