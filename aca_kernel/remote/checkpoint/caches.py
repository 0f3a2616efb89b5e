"""The caches of functools.lru_cache and functools.cache, with their order and their counts.

Python tells the counts only. What a cache holds is what the garbage collector sees in it, and what
was asked is in the keys, which are made of the arguments. It is filled by calls of the function
whose code has been exchanged for one that gives the answers that it has given before.
"""

from __future__ import annotations

import contextlib
import functools
import gc
import types
from collections.abc import Iterator
from typing import Any, NamedTuple

from .atoms import PLAIN

# Calls that only raise a count, each of 50 ns, are made so often at the most.
_MOST_CALLS = 4_000_000

# A call that has been answered: its arguments, the named ones, and the answer.
_Call = tuple[tuple[Any, ...], dict[str, Any], Any]


class Contents(NamedTuple):
    """What a cache holds, least recently used first, and its counts."""

    calls: list[_Call]
    hits: int
    misses: int

    def is_plain(self) -> bool:
        """Tell whether it holds nothing that pickling could fail for."""
        return all(
            type(one) in PLAIN
            for arguments, named, answer in self.calls
            for one in (*arguments, *named.values(), answer)
        )


def read(cached: Any) -> Contents:
    """Return what a function's cache holds. Raises ValueError: it is not understood."""
    counts = cached.cache_info()
    if counts.misses and type(_function_of(cached)) is not types.FunctionType:
        raise ValueError("it is not written in Python")
    pairs = list(_pairs(cached, counts.maxsize, counts.currsize))
    if len(pairs) != counts.currsize:
        raise ValueError
    is_typed = cached.cache_parameters()["typed"]
    calls = [(*_arguments(key, is_typed), answer) for key, answer in pairs]
    return Contents(calls, counts.hits, counts.misses)


def _function_of(cached: Any) -> Any:
    """Return the function that is called for what is not in the cache."""
    wrapped = cached.__wrapped__
    return wrapped.__func__ if type(wrapped) is types.MethodType else wrapped


def _pairs(cached: Any, most: int | None, count: int) -> Iterator[tuple[Any, Any]]:
    """Yield keys and answers."""
    held = gc.get_referents(cached)
    if most is None:
        # The other dict, that of the function's attributes, comes later.
        yield from next(one for one in held if type(one) is dict).items()
        return
    # Key, answer, key, answer and so on, with types of functools in between; a key is no type.
    parts = iter(held)
    for _ in range(count):
        key = next(parts)
        while isinstance(key, type):
            key = next(parts)
        yield key, next(parts)


def _arguments(key: Any, is_typed: bool) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Return the arguments that a key was made of."""
    if type(key) is not tuple:
        return (key,), {}
    marks = [number for number, one in enumerate(key) if type(one) is object]
    if not marks:
        return key[: len(key) // 2] if is_typed else key, {}
    if len(marks) > 1:
        raise ValueError
    arguments, rest = key[: marks[0]], key[marks[0] + 1 :]
    if is_typed:
        rest = rest[: (len(rest) - len(arguments)) // 3 * 2]
    return arguments, dict(zip(rest[::2], rest[1::2]))  # noqa: B905 - since Python 3.10


def _answering(*_: Any, **__: Any) -> Any:
    answers: Any = "the answers"
    return answers.pop()


def fill(cached: Any, contents: Contents) -> None:
    """Fill an empty cache. Leaves it empty, or not full, if an argument cannot be hashed yet."""
    function = _function_of(cached)
    answers: list[Any] = []
    before = function.__code__
    plain = _answering.__code__
    function.__code__ = plain.replace(
        co_consts=tuple(answers if one == "the answers" else one for one in plain.co_consts),
        # A function's code must have as many variables of a closure as it has cells.
        co_freevars=before.co_freevars,
    )
    try:
        # Without an answer it fails, which counts as a miss: so do calls that are forgotten.
        for _ in range(min(contents.misses - len(contents.calls), _MOST_CALLS)):
            with contextlib.suppress(IndexError):
                cached()
        for arguments, named, answer in contents.calls:
            answers.append(answer)
            cached(*arguments, **named)
        if contents.calls:
            # The most recent call: the order stays.
            again = functools.partial(cached, *arguments, **named)
            for _ in range(min(contents.hits, _MOST_CALLS)):
                again()
    except Exception:  # noqa: BLE001 - of the arguments' classes
        cached.cache_clear()
    finally:
        function.__code__ = before
