"""The first code in the session interpreter: unpacks the agent and starts it.

Executed with `payload` in its namespace: {"files": {name: source}, "nonce", "config"}. Idempotent:
it may run again after a lost answer. config["compiled"]: the folder that the sources are from, if
this environment may see it: what Python has compiled of them is taken from there.
"""

from __future__ import annotations

import importlib
import importlib.machinery
import importlib.util
import os
import struct
import sys
import tempfile
from typing import Any

PACKAGE = "_aca_remote"

# A Unix socket's path may be 107 bytes long; ours add about 20 to the directory's.
_LONGEST_DIRECTORY = 70

# At the start of a compiled file (PEP 552): Python's number, flags, time and size of its source.
_HEAD = struct.Struct("<4sLLL")


def load(payload: dict[str, Any]) -> str:
    """Start the agent unless it runs already; return its greeting."""
    running = sys.modules.get(PACKAGE + ".agent")
    if running is not None and running.AGENT.nonce == payload["nonce"]:
        return str(running.AGENT.greeting())
    # The agent of a kernel that has ended is replaced.
    found = running.AGENT.retire() if running is not None else None
    for name in [name for name in sys.modules if name.partition(".")[0] == PACKAGE]:
        del sys.modules[name]
    directory = _unpack(payload["files"], payload["config"]["compiled"])
    spec = importlib.machinery.PathFinder.find_spec(PACKAGE, [directory])
    if spec is None or spec.loader is None:
        raise ImportError(directory)
    package = importlib.util.module_from_spec(spec)
    sys.modules[PACKAGE] = package
    spec.loader.exec_module(package)
    agent = importlib.import_module(PACKAGE + ".agent")
    files = payload["files"]
    return str(agent.start(payload["nonce"], directory, payload["config"], found, files))


def _unpack(files: dict[str, str], compiled: str) -> str:
    parent = tempfile.gettempdir()
    if len(parent) > _LONGEST_DIRECTORY:
        parent = "/tmp"  # noqa: S108 - mkdtemp makes it private
    directory = tempfile.mkdtemp(prefix="aca-", dir=parent)
    for name, text in files.items():
        path, source = os.path.join(directory, PACKAGE, *name.split("/")), text.encode("utf-8")
        os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
        with open(path, "wb") as file:
            file.write(source)
        if compiled:
            take_compiled(os.path.join(compiled, *name.split("/")), source, path)
    return directory


def take_compiled(known: str, source: bytes, path: str) -> None:
    """Put beside a module what this Python has compiled of the same source, if there is that."""
    try:
        with open(known, "rb") as file:
            is_same = file.read() == source
            status = os.fstat(file.fileno())
        with open(importlib.util.cache_from_source(known), "rb") as file:
            head, code = file.read(_HEAD.size), file.read()
        if not is_same or head != _head(status):
            return
        target = importlib.util.cache_from_source(path)
        os.makedirs(os.path.dirname(target), mode=0o700, exist_ok=True)
        with open(target, "wb") as file:
            file.write(_head(os.stat(path)) + code)
    except (OSError, NotImplementedError):  # it is not seen from here, or was never compiled
        return


def _head(status: os.stat_result) -> bytes:
    written = int(status.st_mtime) & 0xFFFFFFFF
    return _HEAD.pack(importlib.util.MAGIC_NUMBER, 0, written, status.st_size & 0xFFFFFFFF)
