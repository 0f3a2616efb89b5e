"""pint: quantities of a registry, which come back as those of pint's own one by its pickling."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from typing import Any

from .. import rebuild


def reducers(_: Any) -> Iterator[tuple[type, Callable[[Any], Any]]]:
    """Yield the reducer of quantities, units and measurements."""
    yield sys.modules["pint.util"].SharedRegistryObject, _reduce


def _reduce(one: Any) -> Any:
    if one._REGISTRY is sys.modules["pint"]._DEFAULT_REGISTRY:  # noqa: SLF001
        return one.__reduce__()
    # Its class belongs to its registry.
    return object.__new__, (type(one),), vars(one), None, None, rebuild.set_attributes
