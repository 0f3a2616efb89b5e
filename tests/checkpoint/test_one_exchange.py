"""A restore asks for all that it needs at once, in an order that the environment can keep to."""

from __future__ import annotations

import asyncio
import hashlib
import logging
import time
from pathlib import Path
from typing import Any

import pytest

from aca_kernel.checkpoint import limits
from aca_kernel.checkpoint.carrier import Carrier
from aca_kernel.checkpoint.checkpoints import Checkpoints
from aca_kernel.checkpoint.store import Store
from aca_kernel.settings import AcaKernel

MANIFEST: dict[str, Any] = {"history": [], "files": [], "settings": [], "imports": [], "taken": 1}


@pytest.mark.parametrize("is_slow", [False, True], ids=["", "the sources are read slowly"])
def test_a_restore_is_asked_for_behind_all_that_it_needs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_slow: bool
) -> None:
    monkeypatch.setenv("JUPYTER_DATA_DIR", str(tmp_path))
    sources = limits.remote_files()

    def read() -> dict[str, bytes]:
        time.sleep(0.2 * is_slow)
        return sources

    monkeypatch.setattr(limits, "remote_files", read)

    async def questions() -> list[str]:
        inbox: asyncio.Queue[Any] = asyncio.Queue()
        carrier = Carrier("session", "user", inbox)
        store = Store("one", "")
        piece = hashlib.blake2b(b"data", digest_size=20).hexdigest()
        store.add([(piece, b"rdata")])
        groups = [{"names": [["x"]], "pieces": [piece]}]
        store.commit({**MANIFEST, "groups": groups}, {piece})
        log = logging.getLogger("test")
        checkpoints = Checkpoints(store, carrier, AcaKernel(), inbox, log)
        restoring = asyncio.ensure_future(checkpoints.restore())
        first = await inbox.get()
        # As the driver, before it makes the call.
        await carrier.await_question(60)
        asked = [first, *(inbox.get_nowait() for _ in range(inbox.qsize()))]
        restoring.cancel()
        await asyncio.gather(restoring, return_exceptions=True)
        return [str(one.record.head.get("name", one.record.kind)) for one in asked]

    asked = asyncio.run(questions())
    assert set(asked[:-2]) == {*sources, "state/pack"}
    assert asked[-2:] == ["state/manifest", "msg"]
