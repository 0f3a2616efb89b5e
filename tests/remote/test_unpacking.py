"""What is written and imported in an environment before the remote kernel's process begins."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from aca_kernel.environment import remote_sources
from aca_kernel.remote.loader import PACKAGE, write_module
from aca_kernel.remote.spawn import Spawned

# Imports the agent as the loader does, and tells which modules that took and which files it wrote.
PROGRAM = """
import json, os, sys
from aca_kernel.environment import remote_sources
files = {name: text.encode() for name, text in remote_sources.relay_half().items()}
for name in [name for name in sys.modules if name.partition(".")[0] == "aca_kernel"]:
    del sys.modules[name]
before = set(sys.modules)
names = {"__name__": "_aca_loader"}
exec(files["loader.py"], names)
directory = names["_make_directory"]()
unpacker = names["Unpacker"](directory, files, "")
sys.meta_path.insert(0, unpacker)
import _aca_remote.agent
written = [name for _, _, files in os.walk(directory) for name in files if name.endswith(".py")]
import shutil
shutil.rmtree(directory)
print(json.dumps([sorted(set(sys.modules) - before), sorted(written)]))
"""

# Each of them takes some milliseconds of every start, before the remote kernel's process begins.
SLOW = {"asyncio", "dataclasses", "hashlib", "inspect", "uuid", "zmq"}


@pytest.fixture(scope="module")
def agent_import() -> tuple[set[str], set[str]]:
    """The modules that the import of the agent imports, and the files that it writes."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True, timeout=60
    )
    imported, written = json.loads(done.stdout)
    return set(imported), set(written)


def test_the_agent_imports_nothing_slow(agent_import: tuple[set[str], set[str]]) -> None:
    imported, _ = agent_import
    assert f"{PACKAGE}.agent" in imported
    assert not SLOW & imported


def test_only_the_agents_modules_are_written_before_the_remote_kernel_starts(
    agent_import: tuple[set[str], set[str]],
) -> None:
    imported, written = agent_import
    ours = {name.partition(".")[2] for name in imported if name.startswith(f"{PACKAGE}.")}
    assert written == {"__init__.py", *(f"{name}.py" for name in ours)}


@pytest.fixture
def starting() -> Iterator[tuple[str, Spawned]]:
    """A remote kernel's process of whose modules only the first is written, and its folder."""
    # Not pytest's folder: paths of sockets are short.
    directory = tempfile.mkdtemp(prefix="aca-")
    write_module(directory, "launcher.py", sources()["launcher.py"], "")
    config = {
        "nonce": "n", "session": "s", "username": "u", "compiled": "", "calls": "", "generation": 1,
        "traits": {}, "arguments": [], "refused": [], "files": "off", "files_back": False,
    }  # fmt: skip
    # By the path that it has in an environment.
    code = sources()["spawn.py"]
    names = {"__name__": "spawn", "__file__": os.path.join(directory, PACKAGE, "spawn.py")}
    exec(compile(code, names["__file__"], "exec"), names)
    spawned = names["spawn"](directory, 1, config)  # type: ignore[operator]
    try:
        yield directory, spawned
    finally:
        spawned.process.kill()
        spawned.process.wait()
        shutil.rmtree(directory)


def sources() -> dict[str, bytes]:
    return {name: text.encode() for name, text in remote_sources.relay_half().items()}


def waits_for_a_pipe(pid: int) -> bool:
    """Tell what Linux says that a process waits for. Skips the test where it says nothing."""
    path = Path(f"/proc/{pid}/wchan")
    place = path.read_text() if path.exists() else ""
    if not place:
        pytest.skip("this system does not say what a process waits for")
    return "pipe" in place


def test_a_remote_kernel_waits_for_modules_that_are_written_late(
    starting: tuple[str, Spawned],
) -> None:
    directory, spawned = starting
    while not waits_for_a_pipe(spawned.process.pid):
        assert spawned.process.poll() is None, Path(spawned.log_path).read_text()
        time.sleep(0.01)
    for name, source in sources().items():
        if name != "launcher.py":
            write_module(directory, name, source, "")
    os.close(spawned.gate)
    socket = Path(spawned.addresses["shell"].removeprefix("ipc://"))
    while not socket.exists():
        assert spawned.process.poll() is None, Path(spawned.log_path).read_text()
        time.sleep(0.01)
