"""What a remote kernel needs, where the environment has none of it: pip fetches it."""

from __future__ import annotations

import importlib
import importlib.util
import subprocess
import sys

# pip may take this long; the service ends a call at 220 s.
INSTALL_SECONDS = 150


def missing() -> list[str]:
    """Return the modules that a remote kernel needs and that are not there."""
    return [name for name in ("zmq", "ipykernel") if importlib.util.find_spec(name) is None]


def install() -> None:
    """Have pip install them; quick to fail without a network. What came of it says `missing`."""
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--retries", "0"]
    try:
        subprocess.run(
            [*command, "--timeout", "10", "ipykernel"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            timeout=INSTALL_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return
    importlib.invalidate_caches()
