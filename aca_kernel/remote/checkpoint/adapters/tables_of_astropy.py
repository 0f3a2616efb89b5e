"""astropy: the columns of a table are the table's own."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from typing import Any


def reducers(_: Any) -> Iterator[tuple[type, Callable[[Any], Any]]]:
    """Yield the reducer of tables."""
    library = sys.modules["astropy.table"]
    kind, plain = library.Table, library.column.BaseColumn

    def reduce(obj: Any) -> Any:
        # Columns of other kinds know their table by a weak reference in their attributes.
        are_plain = all(isinstance(one, plain) for one in obj.columns.values())
        if type(obj).__setstate__ is not kind.__setstate__ or not are_plain:
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
