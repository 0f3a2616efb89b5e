"""astropy: the columns of a table are the table's own."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from typing import Any


def reducers(_: Any) -> Iterator[tuple[type, Callable[[Any], Any]]]:
    """Yield the reducer of tables."""
    kind = sys.modules["astropy.table"].Table

    def reduce(obj: Any) -> Any:
        if type(obj).__setstate__ is not kind.__setstate__:
            return obj.__reduce_ex__(5)
        state = (list(obj.columns.values()), list(obj.colnames), obj.meta)
        return table, (type(obj),), state, None, None, set_state

    yield kind, reduce


def table(kind: Any) -> Any:
    """Make a table without columns."""
    return kind()


def set_state(target: Any, state: tuple[list[Any], list[str], Any]) -> None:
    """Set the columns of a table."""
    columns, names, meta = state
    target.meta = meta
    for name, column in zip(names, columns):  # noqa: B905 - since Python 3.10
        column.info.name = name
    target._make_table_from_cols(target, columns)  # noqa: SLF001 - others copy them
