"""Pickling of a notebook's objects: cloudpickle, and additions to it.

- A function made in a cell keeps the notebook's namespace as its globals, instead of a copy of
  the names that it uses. Functions that share variables of a closure still share them.
- A function or class that a variable is named for is stored with that variable, and elsewhere
  by the variable's name: old and new instances are of the same class after a restore.
- Arrays still share memory, also in pandas' bookkeeping.
- Objects that would come back as something else (open files, widgets) are refused.

Large arrays are pickle's out-of-band buffers, and not copied.
"""

from __future__ import annotations

import contextlib
import enum
import functools
import io
import itertools
import pickle
import sys
import types
import typing
from collections.abc import Callable, Collection, Iterator
from typing import Any, NamedTuple

import cloudpickle

from . import (
    adapters,
    arrays,
    caches,
    counts,
    derived,
    enums,
    functions,
    hashed,
    lazy_annotations,
    plain,
    rebuild,
    type_variables,
    views,
    weak,
)
from .atoms import NotStorable, module_of
from .hanging import Reducer
from .module_names import ModuleNames
from .pieces import Nowhere
from .process_settings.registrations import DISPATCHING
from .process_settings.row import is_of_cells
from .reasons import reason_of

# Buffers below this stand in the pickle itself: each of the others is pieces of its own.
_SMALLEST_BUFFER = 4096


class Surroundings(NamedTuple):
    """What the picklers of a checkpoint have in common.

    guard: is given a type and what reduces its objects by code of others, and returns a reducer.
    modules: names of what is a module's own; by_module: those of objects that cannot be pickled.
    names: of the variables for functions and classes of cells, by the `id` of those.
    """

    shell: Any
    guard: Callable[[type, Reducer], Reducer]
    modules: ModuleNames
    by_module: dict[int, tuple[str, str]]
    names: dict[int, str]


def try_out(value: Any, around: Surroundings, own: Collection[int] = ()) -> None:
    """Pickle something for nothing. Raises as a pickler does."""
    pickler = Pickler(Nowhere(), around, own)
    try:
        pickler.dump(value)
    finally:
        pickler.release()


class Pickler(cloudpickle.Pickler):  # type: ignore[misc]
    """A pickler for the values of one group of variables.

    own: ids of the values of this group, which are not stored by their names.
    keep_buffer: takes large buffers; None: all stand in the pickle itself.
    needs: names of variables of other groups that the pickle refers to.
    made: ids of the functions and classes that are stored by value.
    weak: weak references that it has met; alive: see weak.Targets.
    lost: what is not stored with its object, why, and the id of that.
    """

    def __init__(
        self,
        file: Any,
        around: Surroundings,
        own: Collection[int],
        keep_buffer: Callable[[pickle.PickleBuffer], None] | None = None,
        alive: set[int] | None = None,
    ) -> None:
        def take(buffer: pickle.PickleBuffer) -> bool:
            is_inside = keep_buffer is None or memoryview(buffer).nbytes < _SMALLEST_BUFFER
            if keep_buffer is not None and not is_inside:
                keep_buffer(buffer)
            return is_inside

        super().__init__(file, protocol=5, buffer_callback=take)
        self._around = around
        self._shell, self._guard, self._modules, by_module, names = around
        self._by_module, self._names, self._own = by_module, names, own
        self._globals = self._shell.user_ns
        self._meet(self._globals)
        self.needs: set[str] = set()
        self.made: set[int] = set()
        self.lost: list[tuple[str, str, int]] = []
        self.weak = weak.Targets(
            alive,
            lambda one: None if id(one) in own else names.get(id(one)),
            lambda one: id(one) in by_module,
        )
        self._numpy: Any = sys.modules.get("numpy")
        default: Callable[[Any], Any] = super().reducer_override
        self._reducers: dict[type, Callable[[Any], Any]] = {
            types.FunctionType: self._by_name_or(self._function),
            types.BuiltinFunctionType: lambda obj: _reduce_replaced(obj) or default(obj),
            types.CodeType: _reduce_code,
            types.CellType: _reduce_cell,
            types.ModuleType: self._module,
            **views.reducers(),
            itertools.count: counts.reduce_count,
            itertools.repeat: counts.reduce_repeat,
            # It has no public name.
            functools._lru_cache_wrapper: self._by_name_or(self._cached),  # noqa: SLF001
            functools.cached_property: _reduce_cached_property,
            functools.singledispatchmethod: _reduce_dispatching_method,
            **dict.fromkeys(type_variables.KINDS, type_variables.reduce_variable),
            # Since Python 3.12.
            getattr(typing, "TypeAliasType", typing.NewType): self._by_name_or(self._type_alias),
            typing.NewType: self._by_name_or(self._new_type),
            # Pickle knows how to store these, unlike other open files.
            io.BytesIO: super().reducer_override,
            io.StringIO: super().reducer_override,
        }
        # Made when a type is met that is not among those: most variables have none.
        self._bases: list[tuple[type, Callable[[Any], Any]]] = []

    def _meet(self, namespace: dict[str, Any]) -> None:
        """Have the notebook's namespace stored as what `rebuild.NAMESPACE` loads."""
        self.memo = {id(namespace): (0, namespace)}

    def release(self) -> None:
        """Let go of all objects; garbage is not collected in the forked process."""
        self.clear_memo()
        self._reducers.clear()
        self._bases.clear()
        self.weak.met.clear()

    def reducer_override(self, obj: Any) -> Any:
        """Reduce an object; pickle asks for all but plain values."""
        if id(obj) in self._by_module:
            return rebuild.attribute, self._by_module[id(obj)]
        kind = type(obj)
        reducer = self._reducers.get(kind)
        if reducer is None:
            reducer = self._reducers[kind] = self._reducer_of(kind)
        return reducer(obj)

    def _reducer_of(self, kind: type) -> Callable[[Any], Any]:
        if not self._bases:
            self._bases = [
                (type, self._by_name_or(self._class)),
                (io.IOBase, _reduce_file),
                (type(self._shell), lambda _: (rebuild.shell, ())),
                (BaseException, self._exception),
                *weak.reducers(self.weak),
                *self._bases_of_libraries(),
            ]
            if kind in self._reducers:  # which those of libraries have added
                return self._reducers[kind]
        for base, reducer in self._bases:
            if issubclass(kind, base):
                return reducer
        if reduce := derived.reducer(kind) or hashed.reducer(kind):
            return self._guard(kind, reduce)
        default: Callable[[Any], Any] = super().reducer_override
        if not plain.is_plain(kind):
            # Only a class that defines its pickling may say that a name is enough.
            return self._guard(kind, default if kind in self.dispatch_table else _reduce)
        return self._guard(kind, plain.reducer(kind) or default)

    def _exception(self, obj: Any) -> Any:
        """Keep what an exception was raised from or while handling; its traceback is lost."""
        reduced = self._guard(type(obj), derived.reducer(type(obj)) or _reduce)(obj)
        causes = (obj.__cause__, obj.__context__, obj.__suppress_context__)
        if not isinstance(reduced, tuple) or not any(causes) or len(reduced) > 3:
            return reduced
        state = reduced[2] if len(reduced) > 2 else None
        return *reduced[:2], (state, causes), None, None, rebuild.set_exception

    def _bases_of_libraries(self) -> Iterator[tuple[type, Callable[[Any], Any]]]:
        """Yield the reducers for classes of libraries that are loaded."""
        for kind, reduce in adapters.reducers(self):
            yield kind, self._guard(kind, reduce)
        if self._numpy is not None:
            yield self._numpy.ndarray, arrays.reduce
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

    def _by_name_or(self, reduce: Callable[[Any], Any]) -> Callable[[Any], Any]:
        """Store what a variable of another group is named for by that name, else by `reduce`."""

        def by_name_or_value(obj: Any) -> Any:
            name = self._names.get(id(obj))
            if name is None or id(obj) in self._own:
                return reduce(obj)
            self.needs.add(name)
            return rebuild.named, (name,)

        return by_name_or_value

    def _class(self, obj: Any) -> Any:
        reduced = super().reducer_override(obj)
        # Those of Python that have no name in a module are looked up, and not made.
        if isinstance(reduced, tuple) and len(reduced) > 2:
            if (where := self._modules.of(obj)) is not None:
                return rebuild.attribute, where
            if (by_library := adapters.reduced_class(obj)) is not None:
                return by_library
            self.made.add(id(obj))
            maker, arguments, state, _, _, setter = _without_tracker(reduced, obj)
            if obj.__qualname__ != obj.__name__:
                state[0]["__qualname__"] = obj.__qualname__
            state[0].update(lazy_annotations.of_class(obj))
            calls = adapters.registered(obj)
            if issubclass(obj, enum.Enum):
                maker, *arguments = enums.reduced(obj, arguments, state[0])
                calls += enums.own_state(obj)
            made = (maker, *_with_slots(_with_base(tuple(arguments)), obj))
            state = (setter, state, *calls)
            reduced = (rebuild.quiet_class, made, state, None, None, rebuild.set_class)
        return reduced

    def _function(self, obj: Any) -> Any:
        if obj.__globals__ is not self._globals:
            if obj.__code__ is DISPATCHING and obj.__module__ == "__main__":
                self.made.add(id(obj))
                return _reduce_dispatching(obj)
            reduced = super().reducer_override(obj)
            if reduced is not NotImplemented:
                if (replaced := _reduce_replaced(obj)) is not None:
                    return replaced
                if (where := self._modules.of(obj)) is not None:
                    return rebuild.attribute, where
                self.made.add(id(obj))
                return functions.reduce_foreign(obj, reduced, self._modules.namespaces)
            return reduced
        self.made.add(id(obj))
        return functions.reduce_function(obj)

    def _module(self, obj: Any) -> Any:
        reduced = self.dispatch_table[types.ModuleType](obj)
        return functions.reduce_module(obj, reduced, self._modules.namespaces)

    def _new_type(self, obj: Any) -> Any:
        if obj.__module__ != "__main__":
            return NotImplemented
        self.made.add(id(obj))
        return rebuild.new_type, (), vars(obj), None, None, rebuild.set_attributes

    def _type_alias(self, obj: Any) -> Any:
        if obj.__module__ != "__main__":
            return NotImplemented
        self.made.add(id(obj))
        return type_variables.reduce_alias(obj)

    def _cached(self, obj: Any) -> Any:
        """Store a function with functools.lru_cache, and what its cache holds."""
        wrapped = obj.__wrapped__
        if getattr(wrapped, "__globals__", None) is not self._globals:
            if (where := self._modules.of(obj)) is not None:
                return rebuild.attribute, where
            if functions.is_found(obj):
                return super().reducer_override(obj)
        self.made.add(id(obj))
        attributes = {key: value for key, value in vars(obj).items() if key != "__wrapped__"}
        made = (wrapped, obj.cache_parameters(), attributes)
        contents = self._cache_of(obj)
        if contents is None:
            return rebuild.cached, made
        return rebuild.cached, made, contents, None, None, rebuild.fill_cache

    def _cache_of(self, obj: Any) -> tuple[Any, ...] | None:
        """Return what a cache holds; None: nothing, or it cannot be stored, which is named."""
        try:
            contents = caches.read(obj)
            if not contents.is_plain():
                self.try_apart(contents.calls, own=obj)
        except Exception as error:  # noqa: BLE001 - the user's classes may raise anything
            name = getattr(obj, "__name__", "a partial function")
            self.lost.append((f"the cache of `{name}`", reason_of(error), id(obj)))
            return None
        return tuple(contents) if contents.misses else None

    def dump_part(self, value: Any) -> bytes:
        """Pickle something that a library keeps as bytes; it shares nothing with others."""
        file = io.BytesIO()
        pickler = _Part(file, self._around, set(self._own) - {id(value)})
        try:
            pickler.dump(value)
            self.needs |= pickler.needs
            self.lost += pickler.lost
            if pickler.weak.met:
                self.lost.append((weak.LOST.format("{}"), weak.WHY_LOST, id(value)))
        finally:
            pickler.release()
        return file.getvalue()

    def try_apart(self, value: Any, own: Any) -> None:
        """Pickle something for nothing, before it becomes part of this pickle. Raises as that does.

        own: the object that holds it, which is not pickled.
        """
        names = {**self._names, id(own): "own"}
        try_out(value, self._around._replace(names=names), set(self._own) - {id(own)})

    # -- pandas --------------------------------------------------------------------

    def _pandas_block(self, obj: Any) -> Any:
        maker, arguments = obj.__reduce__()[:2]
        refs = getattr(obj, "refs", None)
        if refs is None:
            return maker, arguments
        return rebuild.block, (maker, arguments, refs)

    def _pandas_index(self, obj: Any) -> Any:
        """Store an index with memory of its own: it is immutable."""
        reduced = obj.__reduce__()
        if len(reduced) < 2 or len(reduced[1]) != 2 or not isinstance(reduced[1][1], dict):
            return reduced
        maker, (kind, parts) = reduced[:2]
        data = parts.get("data")
        if type(data) is self._numpy.ndarray and arrays.owner(data) is not None:
            parts = {**parts, "data": data.copy()}
        return (maker, (kind, parts), *reduced[2:])


class _Part(Pickler):
    """A pickler of what becomes bytes of another pickle."""

    def _meet(self, _: dict[str, Any]) -> None:
        """Whoever loads it may be a library."""


def _reduce_replaced(obj: Any) -> Any:
    """Reduce a module's own function in whose place a cell has put another; None: it is not one.

    That is put there again after all variables have been loaded.
    """
    module, name = obj.__module__, obj.__qualname__
    if type(module) is not str or type(name) is not str or module == "__main__":
        return None
    found: Any = sys.modules.get(module)
    for part in name.split("."):
        # Past any `__getattr__`, which may be the user's code.
        found = getattr(found, "__dict__", {}).get(part)
    if found is None or found is obj or not is_of_cells(found):
        return None
    return rebuild.replaced, (module, name)


def _reduce_code(code: types.CodeType) -> Any:
    """Keep the name of the cell's file, by which tracebacks and `inspect` find its source.

    cloudpickle omits it since 3.1.3, so that equal code has equal pickles.
    """
    maker, arguments = Pickler.dispatch_table[types.CodeType](code)
    # A copy, as cloudpickle makes of each name: who shares a text would be part of the pickle.
    return rebuild.code, (maker, arguments, "".join(code.co_filename))


def _reduce_cell(obj: Any) -> Any:
    try:
        contents: tuple[Any, ...] = (obj.cell_contents,)
    except ValueError:  # nothing is in it yet
        contents = ()
    if contents and (owner := lazy_annotations.class_with(contents[0])) is not None:
        return rebuild.cell, (), owner, None, None, rebuild.fill_cell_with_dict
    return rebuild.cell, (), contents, None, None, rebuild.fill_cell


def _reduce(obj: Any) -> Any:
    """Reduce an object by its own method, unless that refers to a name in the notebook.

    Such a name has not come back yet, or is this very object.
    """
    reduced = obj.__reduce_ex__(5)
    if not isinstance(reduced, str):
        return reduced
    if pickle.whichmodule(obj, reduced) != "__main__":  # type: ignore[attr-defined]
        return reduced
    # An object of a cell's class that is nothing but its attributes is stored as these.
    kind = type(obj)
    is_of_cell = module_of(kind) == "__main__" and not issubclass(kind, enum.Enum)
    if is_of_cell and not derived.slots_of(kind):
        with contextlib.suppress(TypeError):
            object.__new__(kind)
            made = (object.__new__, (kind,))
            return *made, vars(obj), None, None, rebuild.set_attributes
    raise NotStorable(f"`{reduced}`, which is known by its name only")


def _reduce_dispatching(obj: Any) -> Any:
    """Store the registry of functools.singledispatch; its caches hold weak references."""
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


# What code prints to, by the ids of these objects. The copy of a process has others in their place.
_streams: dict[int, tuple[str, Any]] = {}


def note_streams() -> None:
    """Note what `sys.stdout` and `sys.stderr` are, which are these again when they come back."""
    _streams.clear()
    for name in ("stdout", "stderr"):
        _streams[id(getattr(sys, name))] = (name, getattr(sys, name))


def _reduce_file(obj: Any) -> Any:
    if id(obj) in _streams:
        return rebuild.attribute, ("sys", _streams[id(obj)][0])
    raise NotStorable("an open file")


def _refuse(what: str) -> Callable[[Any], Any]:
    def refuse(_: Any) -> Any:
        raise NotStorable(what)

    return refuse


def _without_tracker(reduced: Any, obj: type) -> Any:
    """Leave out cloudpickle's id of a class: it differs in each fork, and so would the pickle."""
    import cloudpickle.cloudpickle as internals

    tracker = getattr(internals, "_DYNAMIC_CLASS_TRACKER_BY_CLASS", {}).get(obj)
    if tracker is None or not isinstance(reduced, tuple):
        return reduced
    arguments = tuple(None if one is tracker else one for one in reduced[1])
    return (reduced[0], arguments, *reduced[2:])


def _with_base(arguments: tuple[Any, ...]) -> tuple[Any, ...]:
    """Put in what a TypedDict is made from: before Python 3.12 it tells of dict only."""
    is_typed_dict = arguments[0] is typing._TypedDictMeta and arguments[2] == (dict,)  # type: ignore[attr-defined]  # noqa: SLF001
    return (*arguments[:2], (typing.TypedDict,), *arguments[3:]) if is_typed_dict else arguments


def _with_slots(arguments: tuple[Any, ...], obj: type) -> tuple[Any, ...]:
    """Add `__slots__` to the arguments that make a class: it cannot be given them later."""
    slots = vars(obj).get("__slots__")
    # Enumerations are made from other arguments; typing.NamedTuple makes its own.
    is_named_tuple = typing.NamedTuple in vars(obj).get("__orig_bases__", ())
    if slots is None or not isinstance(arguments[0], type) or is_named_tuple:
        return arguments
    return (*arguments[:3], {**arguments[3], "__slots__": slots}, *arguments[4:])
