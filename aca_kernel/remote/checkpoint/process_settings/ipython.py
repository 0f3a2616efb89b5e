"""Settings of IPython's shell, as far as cells have made them."""

from __future__ import annotations

import importlib
import sys
import types
from collections.abc import Callable, Iterator
from typing import Any

from ..atoms import module_of
from .row import Row, Unkept, call, call_each, is_of_cells, of_cells, shell

# -- traits, as %config sets them --------------------------------------------------

# Of the shell itself: its other traits are about its place and its start.
_OF_SHELL = (
    "ast_node_interactivity", "autoawait", "autocall", "automagic", "call_pdb", "colors",
    "enable_html_pager", "show_rewritten_input", "sphinxify_docstring", "show_tracebacks",
)  # fmt: skip

_PLAIN = (bool, int, float, str, type(None))


def _configurables(ip: Any) -> Iterator[tuple[str, Any]]:
    yield "display", ip.display_formatter
    yield from ip.display_formatter.formatters.items()
    yield "completer", ip.Completer
    inline = _inline_backend()
    if inline is not None:
        yield "inline", inline


def _inline_backend() -> Any:
    kind = getattr(sys.modules.get("matplotlib_inline.config"), "InlineBackend", None)
    return kind.instance() if kind is not None and kind.initialized() else None


def _is_plain(value: Any) -> bool:
    if isinstance(value, (list, tuple, set, frozenset)):
        return all(map(_is_plain, value))
    if isinstance(value, dict):
        return all(_is_plain(key) and _is_plain(one) for key, one in value.items())
    return type(value) in _PLAIN


def _changed(one: Any, names: Any) -> dict[str, Any]:
    found = {}
    for name in names:
        value = getattr(one, name, None)
        # Some set it on the class, in place of the trait.
        is_default = one.has_trait(name) and value == one.trait_defaults(name)
        if not is_default and value is not None and _is_plain(value):
            found[name] = value
    return found


def _read_traits(ip: Any) -> Any:
    found = {key: _changed(one, one.trait_names(config=True)) for key, one in _configurables(ip)}
    found["shell"] = _changed(ip, _OF_SHELL)
    return {key: values for key, values in found.items() if values} or None


def _write_traits(ip: Any, state: Any) -> None:
    if "inline" in state:
        inline = importlib.import_module("matplotlib_inline.config").InlineBackend
        inline.instance(parent=ip)
    for key, one in (*_configurables(ip), ("shell", ip)):
        for name, value in state.get(key, {}).items():
            if getattr(one, name, None) != value:
                setattr(one, name, value)


def _read_precision(ip: Any) -> Any:
    plain = ip.display_formatter.formatters["text/plain"]
    precision = getattr(plain, "float_precision", None)
    return (precision, plain.float_format) if precision else None


def _write_precision(ip: Any, state: Any) -> None:
    plain = ip.display_formatter.formatters["text/plain"]
    plain.float_precision, plain.float_format = state


# -- magics, aliases, hooks --------------------------------------------------------


def _read_aliases(ip: Any) -> Any:
    manager = ip.alias_manager
    known = dict(manager.default_aliases)
    return [one for one in manager.aliases if known.get(one[0]) != one[1]] or None


def _magics(ip: Any) -> Iterator[tuple[str, str, Any]]:
    for kind, magics in ip.magics_manager.magics.items():
        for name, one in list(magics.items()):
            # Those that were never used have no state, and would be imported if they were asked.
            if type(one).__name__ != "LazyMagic":
                yield kind, name, one


def _read_magics(ip: Any) -> Any:
    functions, kinds, aliases = [], [], []
    for kind, name, one in _magics(ip):
        if type(one).__name__ == "MagicAlias":
            aliases.append((name, one.magic_name, kind, getattr(one, "magic_params", None)))
        elif type(one) is types.MethodType and module_of(type(one.__self__)) == "__main__":
            kinds.append(type(one.__self__))
        elif is_of_cells(one):
            functions.append((one, kind, name))
    return functions, list(dict.fromkeys(kinds)), aliases


def _write_magics(ip: Any, state: Any) -> None:
    functions, kinds, aliases = state
    for function, kind, name in functions:
        ip.register_magic_function(function, kind, name)
    for kind in kinds:
        ip.register_magics(kind)
    for name, target, kind, parameters in aliases:
        ip.magics_manager.register_alias(name, target, kind, parameters)


def _write_hooks(ip: Any, state: Any) -> None:
    for event, ones in state.items():
        for one in ones:
            if one not in ip.events.callbacks[event]:
                ip.events.register(event, one)


_TRANSFORMERS = ("input_transformers_cleanup", "input_transformers_post", "ast_transformers")


def _read_transformers(ip: Any) -> Any:
    return of_cells((name, getattr(ip, name, ())) for name in _TRANSFORMERS)


def _write_transformers(ip: Any, state: Any) -> None:
    for name, ones in state.items():
        there = getattr(ip, name)
        there.extend(one for one in ones if one not in there)


def _read_custom_exceptions(ip: Any) -> Any:
    kinds = ip.custom_exceptions
    function = getattr(ip.CustomTB, "__func__", None)
    if not kinds or function is None:
        return None
    # The shell wraps it, in a function that keeps it in its closure.
    held = dict(zip(function.__code__.co_freevars, function.__closure__ or ()))  # noqa: B905
    handler = held.get("handler")
    return None if handler is None else (kinds, handler.cell_contents)


# Packages whose formatters are there when they are set up.
_OF_THE_SHELL = frozenset({"IPython", "ipykernel", "matplotlib_inline"})


def _read_formatters(ip: Any) -> Any:
    found = []
    for mime, one in ip.display_formatter.formatters.items():
        for kind, function in one.type_printers.items():
            if is_of_cells(kind) or is_of_cells(function) or _is_made_by_a_call(function):
                found.append((mime, kind, function))
        for key, function in one.deferred_printers.items():
            if is_of_cells(function):
                found.append((mime, ".".join(key), function))
    return found or None


def _is_made_by_a_call(function: Any) -> bool:
    """Tell whether a library has made a function on request, as sympy.init_printing does."""
    if type(function) is not types.FunctionType or "<locals>" not in function.__qualname__:
        return False
    return str(function.__module__).partition(".")[0] not in _OF_THE_SHELL


def _write_formatters(ip: Any, state: Any) -> None:
    for mime, kind, function in state:
        ip.display_formatter.formatters[mime].for_type(kind, function)


# -- extensions, directories, what %store and %bookmark keep -------------------------

# The module of this extension keeps what it is to do in an object of its own.
_AUTORELOAD = ("enabled", "check_all", "autoload_obj", "modules", "skip_modules")

# What every object with magics has.
_OF_MAGICS = frozenset({"shell", "options_table", "parent", "config", "magics"})


def _of_extensions(ip: Any) -> Iterator[tuple[str, Any]]:
    """Yield extensions with their objects that have magics."""
    seen = set()
    for _, _, one in _magics(ip):
        owner = getattr(one, "__self__", None)
        module = module_of(type(owner))
        names = [
            name
            for name in ip.extension_manager.loaded
            if module == name or module.startswith((f"{name}.", f"IPython.extensions.{name}"))
        ]
        if names and id(owner) not in seen:
            seen.add(id(owner))
            yield names[0], owner


def _traits_of(owner: Any) -> dict[str, Any]:
    names: list[str] = list(getattr(owner, "trait_names", list)())
    values = {name: getattr(owner, name) for name in names if name not in _OF_MAGICS}
    return {name: value for name, value in values.items() if _is_plain(value)}


def _read_extensions(ip: Any) -> Any:
    found = []
    for name, owner in _of_extensions(ip):
        reloader = getattr(owner, "_reloader", None)
        state = {key: getattr(reloader, key) for key in _AUTORELOAD if hasattr(reloader, key)}
        found.append((name, type(owner).__name__, _traits_of(owner), state))
    return found or None


def _write_extensions(ip: Any, state: Any) -> None:
    manager = ip.extension_manager
    for name in dict.fromkeys(one[0] for one in state):
        if name not in manager.loaded:
            manager.load_extension(name)
    owners = {(name, type(owner).__name__): owner for name, owner in _of_extensions(ip)}
    for name, kind, traits, reloading in state:
        owner = owners.get((name, kind))
        for trait, value in traits.items():
            if getattr(owner, trait, value) != value:
                setattr(owner, trait, value)
        for key, value in reloading.items():
            setattr(getattr(owner, "_reloader", None), key, value)


def unkept() -> Unkept:
    """Return formatters of others, and extensions with a state that nothing tells."""
    ip, found = shell(), {}
    for mime, one in ip.display_formatter.formatters.items():
        if module_of(type(one)).partition(".")[0] not in _OF_THE_SHELL:
            reason = f"it is a {type(one).__name__}, which is not put there again"
            found[f"the formatter of {mime}"] = reason
    for name, owner in _of_extensions(ip):
        others = {key for key in vars(owner) if not key.startswith(("_trait", "_cross"))}
        is_told = hasattr(owner, "_reloader")
        if not is_told and others - _OF_MAGICS - set(_traits_of(owner)):
            found[f"what is set in the extension {name}"] = "the extension does not tell it"
    return list(found.items())


def _read_kept(ip: Any) -> Any:
    stored = ip.db
    # Older versions of IPython have a stand-in where a package is missing.
    if not hasattr(stored, "keys"):
        return None
    names = [*stored.keys("autorestore/*"), *stored.keys("bookmarks")]
    # Another kernel of this home may be writing one, or have removed it: it reads as not there.
    found = ((name, stored.get(name)) for name in names)
    return {name: value for name, value in found if value is not None} or None


def _write_directories(ip: Any, state: Any) -> None:
    ip.user_ns["_dh"][:] = state


def _row(read: Callable[[Any], Any], write: Callable[[Any, Any], Any]) -> Row:
    """Return a row whose functions are given the shell."""
    return Row("IPython", lambda _: read(shell()), lambda _, state: write(shell(), state))


ROWS: dict[str, Row] = {
    "what %config has set": _row(_read_traits, _write_traits),
    "%precision": _row(_read_precision, _write_precision),
    "%xmode": _row(lambda ip: ip.InteractiveTB.mode, call("InteractiveTB.set_mode")),
    "%alias": _row(_read_aliases, call_each("alias_manager.soft_define_alias")),
    "magics of cells": _row(_read_magics, _write_magics),
    "event hooks of cells": _row(lambda ip: of_cells(ip.events.callbacks.items()), _write_hooks),
    "input transformers of cells": _row(_read_transformers, _write_transformers),
    "handlers of exceptions": _row(
        _read_custom_exceptions, lambda ip, state: ip.set_custom_exc(*state)
    ),
    "formatters of cells": _row(_read_formatters, _write_formatters),
    "the state of extensions": _row(_read_extensions, _write_extensions),
    "what %store and %bookmark keep": _row(_read_kept, call("db.update")),
    "the directories of %dhist": _row(lambda ip: list(ip.user_ns["_dh"]), _write_directories),
}
