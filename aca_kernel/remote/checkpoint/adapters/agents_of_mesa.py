"""mesa: the numbers of a model's agents, which it counts for each model in a table of its own."""

from __future__ import annotations

import importlib
import itertools
import re
import sys
from collections.abc import Callable, Iterator
from typing import Any


def reducers(_: Any) -> Iterator[tuple[type, Callable[[Any], Any]]]:
    """Yield the reducer of models."""
    counted = sys.modules["mesa.agent"].Agent._ids  # noqa: SLF001 - nothing public tells it

    def reduce(obj: Any) -> Any:
        reduced = obj.__reduce_ex__(5)
        if obj not in counted or len(reduced) < 3 or any(reduced[3:]):
            return reduced
        number = int(re.sub(r"\D", "", repr(counted[obj])))
        return *reduced[:2], (reduced[2], number), None, None, set_state

    yield sys.modules["mesa.model"].Model, reduce


def set_state(target: Any, state: tuple[Any, int]) -> None:
    """Set the attributes of a model, and the number of its next agent."""
    attributes, number = state
    if hasattr(target, "__setstate__"):
        target.__setstate__(attributes)
    else:
        target.__dict__.update(attributes)
    agent = importlib.import_module("mesa.agent").Agent
    agent._ids[target] = itertools.count(number)  # noqa: SLF001 - as above
