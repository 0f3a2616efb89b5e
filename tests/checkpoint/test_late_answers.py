"""Answers of an environment that come with the news that it is given up."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path
from typing import Any

import pytest

from aca_kernel.checkpoint import limits
from aca_kernel.checkpoint.carrier import Carrier
from aca_kernel.checkpoint.checkpoints import Checkpoints
from aca_kernel.checkpoint.store import Store
from aca_kernel.errors import EnvironmentGone
from aca_kernel.remote.wire import Record
from aca_kernel.settings import AcaKernel


def test_what_the_last_environment_has_got_is_sent_to_the_next_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("JUPYTER_DATA_DIR", str(tmp_path))

    inbox: asyncio.Queue[Any] = asyncio.Queue()

    async def sources_of_a_checkpoint(checkpoints: Checkpoints, carrier: Carrier) -> set[str]:
        """Begin one, end the environment with the answers to the sources; return their names."""
        taking = asyncio.ensure_future(checkpoints.take())
        # And what the kernel knows of the checkpoint's pieces.
        wanted, sent = len(limits.remote_files()) + 1, list[Record]()
        while len(sent) < wanted:
            sent.append((await inbox.get()).record)
        for record in sent:
            carrier.takes(Record({"kind": "got", "id": record.head["id"]}))
        # Before whoever waits for them has heard of it.
        checkpoints.forget_environment()
        carrier.fail(EnvironmentGone("It has ended."))
        with pytest.raises(EnvironmentGone):
            await taking
        return {str(record.head["name"]) for record in sent}

    async def twice() -> None:
        carrier = Carrier("session", "user", inbox)
        log = logging.getLogger("test")
        checkpoints = Checkpoints(Store("one", ""), carrier, AcaKernel(), inbox, log)
        for _ in range(2):
            names = await asyncio.wait_for(sources_of_a_checkpoint(checkpoints, carrier), 60)
            assert names == {*limits.remote_files(), "state/known"}

    asyncio.run(twice())
