"""The first code in the session interpreter: unpacks the agent and starts it.

Executed with `payload` in its namespace: {"files": {name: source}, "nonce", "config"}.
Idempotent: it may run again after a lost answer.
"""

from __future__ import annotations

import importlib
import importlib.machinery
import importlib.util
import os
import sys
import tempfile
from typing import Any

PACKAGE = "_aca_remote"

# A Unix socket's path may be 107 bytes long; ours add about 20 to the directory's.
_LONGEST_DIRECTORY = 70


def load(payload: dict[str, Any]) -> str:
    """Start the agent unless it runs already; return its greeting."""
    running = sys.modules.get(PACKAGE + ".agent")
    if running is not None and running.AGENT.nonce == payload["nonce"]:
        return str(running.AGENT.greeting())
    # The agent of a kernel that has ended is replaced.
    found = running.AGENT.retire() if running is not None else None
    for name in [name for name in sys.modules if name.partition(".")[0] == PACKAGE]:
        del sys.modules[name]
    directory = _unpack(payload["files"])
    spec = importlib.machinery.PathFinder.find_spec(PACKAGE, [directory])
    if spec is None or spec.loader is None:
        raise ImportError(directory)
    package = importlib.util.module_from_spec(spec)
    sys.modules[PACKAGE] = package
    spec.loader.exec_module(package)
    agent = importlib.import_module(PACKAGE + ".agent")
    files = payload["files"]
    return str(agent.start(payload["nonce"], directory, payload["config"], found, files))


def _unpack(files: dict[str, str]) -> str:
    parent = tempfile.gettempdir()
    if len(parent) > _LONGEST_DIRECTORY:
        parent = "/tmp"  # noqa: S108 - mkdtemp makes it private
    directory = tempfile.mkdtemp(prefix="aca-", dir=parent)
    for name, source in files.items():
        path = os.path.join(directory, PACKAGE, *name.split("/"))
        os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
        with open(path, "w", encoding="utf-8") as file:
            file.write(source)
    return directory
