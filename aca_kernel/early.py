"""The embedded pool's process, started before this one has imported anything.

A start of this kernel waits for the Pythons of three processes. This one needs a quarter
of a second for its imports; the pool's begins at once, and gets its settings when they are
known (embedded.py).
"""

from __future__ import annotations

import os
import subprocess
import sys


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
