"""The embedded pool's process, started before this one has imported anything.

A start of this kernel waits for the Pythons of three processes. This one needs a quarter
of a second for its imports; the pool's begins at once, and gets its settings when they are
known, which is before most of those imports. Nothing is imported here that they could wait
for.
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
    """Start the process of an embedded pool, which then waits for its settings."""
    return subprocess.Popen(
        [sys.executable, "-m", "aca_kernel.localpool"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        # Not the notebook's folder, which `-m` would make the first place for imports.
        cwd="/",
        # Its own session: a front end that signals the kernel's process group would
        # otherwise take the pool down before it has cleaned up.
        start_new_session=True,
    )


def configure(process: subprocess.Popen[bytes], settings: AcaKernel, **changes: Any) -> None:
    """Hand a pool's process its settings; does not wait for it.

    changes: settings of the pool (localpool/options.py) for more than one kernel.
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
        # One is enough: a second one would cost memory for as long as the kernel lives.
        "replenish": False,
        **changes,
    }
    assert process.stdin is not None  # noqa: S101 - PIPE was asked for
    with contextlib.suppress(BrokenPipeError):  # it has ended: its answer will be missed
        process.stdin.write(json.dumps(options).encode("ascii") + b"\n")
        process.stdin.flush()


def stop(process: subprocess.Popen[bytes]) -> None:
    """End a pool's process, with its sessions, within a second or two."""
    for stream in (process.stdin, process.stdout):
        if stream is not None:
            with contextlib.suppress(BrokenPipeError):
                stream.close()
    try:
        process.wait(STOP_TIMEOUT_SECONDS)
    except subprocess.TimeoutExpired:
        process.terminate()
        process.wait()


def is_pool_likely(argv: list[str]) -> bool:
    """Tell whether an embedded pool will be wanted, as far as can be said so early.

    A configuration file may still name an endpoint or a pool; the process then ends unused.
    settings.AcaKernel.place decides.
    """
    variables = ("ACA_MCP_ENDPOINT", "ACA_SESSION_POOL", "ACA_RESOURCE_GROUP")
    options = ("endpoint", "session_pool", "resource_group", "--pool", "--resource-group")
    return not any(os.environ.get(name) for name in variables) and not any(
        option in one for one in argv for option in options
    )
