"""Runs first in the session interpreter: unpacks the agent and starts it.

Executed with `payload` in its namespace: {"files": {name: source}, "nonce", "config"}.
Written so that running it again, after an answer was lost, changes nothing.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
import sys
import tempfile
from typing import Any

PACKAGE = "_aca_remote"

# A Unix socket's path may be 107 bytes long; ours add about 20 to the directory's.
_LONGEST_DIRECTORY = 70


def load(payload: dict[str, Any]) -> str:
    """Start the agent unless it runs already; return the frame that says how it went."""
    running = sys.modules.get(PACKAGE + ".agent")
    if running is not None and running.AGENT.nonce == payload["nonce"]:
        return str(running.AGENT.greeting())
    # Another kernel's, which has ended: this one begins afresh in the same environment.
    found = running.AGENT.retire() if running is not None else None
    for name in [name for name in sys.modules if name.partition(".")[0] == PACKAGE]:
        del sys.modules[name]
    directory = _unpack(payload["files"])
    root = os.path.join(directory, PACKAGE, "__init__.py")
    spec = importlib.util.spec_from_file_location(
        PACKAGE, root, submodule_search_locations=[os.path.dirname(root)]
    )
    if spec is None or spec.loader is None:
        raise ImportError(root)
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
