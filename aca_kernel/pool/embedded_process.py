"""The embedded pool's process, started before this one has imported anything.

A kernel's start waits for the Pythons of three processes. This one imports for a quarter of a
second; the pool's starts at once, and gets its settings before most of those imports. So
nothing slow is imported here.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ..settings import AcaKernel

# After its standard input has ended, the pool removes its sessions and exits.
STOP_TIMEOUT_SECONDS = 1.0


def start_pool_process() -> subprocess.Popen[bytes]:
    """Start an embedded pool, which then waits for its settings."""
    return subprocess.Popen(
        [sys.executable, "-m", "aca_kernel.localpool"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        # Not the notebook's folder: `-m` would import from it first.
        cwd="/",
        # A signal to the kernel's process group must not end the pool before its cleanup.
        start_new_session=True,
    )


def configure(process: subprocess.Popen[bytes], settings: AcaKernel, **changes: Any) -> None:
    """Send a pool its settings, without waiting for it.

    changes: to its settings (localpool/options.py), for more than one kernel.
    """
    options: dict[str, Any] = {
        "port": 0,
        "cooldown_seconds": settings.cooldown_seconds,
        "egress": settings.egress,
        "isolation": settings.isolation,
        "interpreter": settings.interpreter,
        # A relaunch may overlap with the environment it replaces.
        "max_concurrent_sessions": 2,
        "ready_sessions": 1,
        # A second one would cost memory as long as the kernel lives.
        "replenish": False,
        "near_files": True,
        **changes,
    }
    assert process.stdin is not None  # noqa: S101 - PIPE was asked for
    with contextlib.suppress(OSError):  # it has ended: greeting_of notices
        process.stdin.write(json.dumps(options).encode("ascii") + b"\n")
        process.stdin.flush()


def stop(process: subprocess.Popen[bytes]) -> None:
    """End a pool's process, with its sessions, within a second or two."""
    from ..system import wait_for_end_of

    if process.stdin is not None:
        with contextlib.suppress(OSError):  # a broken pipe, which Windows calls otherwise
            process.stdin.close()
    if process.stdout is not None:
        # Popen.wait looks at intervals that double.
        wait_for_end_of(process.stdout, STOP_TIMEOUT_SECONDS)
        process.stdout.close()
    try:
        process.wait(STOP_TIMEOUT_SECONDS)
    except subprocess.TimeoutExpired:
        process.terminate()
        process.wait()


def is_pool_likely(argv: list[str]) -> bool:
    """Guess whether an embedded pool will be needed; settings.AcaKernel.place decides.

    A configuration file may still name another pool. Then the process ends unused.
    """
    variables = ("ACA_MCP_ENDPOINT", "ACA_SESSION_POOL", "ACA_RESOURCE_GROUP")
    options = ("endpoint", "session_pool", "resource_group", "--pool", "--resource-group")
    return not any(os.environ.get(name) for name in variables) and not any(
        option in one for one in argv for option in options
    )
