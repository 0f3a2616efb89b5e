"""Counters that libraries keep: of names that they give, of identifiers that must not come twice.

What a library has numbered comes back with its number. Would the next one begin at the beginning
again, it might have the number of another: a solver that tells variables by theirs finds a wrong
optimum. Found in modules and their classes by what they are, and set after all variables have been
loaded, which may have counted, too:

- an `itertools.count`, or its `__next__`;
- a whole number with a counter's name, which a function of its module counts up;
- the same in an object of a class that is called a counter, be it in another module of the library.
"""

from __future__ import annotations

import dis
import itertools
import re
import sys
import types
from collections import deque
from collections.abc import Iterator, Mapping
from typing import Any

from ..atoms import module_of
from .places import Place, standard_packages
from .row import Row

_NAMED = re.compile(
    r"count|instances|serial|(?:^|_)n?(?:ids?|uid|num|number|seq|next|last)(?:_|$)", re.IGNORECASE
)

# What runs the notebook counts for itself.
_OF_THE_KERNEL = frozenset(
    {"IPython", "comm", "debugpy", "ipykernel", "jupyter_client", "tornado", "traitlets", "zmq"}
)

# More than this is no count, but a time or an address.
_MOST = 10**9

# A counter that is this far behind is replaced: some begin at random, as that of rich, and counting
# to there would take a second or more. The limit takes some 20 ms.
_MOST_STEPS = 10**6

_COUNT = type(itertools.count())
_BOUND = types.MethodWrapperType


_NAME = "the counters of libraries"


def read(places: list[Place]) -> dict[str, Any]:
    """Return what comes next of each counter, by the name of their row."""
    left_out = _OF_THE_KERNEL | standard_packages()
    found = list(_counters([one for one in places if one.package not in left_out]))
    return {_NAME: found} if found else {}


def _counters(places: list[Place]) -> Iterator[tuple[str, str, str, int]]:
    """Yield module, owner, name and what comes next."""
    code: dict[str, list[types.CodeType]] = {}
    for place in places:
        for owner, name, value, counting in _candidates(place):
            following = _next_of(value)
            if following is None:
                if counting not in code:
                    code[counting] = list(_code_in(counting))
                if not _is_counted(name, code[counting], in_module=not owner):
                    continue
            yield place.module, owner, name, following[0] if following else value


def _candidates(place: Place) -> Iterator[tuple[str, str, Any, str]]:
    """Yield owner, name and value of what may be a counter, and the module that counts."""
    package, module, owner, values = place
    for name, value in _counting(values):
        yield owner, name, value, module
    if not owner:
        for name, value in list(values.items()):
            kind = type(value)
            if "counter" not in kind.__name__.lower():
                continue
            where = module_of(kind)
            if where.partition(".")[0] == package and where in sys.modules:
                for inner, part in _counting(getattr(value, "__dict__", {})):
                    yield name, inner, part, where


def _counting(values: Mapping[str, Any]) -> list[tuple[str, Any]]:
    kinds = (int, _COUNT, _BOUND)
    found = [one for one in list(values.items()) if type(one[1]) in kinds]
    return [(name, value) for name, value in found if _may_count(name, value)]


def _may_count(name: Any, value: Any) -> bool:
    if type(value) is int:
        return 0 <= value < _MOST and type(name) is str and _NAMED.search(name) is not None
    return type(value) is _COUNT or type(value.__self__) is _COUNT


def _next_of(value: Any) -> tuple[int, int] | None:
    """Return what an itertools.count gives next, and its step; None: it is none."""
    counter = value.__self__ if type(value) is _BOUND else value
    if type(counter) is not _COUNT:
        return None
    # Nothing else tells it without counting: `count(5)`, `count(5, 2)`.
    found = re.fullmatch(r"count\((-?\d+)(?:, (\d+))?\)", repr(counter))
    return (int(found[1]), int(found[2] or 1)) if found else None


def _code_in(module: str) -> Iterator[types.CodeType]:
    """Yield the code of a module's functions, and of those in its classes."""
    for value in list(vars(sys.modules[module]).values()):
        parts = [value]
        if issubclass(type(value), type) and module_of(value) == module:
            parts = list(type.__getattribute__(value, "__dict__").values())
        for part in parts:
            kind = type(part)
            function = part.__func__ if kind in (staticmethod, classmethod) else part
            if type(function) is types.FunctionType and function.__module__ == module:
                todo = [function.__code__]
                while todo:
                    one = todo.pop()
                    yield one
                    todo += [inner for inner in one.co_consts if type(inner) is types.CodeType]


def _is_counted(name: str, code: list[types.CodeType], *, in_module: bool) -> bool:
    """Tell whether one of some functions sets a global, or an attribute, of this name."""
    wanted = "STORE_GLOBAL" if in_module else "STORE_ATTR"
    return any(
        name in one.co_names
        and any(step.opname == wanted and step.argval == name for step in dis.get_instructions(one))
        for one in code
    )


def _write(_: Any, state: Any) -> None:
    for module, owner, name, wanted in state:
        place: Any = sys.modules.get(module)
        if place is None or (owner and not hasattr(place, owner)):
            continue
        place = getattr(place, owner) if owner else place
        value = vars(place).get(name)
        if type(value) is int:
            if value != wanted:
                setattr(place, name, wanted)
        elif value is not None:
            _go_on_with(place, name, value, wanted)


def _go_on_with(place: Any, name: str, value: Any, wanted: int) -> None:
    """Make an itertools.count go on with a number: itself, because others may hold it, too."""
    found = _next_of(value)
    if found is None or found[0] == wanted:
        return
    now, step = found
    counter: Any = value.__self__ if type(value) is _BOUND else value
    steps, rest = divmod(wanted - now, step) if step else (-1, 0)
    if 0 < steps <= _MOST_STEPS and not rest:
        deque(itertools.islice(counter, steps), maxlen=0)
    else:
        made = itertools.count(wanted, step)
        setattr(place, name, made.__next__ if type(value) is _BOUND else made)


def _read_dummies(symbols: Any) -> Any:
    dummy = symbols.Dummy
    # Counted from a number that is another one in each process.
    return dummy._count, dummy._base_dummy_index  # noqa: SLF001 - nothing public tells it


def _write_dummies(symbols: Any, state: Any) -> None:
    dummy = symbols.Dummy
    dummy._count, dummy._base_dummy_index = state  # noqa: SLF001 - as above


ROWS: dict[str, Row] = {
    _NAME: Row("sys", None, _write),
    "the numbers of sympy's dummies": Row("sympy.core.symbol", _read_dummies, _write_dummies),
}
