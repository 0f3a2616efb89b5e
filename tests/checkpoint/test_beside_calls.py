"""Checkpoints beside the calls, where this machine sees the agent's folder; and in calls if not."""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from aca_kernel.checkpoint import putting
from aca_kernel.checkpoint.carrier import Carrier, CarryAsked
from aca_kernel.checkpoint.checkpoints import Checkpoints
from aca_kernel.checkpoint.collecting import Collecting
from aca_kernel.checkpoint.store import Store
from aca_kernel.environment.near_files import NearFiles
from aca_kernel.errors import CheckpointFailed
from aca_kernel.pool.backend import NearFolder
from aca_kernel.remote import agent_folder
from aca_kernel.remote.depot import Depot
from aca_kernel.settings import AcaKernel

from ..host.conftest import inside
from ..support import running_kernel

if sys.platform == "win32":
    pytest.skip("There are no session pools on Windows", allow_module_level=True)

MANIFEST: dict[str, Any] = {"history": [], "files": [], "settings": [], "imports": [], "taken": 1}


class World:
    """A store with some pieces, and an agent's folder that this machine sees."""

    def __init__(self, folder: Path) -> None:
        self.agents = folder / "pool" / "s1" / "tmp" / "aca-one"
        self.agents.mkdir(parents=True)
        near = NearFolder(str(folder / "near"), "/inside", str(folder / "pool"))
        self.files = NearFiles(near, "/tmp/aca-one")
        self.inbox: asyncio.Queue[Any] = asyncio.Queue()
        self.carrier = Carrier("session", "user", self.inbox)
        self.store = Store("one", "")
        self.pieces = dict(piece(b"r" + os.urandom(100_000)) for _ in range(60))
        self.depot = Depot(str(self.agents))
        # What calls have brought, by its name.
        self.asked: list[str] = []

    def begin(self) -> Checkpoints:
        self.store.add(self.pieces.items())
        groups = [{"names": [["x"]], "pieces": list(self.pieces)}]
        self.store.commit({**MANIFEST, "groups": groups}, set(self.pieces))
        log = logging.getLogger("test")
        checkpoints = Checkpoints(self.store, self.carrier, AcaKernel(), self.inbox, log)
        checkpoints.begin_environment(self.files)
        return checkpoints

    async def answer(self) -> None:
        """Do what the agent does."""
        while True:
            event = await self.inbox.get()
            if not isinstance(event, CarryAsked):
                continue
            record = event.record
            self.asked.append(str(record.head.get("name", record.kind)))
            if record.kind == "msg":
                self.carrier.fail(CheckpointFailed("that far"))
            else:
                self.carrier.takes(self.depot.answer(record))

    def put(self) -> None:
        """Put the checkpoint there, and ask for its restore."""

        async def work() -> None:
            answering = asyncio.ensure_future(self.answer())
            with pytest.raises(CheckpointFailed, match="that far"):
                await asyncio.wait_for(self.begin().restore(), 60)
            answering.cancel()

        asyncio.run(work())

    def manifest(self) -> dict[str, Any]:
        return dict(json.loads((self.agents / "state" / "manifest").read_text()))

    def found(self) -> dict[str, bytes]:
        """Return the pieces that the environment finds."""
        manifest = self.manifest()
        pack = (self.agents / manifest.get("file", "state/pack")).read_bytes()
        return {name: pack[at : at + size] for name, (at, size) in manifest["pack"].items()}


def piece(stored: bytes) -> tuple[str, bytes]:
    return hashlib.blake2b(stored[1:], digest_size=20).hexdigest(), stored


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    monkeypatch.setenv("JUPYTER_DATA_DIR", str(tmp_path / "data"))
    made = World(tmp_path)
    yield made
    made.store.close(keep=False)


def test_a_restore_carries_no_pages_in_calls(world: World) -> None:
    world.put()
    assert "state/pack" not in world.asked
    assert world.asked[-2:] == ["state/manifest", "msg"]
    assert world.manifest()["file"] == "pack"
    assert world.manifest()["damaged"] == []
    assert world.found() == world.pieces


def test_what_is_damaged_in_the_store_is_named_to_the_environment(world: World) -> None:
    name = next(iter(world.pieces))
    world.pieces[name] = b"rnot this"
    world.put()
    assert world.manifest()["damaged"] == [name]


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="has no file that is full")
@pytest.mark.parametrize("is_small", [False, True])
def test_where_there_is_no_room_it_goes_in_calls(
    world: World, monkeypatch: pytest.MonkeyPatch, is_small: bool
) -> None:
    if is_small:  # what stays in a buffer until the file is closed
        world.pieces = dict([piece(b"r" + os.urandom(100))])
    full = open("/dev/full", "wb")  # noqa: SIM115 - which cannot be closed without an error
    monkeypatch.setattr(world.files, "create", lambda _: full)
    world.put()
    assert "state/pack" in world.asked
    assert full.closed
    assert "file" not in world.manifest()
    assert world.found() == world.pieces


def test_for_a_pool_elsewhere_it_goes_in_calls(world: World) -> None:
    world.files = NearFiles(None, "/tmp/aca-one")
    world.put()
    assert world.asked.count("state/pack") > 1
    assert world.found() == world.pieces


class Calls:
    """A carrier that answers from a pack of its own."""

    def __init__(self, pack: bytes, near: NearFiles) -> None:
        self._pack = pack
        self.near = near
        self.asked = 0

    async def get(self, _: str, ranges: list[tuple[int, int]]) -> bytes:
        self.asked += 1
        return b"".join(self._pack[at : at + size] for at, size in ranges)


@pytest.mark.parametrize("near", ["whole", "damaged", "cut", "missing"])
@pytest.mark.parametrize("is_awaited", [True, False])
def test_what_is_damaged_beside_the_calls_comes_in_calls(
    world: World, near: str, is_awaited: bool
) -> None:
    index, pack = {}, b""
    for name, stored in world.pieces.items():
        index[name] = len(pack), len(stored)
        pack += stored
    beside = {"damaged": pack[:200] + b"?" + pack[201:], "cut": pack[:-1]}.get(near, pack)
    if near != "missing":
        (world.agents / "pack").write_bytes(beside)

    def fetch(calls: Any) -> int:
        collecting = Collecting(world.store, calls)
        return asyncio.run(collecting.fetch("pack", index, is_awaited=is_awaited))

    calls = Calls(pack, world.files)
    assert fetch(calls) == len(pack)
    assert dict(world.store.pieces(list(index))) == world.pieces
    pages = 1 + len(pack) // (3 if is_awaited else 1) // 2**20
    assert {"whole": 0, "damaged": 1, "cut": 1}.get(near, pages) <= calls.asked <= pages
    assert calls.asked == 0 or near != "whole"
    if near != "whole":
        world.store.clear()
        with pytest.raises(CheckpointFailed, match="damaged on its way"):
            fetch(Calls(bytes(len(pack)), world.files))
        assert len(world.store.names()) < len(index)


CODE = """
import hashlib, os, numpy as np
data = [os.urandom(3_000_001) for _ in range(4)]
array = np.frombuffer(os.urandom(24_000_000), 'f8').reshape(3, -1).copy()
def told(): return hashlib.sha256(b''.join([*data, array.tobytes()])).hexdigest(), array.shape
"""


# What the agent's folder still has of the last restore.
FILE = """
import json, pathlib, sys
folder = pathlib.Path(sys.modules['_aca_remote'].__path__[0]).parent
json.loads((folder / 'state' / 'manifest').read_text())['file']
"""


@pytest.mark.parametrize("isolation", ["auto", "process"])
def test_exactly_the_same_comes_back_on_the_embedded_pool(tmp_path: Path, isolation: str) -> None:
    with (
        inside(tmp_path),
        running_kernel(arguments=(f"--AcaKernel.isolation={isolation}",)) as kernel,
    ):
        assert kernel.run(CODE).error is None
        told = kernel.run("told()").result
        assert kernel.run("%aca checkpoint").text.startswith("Stored ")
        assert kernel.run("%aca restart --keep").status == "ok"
        assert kernel.run("told()").result == told
        # Once more, in a cell, and what has changed only.
        assert kernel.run("data[0] = b'other'").error is None
        told = kernel.run("told()").result
        assert kernel.run("%aca checkpoint").text.startswith("Stored ")
        assert kernel.run("data.clear()\n%aca restore").error is None
        assert kernel.run("told()").result == told
        assert kernel.run(FILE).result == "'pack'"


def test_a_folder_of_its_own_is_another_one_in_the_next_environment(tmp_path: Path) -> None:
    code = (
        "import os, sys, tempfile\nos.makedirs('below/lib', exist_ok=True)\n"
        "open('below/lib/own.py', 'w').write('')\nos.chdir('below')\n"
        "sys.path.append(os.path.abspath('lib'))\nbefore = tempfile.gettempdir(), os.getcwd()"
    )
    with (
        inside(tmp_path),
        running_kernel(arguments=("--AcaKernel.isolation=process",)) as kernel,
    ):
        kernel.run(code)
        kernel.run("%aca restart --keep")
        cell = kernel.run(
            "import own\nnow = tempfile.gettempdir(), os.getcwd()\n"
            "[os.path.isdir(one) for one in now], now[0] != before[0], os.listdir()"
        )
        assert cell.error is None, cell.error
        assert cell.result == "([True, True], True, ['lib'])"
        assert "not restored" not in cell.said
        # What code has chosen, it has again.
        kernel.run("tempfile.tempdir = '/var/tmp'")
        kernel.run("%aca restart --keep")
        assert kernel.run("tempfile.gettempdir()").result == "'/var/tmp'"


def test_a_variable_that_kills_the_process_spoils_nothing_else(tmp_path: Path) -> None:
    code = (
        "import os\nclass Deadly:\n    def __getstate__(self): return {'a': 1}\n"
        "    def __setstate__(self, _): os.kill(os.getpid(), 9)\n"
        "before, deadly, after = 1, Deadly(), [2]"
    )
    with inside(tmp_path), running_kernel() as kernel:
        kernel.run(code)
        kernel.run("%aca restart --keep")
        cell = kernel.run("print(before, after, 'deadly' in dir())")
        assert cell.text == "1 [2] False\n"
        assert "not restored: deadly (bringing it back ends the remote kernel)" in cell.said


def test_the_code_names_the_file_as_the_agents_folder_does() -> None:
    assert f"    {putting._NEAR_PACK}  " in str(agent_folder.__doc__)
