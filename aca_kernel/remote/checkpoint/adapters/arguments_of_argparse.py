"""argparse.SUPPRESS, a text that is told from others by being the same object."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from typing import Any

from .. import rebuild
from ..functions import StandIn


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
    stand_in = StandIn(rebuild.attribute, "argparse", "SUPPRESS")
    state = {key: stand_in if one is suppressed else one for key, one in reduced[2].items()}
    return (*reduced[:2], state, *reduced[3:])
