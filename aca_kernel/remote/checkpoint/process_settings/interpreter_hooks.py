"""Functions and classes of cells that Python itself calls or asks, and abstract classes.

Some of its tables are not to be read, but known to the garbage collector. They are looked for where
a cell mentions them.
"""

from __future__ import annotations

import abc
import gc
import importlib
import re
import sys
from typing import Any

from .places import Place
from .registrations import REGISTERS
from .row import Row, Unkept, call, is_of_cells, loaded, mentioned, shell

NAME = "virtual subclasses of "

_CODECS = re.compile(r"\bregister(_error)?\b")
_AT_EXIT = re.compile(r"\batexit\b[^\n]*\bregister\b")

# A table with more entries is another one.
_MOST_ENTRIES = 1000

# -- codecs ------------------------------------------------------------------------


def _table_with(known: Any, kind: type) -> Any:
    """Return the table of Python's own that something known is in; an empty one if not found."""
    found: list[Any] = [one for one in gc.get_referrers(known) if type(one) is kind]
    return next((one for one in found if len(one) < _MOST_ENTRIES), kind())


def _read_codecs(codecs: Any) -> Any:
    if not mentioned(_CODECS):
        return None
    searches = _table_with(loaded("encodings").search_function, list)
    handlers = _table_with(codecs.strict_errors, dict)
    found = (
        [one for one in searches if is_of_cells(one)],
        {name: one for name, one in handlers.items() if is_of_cells(one)},
    )
    return found if any(found) else None


def _write_codecs(codecs: Any, state: Any) -> None:
    for search in state[0]:
        codecs.register(search)
    for name, handler in state[1].items():
        codecs.register_error(name, handler)


# -- overloads, finders, threads ---------------------------------------------------


def _read_overloads(typing: Any) -> Any:
    registry: Any = getattr(typing, "_overload_registry", {})  # since Python 3.11
    found = {name: dict(lines) for name, lines in dict(registry.get("__main__", {})).items()}
    return found or None


def _write_overloads(typing: Any, state: Any) -> None:
    for name, lines in state.items():
        typing._overload_registry["__main__"][name] = lines  # noqa: SLF001 - as above


def _read_finders(_: Any) -> Any:
    found = {
        name: [(place, one) for place, one in enumerate(getattr(sys, name)) if is_of_cells(one)]
        for name in ("meta_path", "path_hooks")
    }
    return found if any(found.values()) else None


def _write_finders(_: Any, state: Any) -> None:
    for name, finders in state.items():
        for place, one in finders:
            if all(one is not other for other in getattr(sys, name)):
                getattr(sys, name).insert(place, one)
    sys.path_importer_cache.clear()


def _read_thread_trace(threading: Any) -> Any:
    found = getattr(threading, "_trace_hook", None)
    return found if is_of_cells(found) else None


# -- subclasses --------------------------------------------------------------------


def _read_order(_: Any) -> Any:
    """Return classes of cells that have several subclasses, with these in their order."""
    classes = [one for one in list(shell().user_ns.values()) if issubclass(type(one), type)]
    own = {id(one): one for one in classes if is_of_cells(one)}
    orders = ((one, type.__subclasses__(one)) for one in own.values() if not issubclass(one, type))
    # Others are on their way out, or are made by what is not looked at.
    found = [(one, [sub for sub in order if id(sub) in own]) for one, order in orders]
    return [(one, order) for one, order in found if len(order) > 1] or None


def _write_order(_: Any, state: Any) -> None:
    bases: Any = vars(type)["__bases__"]
    for kind, order in state:
        if type.__subclasses__(kind) != order:
            for one in order:
                # Each goes to the end.
                bases.__set__(one, bases.__get__(one))


# -- virtual subclasses ------------------------------------------------------------


def read(places: list[Place]) -> dict[str, Any]:
    """Return what cells have registered with abstract classes of modules, by their rows' names."""
    if not mentioned(REGISTERS):
        return {}
    found: dict[str, Any] = {}
    for place in places:
        kind = vars(sys.modules[place.module]).get(place.owner) if place.owner else None
        if not issubclass(type(kind), abc.ABCMeta):
            continue
        registered = [one for each in abc._get_dump(kind)[0] if (one := each()) is not None]  # type: ignore[attr-defined]  # noqa: SLF001 - nothing public tells it
        own = [one for one in registered if is_of_cells(one)]
        if own:
            found[NAME + place.path("")] = (place.module, place.owner, own)
    return found


def _write(_: Any, state: Any) -> None:
    module, name, registered = state
    kind = getattr(importlib.import_module(module), name)
    for one in registered:
        kind.register(one)


ROW = Row("abc", None, _write)


# -- what is not made again --------------------------------------------------------


def unkept() -> Unkept:
    """Return what cells have put where it cannot be read, or would be called too early."""
    found: Unkept = [
        (f"sys.{name}", "a function that is called at each step is not set again")
        for name, one in (("setprofile", sys.getprofile()), ("settrace", sys.gettrace()))
        if is_of_cells(one)
    ]
    if mentioned(_AT_EXIT):
        found.append(("the functions of atexit", "Python does not tell which there are"))
    patching: Any = getattr(sys.modules.get("unittest.mock"), "_patch", None)
    for one in getattr(patching, "_active_patches", ()):
        name = getattr(one, "attribute", None) or getattr(one, "in_dict", None)
        told = f" of `{name}`" if type(name) is str else ""
        found.append((f"a patch{told} of unittest.mock", "it is not started again"))
    return found


ROWS: dict[str, Row] = {
    "the codecs of cells": Row("codecs", _read_codecs, _write_codecs),
    "the overloads of typing": Row("typing", _read_overloads, _write_overloads),
    "the order of subclasses": Row("sys", _read_order, _write_order),
    "the finders of modules": Row("sys", _read_finders, _write_finders),
    "the trace function of threads": Row(
        "threading", _read_thread_trace, call("settrace"), is_before_fork=True
    ),
    "the stack size of threads": Row(
        "threading", lambda threading: threading.stack_size() or None, call("stack_size")
    ),
}
