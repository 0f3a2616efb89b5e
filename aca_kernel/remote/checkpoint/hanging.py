"""Objects whose pickling waits for threads that a forked copy of the process does not have.

Libraries with native thread pools have such: a model, a table or an array that is asked for its
state hands the work to threads, which a fork does not take along, and waits for ever. The copy
notes whose turn it is where its supervisor can read it. A worker that sleeps is ended, the type is
remembered, and its objects are left out. The process itself reduces them ahead of the next fork,
and the copy finds what came of it in its memory: whatever else a pickle needs is done there as
before, and objects go on sharing what they shared.

What is slow is not meant: a worker that computes or waits for a disk does not sleep.
"""

from __future__ import annotations

import contextlib
import mmap
import signal
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import cloudpickle

from ..originals import io, json, os, time
from .atoms import NotStorable, module_of
from .reasons import reason_of

Reducer = Callable[[Any], Any]

HANGING = "hanging"

# The time that cells may have to wait for what is reduced in their process: for one variable, and
# for all. A large model takes a fraction of a second.
VARIABLE_SECONDS = 5.0
_TOTAL_SECONDS = 20.0

# So many elements of a container are looked at for objects that are known to hang.
_MOST_ELEMENTS = 1000

# The room for a type's name.
_NAME_BYTES = 256

_QUALNAME: Any = type.__dict__["__qualname__"]


class NotReady(NotStorable):
    """An object that is to be reduced ahead of the fork, and was not."""


@dataclass
class Hanging:
    """What is known to hang. kinds: names of types; names: variables that hold their objects."""

    kinds: set[str] = field(default_factory=set)
    names: set[str] = field(default_factory=set)

    def learn(self, folder: str) -> bool:
        """Add what the copy that wrote into a folder has found; tell whether it left out any."""
        try:
            with io.open(os.path.join(folder, HANGING), encoding="utf-8") as file:
                kinds, names = json.load(file)
        except (OSError, ValueError):  # nothing was found, or the copy was killed
            return False
        self.kinds.update(kinds)
        self.names.update(names)
        return bool(names)

    def tell(self, folder: str, left_out: set[str]) -> None:
        """Write for `learn` what is known. left_out: variables for the next time."""
        with io.open(os.path.join(folder, HANGING), "w", encoding="utf-8") as file:
            json.dump([sorted(self.kinds), sorted(left_out)], file)

    def may_hold(self, name: str, value: Any) -> bool:
        """Tell whether a variable is known to hold such an object, or seems to.

        A variable that does and is not recognised is found out by the copy, at no cost of time.
        """
        if name in self.names or name_of(type(value)) in self.kinds:
            return True
        elements: Any = value.values() if type(value) is dict else value
        if type(value) not in (dict, list, tuple, set, frozenset):
            return False
        return any(name_of(type(one)) in self.kinds for one in list(elements)[:_MOST_ELEMENTS])


def name_of(kind: type) -> str:
    """Return the full name of a type; runs no code of the user's."""
    return f"{module_of(kind)}.{_QUALNAME.__get__(kind)}"


def simple_name_of(kind: type) -> str:
    """Return the name of a type without its module; runs no code of the user's."""
    return str(_QUALNAME.__get__(kind)).rpartition(".")[2]


# -- in the process itself ---------------------------------------------------------


class Recorder:
    """Reduces objects in the process itself, and keeps what came of it for the copy.

    ready: what objects were reduced to, by their ids, with the objects, so that these stay.
    """

    def __init__(self, hanging: Hanging) -> None:
        self.ready: dict[int, tuple[Any, tuple[Any, ...]]] = {}
        self.has_met = False
        self._hanging = hanging

    def guard(self, kind: type, reduce: Reducer) -> Reducer:
        """Return a reducer that records what the one given does."""
        is_hanging = name_of(kind) in self._hanging.kinds

        def record(obj: Any) -> Any:
            self.has_met = self.has_met or is_hanging
            reduced = reduce(obj)
            if reduced is NotImplemented:
                reduced = _as_pickle_does(obj)
            if isinstance(reduced, tuple):
                # Iterators of elements are used up by each pickle.
                lists = (None if one is None else list(one) for one in reduced[3:5])
                self.ready[id(obj)] = (obj, (*reduced[:3], *lists, *reduced[5:]))
                return restarted(self.ready[id(obj)][1])
            return reduced

        return record


def _as_pickle_does(obj: Any) -> Any:
    by_type = cloudpickle.Pickler.dispatch_table.get(type(obj))
    return obj.__reduce_ex__(5) if by_type is None else by_type(obj)


def restarted(reduced: tuple[Any, ...]) -> tuple[Any, ...]:
    """Return a reduction with new iterators of its elements."""
    iterators = (None if one is None else iter(one) for one in reduced[3:5])
    return (*reduced[:3], *iterators, *reduced[5:])


def reduce_ahead(
    variables: dict[str, Any],
    hanging: Hanging,
    pickle_value: Callable[[Any, Recorder], None],
    refused: dict[str, str],
    *,
    seconds: float,
    is_interruptible: bool,
) -> dict[int, tuple[Any, tuple[Any, ...]]]:
    """Reduce the objects of variables that are known to hang; return what came of it.

    refused: names that could not be reduced are added, with the reason.
    seconds: for each variable.
    is_interruptible: an interrupt is raised; else it ends this and nothing else.
    """
    ready: dict[int, tuple[Any, tuple[Any, ...]]] = {}
    deadline = time.monotonic() + _TOTAL_SECONDS
    for name, value in variables.items():
        if not hanging.kinds or not hanging.may_hold(name, value):
            continue
        recorder = Recorder(hanging)
        try:
            with _alarm(min(seconds, deadline - time.monotonic())):
                pickle_value(value, recorder)
        except KeyboardInterrupt:
            if is_interruptible:
                raise
            refused[name] = "storing it was interrupted"
            deadline = time.monotonic()
        except _OutOfTime:
            refused[name] = "cells would have to wait too long while it is stored"
        except BaseException as error:  # noqa: BLE001 - the user's classes may raise anything
            refused[name] = reason_of(error)
        else:
            ready.update(recorder.ready)
            if recorder.has_met:
                hanging.names.add(name)
            else:
                hanging.names.discard(name)
    return ready


class _OutOfTime(BaseException):
    """The end of the time for one variable; no class of the user's can catch it."""


@contextlib.contextmanager
def _alarm(seconds: float) -> Iterator[None]:
    """Raise _OutOfTime after a time, and leave the user's own alarm as it is."""
    if seconds <= 0:
        raise _OutOfTime
    handler = signal.getsignal(signal.SIGALRM)
    if threading.current_thread() is not threading.main_thread() or handler is None:
        yield  # no signal reaches a subshell, and one that C code handles stays its own
        return

    def stop(*_: Any) -> None:
        raise _OutOfTime

    began = time.monotonic()
    signal.signal(signal.SIGALRM, stop)
    left, interval = signal.setitimer(signal.ITIMER_REAL, seconds, 0.5)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, handler)
        if left:
            left = max(left - (time.monotonic() - began), 1e-6)
            signal.setitimer(signal.ITIMER_REAL, left, interval)


# -- in the copy -------------------------------------------------------------------


class Turn:
    """The type whose object a worker is about to reduce, for its supervisor to read."""

    def __init__(self) -> None:
        # Shared by the processes that are forked later.
        self._memory = mmap.mmap(-1, _NAME_BYTES)

    def clear(self) -> None:
        """Forget what a worker before has noted."""
        self._memory[:] = b"\0" * _NAME_BYTES

    def name(self) -> str:
        """Return the name of the type, "" if there is none."""
        return self._memory[:].rstrip(b"\0").decode("utf-8", "ignore")

    def guard(self, kind: type, reduce: Reducer) -> Reducer:
        """Return a reducer that notes its type before it does what the one given does."""
        label = name_of(kind).encode("utf-8", "replace")[:_NAME_BYTES].ljust(_NAME_BYTES, b"\0")
        memory = self._memory

        def noted(obj: Any) -> Any:
            memory[:] = label
            return reduce(obj)

        return noted


def copy_guard(
    hanging: Hanging, ready: dict[int, tuple[Any, tuple[Any, ...]]], turn: Turn
) -> Callable[[type, Reducer], Reducer]:
    """Return a guard that uses what is ready, refuses what hangs, and notes whose turn it is."""

    def guard(kind: type, reduce: Reducer) -> Reducer:
        guarded = _refuse if name_of(kind) in hanging.kinds else turn.guard(kind, reduce)
        if not ready:
            return guarded

        def reduce_or_look_up(obj: Any) -> Any:
            found = ready.get(id(obj))
            return guarded(obj) if found is None else restarted(found[1])

        return reduce_or_look_up

    return guard


def _refuse(obj: Any) -> Any:
    raise NotReady(
        f"a {simple_name_of(type(obj))}, which waits for threads that the copy of the process "
        "does not have; the next checkpoint stores it"
    )


def activity(pid: int) -> tuple[bool, float]:
    """Return whether a process sleeps, and the seconds of processor time that it has used.

    A process that waits for a processor, a page or a disk does not sleep.
    """
    try:
        with io.open(f"/proc/{pid}/stat", "rb") as file:
            state, *numbers = file.read().rpartition(b")")[2].split()
    except OSError:
        return False, 0.0
    ticks = int(numbers[10]) + int(numbers[11])
    return state == b"S", ticks / os.sysconf("SC_CLK_TCK")
