"""The first code in the session interpreter: writes the agent's modules and starts it.

Executed with `payload` in its namespace: {"files": {name: source}, "nonce", "config"}. Idempotent:
it may run again after a lost answer. config["compiled"]: the folder that the sources are from, if
this environment may see it: what Python has compiled of them is taken from there.
"""

from __future__ import annotations

import importlib
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
    files = {name: text.encode("utf-8") for name, text in payload["files"].items()}
    directory = _make_directory()
    unpacker = Unpacker(directory, files, payload["config"]["compiled"])
    sys.meta_path.insert(0, unpacker)
    try:
        agent = importlib.import_module(PACKAGE + ".agent")
    finally:
        sys.meta_path.remove(unpacker)
    return str(agent.start(payload["nonce"], directory, payload["config"], found, files))


def _make_directory() -> str:
    parent = tempfile.gettempdir()
    if len(parent) > _LONGEST_DIRECTORY:
        parent = "/tmp"  # noqa: S108 - mkdtemp makes it private
    return tempfile.mkdtemp(prefix="aca-", dir=parent)


class Unpacker:
    """A finder that writes a module when it is imported: the remote kernel's can come later.

    files: sources by their paths in the package.
    """

    def __init__(self, directory: str, files: dict[str, bytes], compiled: str) -> None:
        self._directory = directory
        self._files = files
        self._compiled = compiled

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> Any:  # noqa: ARG002
        """Return the spec of a module of ours, once it is written."""
        package, _, module = name.partition(".")
        if package != PACKAGE:
            return None
        parts = module.split(".") if module else []
        for file in ("/".join([*parts, "__init__.py"]), "/".join(parts) + ".py"):
            if file in self._files:
                write_module(self._directory, file, self._files[file], self._compiled)
                return importlib.util.spec_from_file_location(
                    name, os.path.join(self._directory, PACKAGE, *file.split("/"))
                )
        return None


def write_module(directory: str, name: str, source: bytes, compiled: str) -> bool:
    """Write a module of ours; tell whether what was compiled of it was taken along."""
    path = os.path.join(directory, PACKAGE, *name.split("/"))
    os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
    with open(path, "wb") as file:
        file.write(source)
    return take_compiled(compiled, name, source, path)


def write_at_once(path: str, data: bytes) -> None:
    """Write a file, of which nobody sees a part.

    What compiles our modules meanwhile (spawn.py) would take it for all: Python notes the time and
    the length that a source has when it has been read.
    """
    with open(path + ".part", "wb") as file:
        file.write(data)
    os.replace(file.name, path)


def write_missing(directory: str, files: dict[str, bytes], compiled: str) -> bool:
    """Write those modules that are not there; False: one of them is to be compiled."""
    is_compiled = True
    for name, source in files.items():
        if not os.path.exists(os.path.join(directory, PACKAGE, *name.split("/"))):
            is_compiled &= write_module(directory, name, source, compiled)
    return is_compiled


def take_compiled(compiled: str, name: str, source: bytes, path: str) -> bool:
    """Put beside a module what this Python has compiled of the same source; False: there is none.

    compiled: the folder that our modules are from; "": it is not seen from here.
    """
    if not compiled:
        return False
    known = os.path.join(compiled, *name.split("/"))
    try:
        with open(known, "rb") as file:
            is_same = file.read() == source
            status = os.fstat(file.fileno())
        with open(importlib.util.cache_from_source(known), "rb") as file:
            head, code = file.read(_HEAD.size), file.read()
        if not is_same or head != _head(status):
            return False
        target = importlib.util.cache_from_source(path)
        os.makedirs(os.path.dirname(target), mode=0o700, exist_ok=True)
        with open(target, "wb") as file:
            file.write(_head(os.stat(path)) + code)
    except (OSError, NotImplementedError):  # it was never compiled
        return False
    return True


def _head(status: os.stat_result) -> bytes:
    written = int(status.st_mtime) & 0xFFFFFFFF
    return _HEAD.pack(importlib.util.MAGIC_NUMBER, 0, written, status.st_size & 0xFFFFFFFF)
