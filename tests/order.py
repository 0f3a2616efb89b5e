"""The order of the tests, and which of them go to a worker together.

A worker that takes a file of two minutes last ends alone. What takes longest is therefore begun
first; where the tests of such a file share nothing, each of them goes to whoever is free.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

# Longest first, by the seconds that they took. What is not named comes behind, as collected.
LONG = (
    "kernel/test_ipykernel_suite.py",
    # The first of them makes a Windows, for the other one, too.
    "windows/test_kernel.py",
    "windows/test_command_line.py",
    "batch/test_acceptance.py",
    "batch/test_trouble.py",
    "checkpoint/test_expiry.py",
    "packages/test_added.py",
    "packages/test_before_cells.py",
    "clients/test_jupyterlab_services.py",
    "batch/test_run.py",
    "clients/test_vscode.py",
    "host/test_transfer.py",
    "host/test_folder_transfer.py",
    "cli/test_transfer.py",
    "kernel/test_nasty_input.py",
    "environment/test_network.py",
    "environment/test_handover.py",
    "kernel/test_few_calls.py",
    "host/notebook_files/test_reading.py",
    "environment/test_faults.py",
    "clients/test_jupyterlab.py",
    "pool/azure/test_secrets.py",
    "pool/azure/test_kernel.py",
    "cli/test_doctor.py",
    "kernel/test_lifecycle.py",
    "host/test_shell.py",
    "kernel/test_frontend_features.py",
    "batch/test_oddities.py",
    "batch/test_stopping.py",
    "batch/test_keeping.py",
    "environment/test_waiting_line.py",
    "clients/test_command_line_clients.py",
    "checkpoint/test_objects.py",
    "checkpoint/test_engine.py",
    "checkpoint/test_handover.py",
    "checkpoint/test_interrupted.py",
    "host/notebook_files/test_write_back.py",
    "host/notebook_files/test_changes.py",
    "test_tutorial.py",
    "test_documentation.py",
    "kernel/test_execution.py",
    "kernel/core/test_faults.py",
    "pool/azure/test_pool_commands.py",
    "localpool/test_control_plane.py",
    "host/test_magic.py",
)

# Files without a fixture of the whole module: each of their tests is a unit of its own.
APART = frozenset(
    (
        "batch/test_keeping.py",
        "batch/test_stopping.py",
        "batch/test_trouble.py",
        "environment/test_waiting_line.py",
    )
)


def in_order(tests: Path, items: list[pytest.Item]) -> list[pytest.Item]:
    """Sort tests by their files' place among the long ones; those of a file stay in order."""
    places = {tests / name: place for place, name in enumerate(LONG)}
    for name in (*LONG, *APART):
        assert (tests / name).exists(), name
    return sorted(items, key=lambda item: places.get(item.path, len(LONG)))


def unit_of(nodeid: str) -> str:
    """Name what a test goes to a worker with: its file, or nothing but itself."""
    file = nodeid.partition("::")[0]
    return nodeid if file.removeprefix("tests/") in APART else file


def schedule(config: pytest.Config, log: Any) -> Any:
    """Make xdist's scheduler of units; None, for its own choice, if told so by `--dist`."""
    if config.getvalue("dist") != "loadfile":
        return None
    from xdist.scheduler import LoadFileScheduling

    class Scheduler(LoadFileScheduling):
        def _split_scope(self, nodeid: str) -> str:
            return unit_of(nodeid)

    # Its own order is by the number of tests, which says nothing about the time they take.
    config.option.loadscopereorder = False
    return Scheduler(config, log)
