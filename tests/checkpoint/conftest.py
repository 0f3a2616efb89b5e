"""Fixtures of the tests of checkpoints."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from aca_kernel.checkpoint import store

from .running import shells


@pytest.fixture(scope="session", autouse=True)
def _shells_end() -> Iterator[None]:
    yield
    shells.close()


@pytest.fixture(autouse=True)
def _stores_are_closed(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Close the stores that a test leaves open, as those of kernels that have ended.

    Since 3.13 Python warns of a connection that is not closed.
    """
    made: list[sqlite3.Connection] = []
    connect = store._connect

    def noted(path: Path) -> sqlite3.Connection:
        made.append(connect(path))
        return made[-1]

    monkeypatch.setattr(store, "_connect", noted)
    yield
    for connection in made:
        connection.close()
