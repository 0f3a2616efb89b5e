"""Fixtures: real kernels from the kernelspec, against real local pools over real HTTP."""

from __future__ import annotations

import gc
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from aca_kernel.batch.quick_import import import_nbformat

from .order import in_order, schedule
from .ports import give_kernels_ports_of_their_own
from .support import (
    Client,
    ControlPlane,
    Pool,
    running_control_plane,
    running_kernel,
    running_pool,
)
from .temporary_files import keep_in_memory

gc.disable()  # what is imported and collected would be looked through for garbage

# Each worker would compile grammars with what imports it first.
import_nbformat()
give_kernels_ports_of_their_own()
keep_in_memory()

# Folders and modules whose tests wait for cooldowns, for pools and for batches, or start whole
# clients, many kernels or a process for each cell. `pytest -m "not slow"` leaves them out: what is
# left takes less than 90 s on two processors.
SLOW = (
    "batch",
    "checkpoint/test_beside_calls.py",
    "checkpoint/test_caches.py",
    "checkpoint/test_engine.py",
    "checkpoint/test_enums.py",
    "checkpoint/test_expiry.py",
    "checkpoint/test_handover.py",
    "checkpoint/test_held_elsewhere.py",
    "checkpoint/test_interpreter_hooks.py",
    "checkpoint/test_interrupted.py",
    "checkpoint/test_objects.py",
    "checkpoint/test_settings.py",
    "checkpoint/test_sharing.py",
    "checkpoint/test_weak.py",
    "cli/test_doctor.py",
    "cli/test_transfer.py",
    "clients",
    "environment/test_faults.py",
    "environment/test_handover.py",
    "environment/test_network.py",
    "environment/test_variables.py",
    "environment/test_waiting_line.py",
    "host/notebook_files/test_as_elsewhere.py",
    "host/notebook_files/test_changes.py",
    "host/notebook_files/test_files_root.py",
    "host/notebook_files/test_hints.py",
    "host/notebook_files/test_many_files.py",
    "host/notebook_files/test_new_processes.py",
    "host/notebook_files/test_odd_calls.py",
    "host/notebook_files/test_opened_in_c.py",
    "host/notebook_files/test_processes.py",
    "host/notebook_files/test_reading.py",
    "host/notebook_files/test_shown_files.py",
    "host/notebook_files/test_write_back.py",
    "host/test_folder_transfer.py",
    "host/test_magic.py",
    "host/test_shell.py",
    "host/test_shell_ahead.py",
    "host/test_transfer.py",
    "kernel/test_arguments.py",
    "kernel/test_debugger.py",
    "kernel/test_few_calls.py",
    "kernel/test_frontend_features.py",
    "kernel/test_ipykernel_suite.py",
    "kernel/test_jupyter_kernel.py",
    "kernel/test_lifecycle.py",
    "kernel/test_nasty_input.py",
    "localpool/test_control_plane.py",
    "localpool/test_directories.py",
    "localpool/test_interpreter.py",
    "localpool/test_ipykernel.py",
    "localpool/test_isolation.py",
    "localpool/test_life.py",
    "localpool/test_quirks.py",
    "messaging/test_channels.py",
    "messaging/test_encryption.py",
    "packages/test_added.py",
    "packages/test_before_cells.py",
    "pool/azure",
    "pool/test_mcp_client.py",
    "system/test_without_posix.py",
    "test_notebooks.py",
    "test_round_trips.py",
    "test_secrets.py",
    "test_start_up.py",
    "test_tutorial.py",
    "windows",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what is slow, and put what takes longest first."""
    here = Path(__file__).parent
    items[:] = in_order(here, items)
    for name in SLOW:
        assert (here / name).exists(), name
    files = {item.path for item in items}
    slow = {path for path in files if any(path.is_relative_to(here / name) for name in SLOW)}
    for item in items:
        if item.path in slow:
            item.add_marker(pytest.mark.slow)


@pytest.hookimpl(tryfirst=True)
def pytest_runtestloop() -> None:
    """Look for garbage from now on; what there is by now is old, without a look at it."""
    gc.freeze()
    gc.unfreeze()
    gc.enable()


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Distribute the tests as `order.py` says."""
    return schedule(config, log)


@pytest.fixture(scope="session", autouse=True)
def _away_from_the_sources(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Run elsewhere, so that `python -m` finds the installed package, not the sources."""
    before = os.getcwd()
    os.chdir(tmp_path_factory.mktemp("cwd"))
    yield
    os.chdir(before)


@pytest.fixture(scope="session", autouse=True)
def _profile_of_ones_own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Give IPython a profile of this worker's.

    Bookmarks and what `%store` keeps are files of the profile: the developer's own are left
    alone, and workers do not read what another one is writing.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("IPYTHONDIR", str(tmp_path_factory.mktemp("ipython")))
        yield


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


@pytest.fixture(scope="module")
def shared_pool() -> Iterator[Pool]:
    """One pool for the tests of a module, which leave no faults behind."""
    with running_pool() as one:
        yield one


@pytest.fixture(scope="module")
def shared_pool_kernel(shared_pool: Pool) -> Iterator[Client]:
    """One kernel on `shared_pool` for the tests of a module that leave it usable."""
    with running_kernel(shared_pool.env) as client:
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
