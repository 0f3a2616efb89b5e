"""A notebook's state beside its variables and settings: modules, directory, history."""

from __future__ import annotations

import contextlib
import linecache
import os
import re
import sys
import time
import types
from collections.abc import Iterator
from typing import Any

from ..origin import Origin
from . import held_elsewhere

# Names that IPython defines, also where they hold something of the user's.
_UNDERSCORES = ("_", "__", "___")
_OUTPUT = "Out["
_NOT_VARIABLES = frozenset(
    {"In", "Out", "_ih", "_oh", "_dh", "_i", "_ii", "_iii"}
    # What every module has.
    | {"__name__", "__doc__", "__package__", "__loader__", "__spec__"}
    | {"__builtin__", "__builtins__"}
)


# Its hash tells processes with different seeds apart.
_HASHED = "aca-kernel"


def variables(shell: Any) -> dict[str, Any]:
    """Return the user's variables by name, and the contents of `Out` and `_` as `Out[…]`."""
    hidden, missing = shell.user_ns_hidden, object()
    found: dict[str, Any] = {}
    for name, value in list(shell.user_ns.items()):
        if not isinstance(name, str) or name in _NOT_VARIABLES:
            continue
        if value is not hidden.get(name, missing) and not _is_numbered(shell, name, value):
            found[name] = value
    for number, value in list(shell.user_ns.get("_oh", {}).items()):
        found[f"{_OUTPUT}{number}]"] = value
    found.update(held_elsewhere.read(list(found.values())))
    for name in _UNDERSCORES:
        value = getattr(shell.displayhook, name, "")
        if type(value) is str and not value:
            continue  # nothing has been shown yet
        found[f"{_OUTPUT}{name}]"] = value
        own = shell.user_ns.get(name, missing)
        if own is value:
            found.pop(name, None)
        elif own is not missing:
            # The user has assigned to one of these names: IPython leaves all as they are.
            found[name] = own
    return found


def is_shown(name: str) -> bool:
    """Tell whether a name is one that the user gave."""
    return not name.startswith("_") and not is_output(name)


def _is_numbered(shell: Any, name: str, value: Any) -> bool:
    """Tell whether it is IPython's `_7` or `_i7`, and not the user's variable of that name."""
    if re.fullmatch("_[0-9]+", name):
        return value is shell.user_ns.get("_oh", {}).get(int(name[1:]), shell)
    if re.fullmatch("_i[0-9]+", name) and type(value) is str:
        inputs = shell.history_manager.input_hist_raw
        return value in inputs[int(name[2:]) :][:1]
    return False


# -- modules -----------------------------------------------------------------------


def take_modules(found: dict[str, Any]) -> tuple[list[tuple[str, str]], list[str]]:
    """Remove the modules from the variables; return names with modules, and loaded submodules."""
    imports: list[tuple[str, str]] = []
    for name, value in list(found.items()):
        # By the type alone: the value itself might run code of the user's.
        if not issubclass(type(value), types.ModuleType):
            continue
        module = object.__getattribute__(value, "__dict__").get("__name__")
        if type(module) is not str:
            continue
        if sys.modules.get(module) is value and module != "__main__":
            imports.append((name, module))
            del found[name]
    packages = tuple({module + "." for _, module in imports})
    submodules = [
        name
        for name in list(sys.modules)
        if name.startswith(packages) and not any(part.startswith("_") for part in name.split("."))
    ]
    return imports, submodules


# -- the process -------------------------------------------------------------------


def process_state(origin: Origin) -> dict[str, Any]:
    """Return working directory, environment variables and path, as far as they differ."""
    environ = {
        name: value for name, value in os.environ.items() if origin.environ.get(name) != value
    }
    return {
        "start": origin.directory,
        "directory": working_directory(),
        "environ": environ,
        "environ_gone": [name for name in origin.environ if name not in os.environ],
        "path": list(sys.path) if sys.path != origin.path else None,
        "hashing": hash(_HASHED),
        "zone": _zone(),
    }


def _zone() -> list[Any]:
    """Return the time zone that times are told in."""
    return [*time.tzname, time.timezone, time.altzone]


def working_directory() -> str | None:
    """Return the working directory; None: it has been removed."""
    try:
        return os.getcwd()
    except FileNotFoundError:
        return None


def place_of(state: dict[str, Any], path: str, origin: Origin) -> str:
    """Return the path here of a path there: a folder of its own may be another one (on macOS)."""
    start = state.get("start", origin.directory)
    is_own = path == start or path.startswith(start.rstrip("/") + "/")
    return origin.directory + path[len(start) :] if is_own else path


def set_process_state(state: dict[str, Any], origin: Origin) -> list[tuple[str, str]]:
    """Restore environment variables and path; return what cannot be as it was, with its reason."""
    os.environ.update(state["environ"])
    for name in state["environ_gone"]:
        os.environ.pop(name, None)
    if state["path"] is not None:
        sys.path[:] = [place_of(state, path, origin) for path in state["path"]]
    # The variable alone says nothing: somebody must have had it read.
    if list(state.get("zone", _zone())) != _zone() and hasattr(time, "tzset"):
        time.tzset()
    if state.get("hashing", hash(_HASHED)) != hash(_HASHED):
        return [("the order of sets of texts", "this process hashes with another seed")]
    return []


@contextlib.contextmanager
def findable(directory: str | None) -> Iterator[None]:
    """Let modules be found in the future working directory."""
    if directory is None:
        yield
        return
    sys.path.append(directory)
    try:
        yield
    finally:
        if directory in sys.path:
            del sys.path[len(sys.path) - 1 - sys.path[::-1].index(directory)]


def set_directory(directory: str | None) -> list[tuple[str, str]]:
    """Change to the directory; return a failure with its reason."""
    if directory is not None:
        try:
            os.chdir(directory)
        except OSError as error:
            return [("the working directory", f"{error.strerror}: {directory}")]
    return []


def sort(shell: Any, names: list[str]) -> None:
    """Restore the order of variables and outputs, which loops over them show."""
    outputs = shell.user_ns.get("_oh", {})
    for name in names:
        key = name[len(_OUTPUT) : -1]
        if is_output(name) and key.isdigit() and int(key) in outputs:
            outputs[int(key)] = outputs.pop(int(key))
        elif name in shell.user_ns:
            shell.user_ns[name] = shell.user_ns.pop(name)


# -- history -----------------------------------------------------------------------


def history(shell: Any, is_in_cell: bool) -> dict[str, Any]:
    """Return inputs, execution count, and the sources of cells.

    is_in_cell: a cell is running, which is part of the count.
    """
    sources = []
    for name, number in getattr(shell.compile, "_filename_map", {}).items():
        lines = linecache.cache.get(name)
        if lines is not None and len(lines) == 4:
            sources.append([name, number, "".join(lines[2])])
    manager = shell.history_manager
    return {
        "count": shell.execution_count + (is_in_cell and not _is_counted(shell)),
        "parsed": list(manager.input_hist_parsed),
        "raw": list(manager.input_hist_raw),
        "last": {name: getattr(manager, name, "") for name in ("_i00", "_i", "_ii", "_iii")},
        "sources": sources,
        "extensions": sorted(shell.extension_manager.loaded),
    }


def _is_counted(shell: Any) -> bool:
    """Tell whether a running cell is counted already; older IPython does it at its end."""
    return bool(shell.execution_count > shell.displayhook.prompt_count)


def set_history(shell: Any, state: dict[str, Any], is_in_cell: bool, taken: set[str]) -> None:
    """Restore the history; the next cell continues the count, or the running one does.

    taken: names that the user has assigned to.
    """
    manager = shell.history_manager
    if is_in_cell and manager.input_hist_raw:
        state["parsed"].append(manager.input_hist_parsed[-1])
        state["raw"].append(manager.input_hist_raw[-1])
        last = state["last"]
        state["last"] = {
            "_i00": manager.input_hist_raw[-1],
            "_i": last["_i00"],
            "_ii": last["_i"],
            "_iii": last["_ii"],
        }
    manager.input_hist_parsed[:] = state["parsed"]
    manager.input_hist_raw[:] = state["raw"]
    shell.execution_count = state["count"] + (is_in_cell and _is_counted(shell))
    for name, text in state["last"].items():
        setattr(manager, name, text)
        if name != "_i00":
            shell.user_ns[name] = shell.user_ns_hidden[name] = text
    for number, text in enumerate(state["raw"]):
        if number and f"_i{number}" not in taken:
            shell.user_ns[f"_i{number}"] = shell.user_ns_hidden[f"_i{number}"] = text
    for name, number, text in state["sources"]:
        lines = [line + "\n" for line in text.splitlines()]
        linecache.cache[name] = (len(text), None, lines, name)
        shell.compile._filename_map[name] = number  # noqa: SLF001 - tracebacks say In[number]


def set_output(shell: Any, name: str, value: Any, taken: set[str]) -> None:
    """Restore an entry of `Out`, or IPython's `_`, `__` and `___`.

    taken: names that the user has assigned to.
    """
    if held_elsewhere.write(name, value):
        return
    key = name[len(_OUTPUT) : -1]
    if key.isdigit():
        shell.user_ns["_oh"][int(key)] = value
        key = "_" + key
    else:
        setattr(shell.displayhook, key, value)
    if key not in taken:
        shell.user_ns[key] = shell.user_ns_hidden[key] = value


def is_output(name: str) -> bool:
    """Tell whether `set_output` is for this name."""
    return name.startswith(_OUTPUT)
