"""pydantic: generic models with their arguments, which are made once for all who ask for them."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from typing import Any


def reducers(_: Any) -> Iterator[tuple[type, Callable[[Any], Any]]]:
    """Yield the reducer of configurations, which look for their attributes in another of theirs."""
    kind = sys.modules["pydantic._internal._config"].ConfigWrapper
    yield kind, lambda obj: (configuration, (kind, obj.config_dict))


def configuration(kind: Any, values: dict[str, Any]) -> Any:
    """Make a configuration."""
    return kind(values, check=False)


def reduced_class(kind: type) -> Any:
    """Reduce a generic model that has its arguments; None: it is not one."""
    made = vars(kind).get("__pydantic_generic_metadata__")
    if type(made) is not dict or not made.get("origin") or not made.get("args"):
        return None
    return with_arguments, (made["origin"], tuple(made["args"]))


def with_arguments(origin: Any, arguments: tuple[Any, ...]) -> Any:
    """Return a generic model with its arguments."""
    return origin[arguments if len(arguments) > 1 else arguments[0]]
