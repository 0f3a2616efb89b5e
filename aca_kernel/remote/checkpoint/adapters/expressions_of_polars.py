"""polars: functions of cells in expressions and queries.

It stores them by itself, as copies that know a copy of the notebook's variables. Here they are
stored as elsewhere in the checkpoint, and look at the notebook's.
"""

from __future__ import annotations

import contextlib
import pickle
import sys
from collections.abc import Callable, Iterator
from typing import Any

import cloudpickle


def reducers(pickler: Any) -> Iterator[tuple[type, Callable[[Any], Any]]]:
    """Yield the reducers of expressions and queries."""
    polars = sys.modules["polars"]

    def reduce(obj: Any) -> Any:
        with _ours(pickler.dump_part):
            return obj.__reduce_ex__(5)

    yield polars.Expr, reduce
    yield polars.LazyFrame, reduce


@contextlib.contextmanager
def _ours(dump: Callable[[Any], bytes]) -> Iterator[None]:
    """Have functions pickled by the pickler of the checkpoint, whoever polars asks."""

    def dumps(value: Any, *_: Any, **__: Any) -> bytes:
        return dump(value)

    modules: tuple[Any, ...] = (cloudpickle, pickle)
    before = [one.dumps for one in modules]
    for one in modules:
        one.dumps = dumps
    try:
        yield
    finally:
        for one, function in zip(modules, before):  # noqa: B905 - since Python 3.10
            one.dumps = function
