"""Settings of the standard library, but for those of logging."""

from __future__ import annotations

import os
import re
import sys
import warnings
from typing import Any

from .row import Row, call, call_each, is_of_cells, mentioned

_ADDS_TYPES = re.compile(r"\badd_type\b|\bmimetypes\b")
_SETS_LIMITS = re.compile(r"\bsetrlimit\b")


def _read_locale(locale: Any) -> Any:
    names = [name for name in dir(locale) if name.startswith("LC_") and name != "LC_ALL"]
    found = {name: locale.setlocale(getattr(locale, name)) for name in names}
    # Python sets this one itself when it starts.
    is_plain = all(value == "C" for name, value in found.items() if name != "LC_CTYPE")
    return None if is_plain else found


def _write_locale(locale: Any, state: Any) -> None:
    for name, value in state.items():
        locale.setlocale(getattr(locale, name), value)


def _read_umask(_: Any) -> int:
    # There is no other way to ask.
    mask = os.umask(0o077)
    os.umask(mask)
    return mask


def _read_signals(signal: Any) -> Any:
    # SIGINT is exchanged by ipykernel for each cell.
    numbers = signal.valid_signals() - {signal.SIGINT}
    found = {int(number): signal.getsignal(number) for number in numbers}
    return {number: one for number, one in found.items() if is_of_cells(one)} or None


def _write_gc(gc: Any, state: Any) -> None:
    (gc.enable if state[0] else gc.disable)()
    gc.set_threshold(*state[1])
    gc.set_debug(state[2])


def _write_faulthandler(faulthandler: Any, state: Any) -> None:
    if state != faulthandler.is_enabled():
        (faulthandler.enable if state else faulthandler.disable)()


def _read_arguments(_: Any) -> Any:
    """Return the arguments if a cell has set them: the others name this kernel's own file."""
    is_plain = len(sys.argv) == 3 and sys.argv[1] == "-f"
    is_plain = is_plain and os.path.basename(sys.argv[0]) == "ipykernel_launcher.py"
    return None if is_plain else list(sys.argv)


def _write_arguments(_: Any, state: Any) -> None:
    sys.argv[:] = state


def _read_context(decimal: Any) -> Any:
    context = decimal.getcontext()
    return None if repr(context) == repr(decimal.Context()) else context.copy()


def _read_dialects(csv: Any) -> Any:
    names = [name for name in dir(csv.excel) if not name.startswith("_")]
    found = {
        name: {one: getattr(csv.get_dialect(name), one) for one in names}
        for name in csv.list_dialects()
        if name not in ("excel", "excel-tab", "unix")
    }
    limit = csv.field_size_limit()
    return None if not found and limit == 131_072 else (found, limit)


def _write_dialects(csv: Any, state: Any) -> None:
    for name, values in state[0].items():
        csv.register_dialect(name, **values)
    csv.field_size_limit(state[1])


def _read_copyreg(copyreg: Any) -> Any:
    found = copyreg.dispatch_table
    return {kind: one for kind, one in found.items() if is_of_cells(one)} or None


def _read_ssl(ssl: Any) -> Any:
    unverified = ssl._create_unverified_context  # noqa: SLF001 - which is documented (PEP 476)
    return ssl._create_default_https_context is unverified or None  # noqa: SLF001


def _write_ssl(ssl: Any, _: Any) -> None:
    ssl._create_default_https_context = ssl._create_unverified_context  # noqa: SLF001


def _read_limits(_: Any) -> Any:
    digits = getattr(sys, "get_int_max_str_digits", lambda: None)()
    return sys.getswitchinterval(), digits, getattr(sys, "tracebacklimit", None)


def _write_limits(_: Any, state: Any) -> None:
    sys.setswitchinterval(state[0])
    if state[1] is not None:
        sys.set_int_max_str_digits(state[1])
    if state[2] is not None:
        sys.tracebacklimit = state[2]


def _read_tracemalloc(tracemalloc: Any) -> Any:
    return tracemalloc.get_traceback_limit() if tracemalloc.is_tracing() else None


def _write_tracemalloc(tracemalloc: Any, state: Any) -> None:
    if not tracemalloc.is_tracing():
        tracemalloc.start(state)


def _set_warning_filters(_: Any, state: Any) -> None:
    # So that Python notices; it puts each before the others.
    warnings.resetwarnings()
    warnings.filters[:] = state  # type: ignore[index]
    getattr(warnings, "_filters_mutated", getattr(warnings, "_filters_mutated_lock_held", int))()


def _read_folder(tempfile: Any) -> Any:
    """Return the folder that code has chosen; the environment's own may be another next time."""
    folder = tempfile.tempdir
    own = {os.environ.get(name) for name in ("TMPDIR", "TEMP", "TMP")} | {"/tmp"}  # noqa: S108
    return None if folder in own else folder


def _write_folder(tempfile: Any, state: Any) -> None:
    tempfile.tempdir = state


_MAPS = ("types_map", "types_map_inv", "encodings_map", "suffix_map")


def _read_media_types(mimetypes: Any) -> Any:
    types = getattr(mimetypes, "_db", None)
    if types is None or not mentioned(_ADDS_TYPES):
        return None
    return {name: getattr(types, name) for name in _MAPS}


def _write_media_types(mimetypes: Any, state: Any) -> None:
    mimetypes.init()
    types = mimetypes._db  # noqa: SLF001 - what its functions use
    for name, known in state.items():
        own = getattr(types, name)
        # Two each: official ones, and others.
        for own_one, one in [(own, known)] if type(own) is dict else zip(own, known):  # noqa: B905
            own_one.update(one)


def _read_resources(resource: Any) -> Any:
    if not mentioned(_SETS_LIMITS):
        return None
    names = [name for name in dir(resource) if name.startswith("RLIMIT_")]
    return {name: resource.getrlimit(getattr(resource, name)) for name in names}


def _write_resources(resource: Any, state: Any) -> None:
    for name, (soft, _) in state.items():
        number = getattr(resource, name)
        before, hard = resource.getrlimit(number)
        if soft != before:
            resource.setrlimit(number, (soft, hard))


ROWS: dict[str, Row] = {
    "the context of decimal": Row("decimal", _read_context, call("setcontext"), is_early=True),
    "the locale": Row("locale", _read_locale, _write_locale, is_early=True),
    "the filters of warnings": Row(
        "warnings", lambda _: list(warnings.filters), _set_warning_filters
    ),
    "the recursion limit": Row(
        "sys", call("getrecursionlimit"), call("setrecursionlimit"), is_before_fork=True
    ),
    "the limits of Python": Row("sys", _read_limits, _write_limits),
    "the file mode mask": Row("os", _read_umask, call("umask")),
    "the signal handlers": Row("signal", _read_signals, call_each("signal"), is_before_fork=True),
    "the timeout of sockets": Row("socket", call("getdefaulttimeout"), call("setdefaulttimeout")),
    "faulthandler": Row("faulthandler", call("is_enabled"), _write_faulthandler),
    "garbage collection": Row(
        "gc",
        lambda gc: (gc.isenabled(), gc.get_threshold(), gc.get_debug()),
        _write_gc,
        is_before_fork=True,
    ),
    "sys.argv": Row("sys", _read_arguments, _write_arguments),
    "the dialects of csv": Row("csv", _read_dialects, _write_dialects),
    "the reducers of copyreg": Row("copyreg", _read_copyreg, call_each("pickle")),
    "the contexts of ssl": Row("ssl", _read_ssl, _write_ssl),
    "the start method of multiprocessing": Row(
        "multiprocessing",
        lambda module: module.get_start_method(allow_none=True),
        lambda module, state: module.set_start_method(state, force=True),
    ),
    "the folder of tempfile": Row("tempfile", _read_folder, _write_folder),
    "the first day of the week": Row(
        "calendar", lambda calendar: calendar.firstweekday() or None, call("setfirstweekday")
    ),
    "the types of mimetypes": Row("mimetypes", _read_media_types, _write_media_types),
    # Those of the copy are others.
    "the limits of the process": Row(
        "resource", _read_resources, _write_resources, is_before_fork=True
    ),
    "tracemalloc": Row("tracemalloc", _read_tracemalloc, _write_tracemalloc),
}

RANDOM: dict[str, Row] = {
    # Python seeds a forked process again.
    "the random state of random": Row(
        "random", call("getstate"), call("setstate"), is_before_fork=True
    ),
}
