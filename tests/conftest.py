"""Fixtures: real kernels from the kernelspec, against real local pools over real HTTP."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from .support import (
    Client,
    ControlPlane,
    Pool,
    running_control_plane,
    running_kernel,
    running_pool,
)


@pytest.fixture(scope="session", autouse=True)
def _away_from_the_sources(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Run elsewhere, so that `python -m` finds the installed package, not the sources."""
    before = os.getcwd()
    os.chdir(tmp_path_factory.mktemp("cwd"))
    yield
    os.chdir(before)


@pytest.fixture
def kernel() -> Iterator[Client]:
    """A fresh kernel on its embedded pool."""
    with running_kernel() as client:
        yield client


@pytest.fixture(scope="module")
def shared_kernel() -> Iterator[Client]:
    """One kernel on its embedded pool for the tests of a module that leave it usable."""
    with running_kernel() as client:
        yield client


@pytest.fixture
def pool() -> Iterator[Pool]:
    """A pool with faults switched on."""
    with running_pool() as one:
        yield one


@pytest.fixture
def pool_kernel(pool: Pool) -> Iterator[Client]:
    """A kernel that runs on `pool`."""
    with running_kernel(pool.env) as client:
        yield client


@pytest.fixture
def control_plane() -> Iterator[ControlPlane]:
    """A pool with its control plane, both with defaults."""
    with running_control_plane() as one:
        yield one
