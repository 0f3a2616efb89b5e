"""Fixtures: no index but the tests' own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from .index import without_other_indexes


@pytest.fixture(scope="package", autouse=True)
def _no_other_indexes() -> Iterator[None]:
    with without_other_indexes():
        yield
