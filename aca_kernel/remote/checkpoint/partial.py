"""What can be loaded of variables that are stored in one pickle, one of which fails.

A pickle is a program that makes objects. Here each step that fails leaves a `Failure` where its
object would be, and the program goes on. Which object went into which is noted, so that afterwards
everything that holds a failure, directly or not, is told from the rest. The rest is as it would
have been, and goes on sharing what it shared.

Written in Python, by pickle's own unpickler that is: some fifty times slower than the one in C, and
used only after that one has failed.
"""

from __future__ import annotations

import pickle
from collections.abc import Callable, Iterable, Iterator
from typing import Any, ClassVar

from .atoms import PLAIN
from .reasons import NotRestored, reason_of


class Failure:
    """Stands where an object would be. reason: why it is not there; what: its class, if known."""

    def __init__(self, reason: str, what: str = "") -> None:
        self.reason = reason
        self.what = what


def load(
    file: Any, buffers: Iterator[Any], parts: int, *, known: bool = False
) -> list[tuple[Any, str]]:
    """Load values as far as it goes; return each with "" or the reason why it is not whole.

    parts: how many lists of values there are, in one pickle after the other. known: the first
    pickle is `rebuild.NAMESPACE`.
    Raises whatever ends the pickle as a whole, such as a damaged piece.
    """
    unpickler = _Unpickler(file, buffers=buffers)
    if known:
        unpickler.load()
    values = [value for _ in range(parts) for value in unpickler.load()]
    return [(value, unpickler.reason(value)) for value in values]


# What pickle calls this has no public name.
_Base: Any = pickle._Unpickler  # noqa: SLF001


class _Unpickler(_Base):  # type: ignore[misc]
    dispatch: ClassVar[dict[int, Callable[[Any], None]]] = dict(_Base.dispatch)

    def __init__(self, file: Any, *, buffers: Iterator[Any]) -> None:
        super().__init__(file, buffers=buffers)
        # What each object was made of, by its id; and all these objects, so that ids stay theirs.
        self._parts: dict[int, list[Any]] = {}
        self._kept: list[Any] = []
        # Those that could not be filled, by their ids.
        self._unfilled: dict[int, Failure] = {}
        # The last call's function's arguments and result.
        self._called: tuple[tuple[Any, ...], Any] = ((), None)

    def reason(self, value: Any) -> str:
        """Return why a value is not what it was, "" if it is."""
        own = value if isinstance(value, Failure) else self._unfilled.get(id(value))
        if own is not None:
            return own.reason
        inner = self._inner(value)
        if inner is None:
            return ""
        return _held(inner) if inner.what else inner.reason

    def _link(self, whole: Any, parts: Iterable[Any]) -> None:
        found = [part for part in parts if type(part) not in PLAIN]
        if found:
            self._parts.setdefault(id(whole), []).extend(found)
            self._kept.append(whole)

    def _try(self, action: Callable[[], Any], parts: tuple[Any, ...], what: Any = None) -> Any:
        """Return what an action makes of its parts, or a failure."""
        for part in parts:
            if isinstance(part, Failure):
                return part
        try:
            made = action()
        except KeyboardInterrupt:  # of the user's
            raise
        except BaseException as error:  # noqa: BLE001 - the user's classes may raise anything
            inner = next(filter(None, map(self._inner, parts)), None)
            return inner or _failure(error, what)
        self._link(made, parts)
        return made

    def _inner(self, part: Any) -> Failure | None:
        """Return a failure that a part holds, or is."""
        todo, seen = [part], {id(part)}
        while todo:
            one = todo.pop()
            if isinstance(one, Failure):
                return one
            for inner in self._parts.get(id(one), ()):
                if id(inner) not in seen:
                    seen.add(id(inner))
                    todo.append(inner)
        return None

    def _fill(self, whole: Any, parts: Iterable[Any], action: Callable[[], Any]) -> None:
        """Put parts into an object that is there already."""
        if isinstance(whole, Failure):
            return
        found = list(parts)
        self._link(whole, found)
        try:
            action()
        except KeyboardInterrupt:  # of the user's
            raise
        except BaseException as error:  # noqa: BLE001 - the user's classes may raise anything
            if not any(map(self._inner, found)):
                self._fail(whole, _failure(error, type(whole)))

    def _fail(self, whole: Any, failure: Failure) -> None:
        self._unfilled[id(whole)] = failure
        self._link(whole, [failure])

    # -- pickle's instructions -----------------------------------------------------

    def find_class(self, module: str, name: str) -> Any:
        return self._try(lambda: super(_Unpickler, self).find_class(module, name), ())

    def load_reduce(self) -> None:
        arguments = self.stack.pop()
        function = self.stack[-1]
        parts = (function, *arguments) if isinstance(arguments, tuple) else (arguments,)
        kinds = [one for one in parts[:2] if isinstance(one, type)]
        made = self._try(lambda: function(*arguments), parts, kinds[0] if kinds else None)
        self.stack[-1] = made
        self._called = (parts[1:], made)

    def load_pop(self) -> None:
        arguments, made = self._called
        # A result that is not wanted is that of a function which fills its first argument.
        if self.stack and self.stack[-1] is made and arguments:
            target, *parts = arguments
            if not isinstance(target, Failure):
                self._link(target, parts)
                if isinstance(made, Failure):
                    self._fail(target, made)
        _Base.dispatch[pickle.POP[0]](self)

    def load_newobj(self) -> None:
        arguments, kind = self.stack.pop(), self.stack.pop()
        self._make(kind, arguments, {})

    def load_newobj_ex(self) -> None:
        named, arguments, kind = self.stack.pop(), self.stack.pop(), self.stack.pop()
        self._make(kind, arguments, named)

    def _make(self, kind: Any, arguments: Any, named: Any) -> None:
        parts = [kind, arguments, named]
        if isinstance(arguments, tuple):
            parts += arguments
        self.append(self._try(lambda: kind.__new__(kind, *arguments, **named), tuple(parts), kind))

    def load_build(self) -> None:
        state, whole = self.stack[-1], self.stack[-2]
        if isinstance(whole, Failure) or isinstance(state, Failure):
            self.stack.pop()
            self._fill(whole, [state], lambda: None)
            return
        depth = len(self.stack)
        self._fill(whole, [state], lambda: _Base.dispatch[pickle.BUILD[0]](self))
        del self.stack[depth - 1 :]

    def load_append(self) -> None:
        value = self.stack.pop()
        whole = self.stack[-1]
        self._fill(whole, [value], lambda: whole.append(value))

    def load_appends(self) -> None:
        items = self.pop_mark()
        whole = self.stack[-1]

        def extend() -> None:
            if hasattr(whole, "extend"):
                whole.extend(items)
                return
            for item in items:
                whole.append(item)

        self._fill(whole, items, extend)

    def load_setitem(self) -> None:
        value, key = self.stack.pop(), self.stack.pop()
        self._set_items([key, value])

    def load_setitems(self) -> None:
        self._set_items(self.pop_mark())

    def _set_items(self, items: list[Any]) -> None:
        whole = self.stack[-1]

        def set_items() -> None:
            for key, value in zip(items[::2], items[1::2]):  # noqa: B905 - since Python 3.10
                whole[key] = value

        self._fill(whole, items, set_items)

    def load_additems(self) -> None:
        items = self.pop_mark()
        whole = self.stack[-1]

        def add() -> None:
            if isinstance(whole, set):
                whole.update(items)
                return
            for item in items:
                whole.add(item)

        self._fill(whole, items, add)

    def load_frozenset(self) -> None:
        items = self.pop_mark()
        made = frozenset(items)
        self._link(made, items)
        self.append(made)

    def load_tuple(self) -> None:
        items = self.pop_mark()
        self._add_tuple(items)

    def _add_tuple(self, items: list[Any]) -> None:
        made = tuple(items)
        self._link(made, items)
        self.append(made)

    def load_tuple1(self) -> None:
        self._add_last(1)

    def load_tuple2(self) -> None:
        self._add_last(2)

    def load_tuple3(self) -> None:
        self._add_last(3)

    def _add_last(self, count: int) -> None:
        items = self.stack[-count:]
        del self.stack[-count:]
        self._add_tuple(items)

    def load_next_buffer(self) -> None:
        # Of the iterator, of which each call is a buffer.
        self.append(self._try(lambda: next(self._buffers), ()))

    def load_readonly_buffer(self) -> None:
        if not isinstance(self.stack[-1], Failure):
            _Base.dispatch[pickle.READONLY_BUFFER[0]](self)


# Each by the name of its instruction.
_Unpickler.dispatch.update(
    (getattr(pickle, name[len("load_") :].upper())[0], method)
    for name, method in vars(_Unpickler).items()
    if name.startswith("load_")
)


def _failure(error: BaseException, what: Any) -> Failure:
    is_named = isinstance(what, type) and not isinstance(error, NotRestored)
    return Failure(reason_of(error), what.__name__ if is_named else "")


def _held(failure: Failure) -> str:
    return f"it holds a {failure.what}, which did not come back: {failure.reason}"
