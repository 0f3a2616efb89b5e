"""ibis: connections to databases, which it pickles without the connection itself."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from typing import Any

from ..atoms import NotStorable

# Databases in a file, which lies where it was.
_IN_FILES = ("sqlite", "duckdb")


def reducers(_: Any) -> Iterator[tuple[type, Callable[[Any], Any]]]:
    """Yield the reducer of all connections."""
    yield sys.modules["ibis.backends"].BaseBackend, _reduce


def _reduce(connection: Any) -> Any:
    kind = type(connection)
    if kind.__module__.rpartition(".")[2] not in _IN_FILES:
        # What it is made with may hold a password.
        raise NotStorable("a connection to a database")
    path, *others = connection._con_args or (None,)  # noqa: SLF001 - nothing public tells it
    if not isinstance(path, str) or path.startswith(":memory:"):
        raise NotStorable("a connection to a database in memory")
    return connected, (kind, (path, *others), dict(connection._con_kwargs))  # noqa: SLF001


def connected(kind: type, arguments: tuple[Any, ...], named: dict[str, Any]) -> Any:
    """Return a connection made again."""
    return kind().connect(*arguments, **named)
