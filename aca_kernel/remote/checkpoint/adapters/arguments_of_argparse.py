"""argparse.SUPPRESS, a text that is told from others by being the same object."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from typing import Any

from .. import rebuild


class _Suppress:
    """Stands for it in a pickle."""

    def __reduce__(self) -> Any:
        return rebuild.attribute, ("argparse", "SUPPRESS")


def reducers(_: Any) -> Iterator[tuple[type, Callable[[Any], Any]]]:
    """Yield what parsers, groups of arguments and arguments are."""
    parsing = sys.modules["argparse"]
    yield parsing._ActionsContainer, _reduce  # noqa: SLF001 - of parsers and groups
    yield parsing.Action, _reduce


def _reduce(obj: Any) -> Any:
    reduced = obj.__reduce_ex__(5)
    if len(reduced) < 3 or type(reduced[2]) is not dict:
        return reduced
    suppressed = sys.modules["argparse"].SUPPRESS
    state = {
        key: _Suppress() if value is suppressed else value for key, value in reduced[2].items()
    }
    return (*reduced[:2], state, *reduced[3:])
