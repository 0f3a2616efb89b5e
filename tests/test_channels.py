"""The kernel's sockets, read by an event loop that was busy with something else."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Iterator
from typing import Any

import pytest
import zmq
from jupyter_client.session import Session

from aca_kernel.channels import Channels

LOG = logging.getLogger("test")
INFO = {"transport": "tcp", "ip": "127.0.0.1"}


@pytest.fixture
def context() -> Iterator[zmq.Context[zmq.Socket[bytes]]]:
    with zmq.Context() as made:
        yield made


@pytest.mark.parametrize("order", [("shell", "control"), ("control", "shell")])
def test_a_cell_is_heard_before_the_interrupt_that_came_behind_it(
    context: zmq.Context[zmq.Socket[bytes]], order: tuple[str, str]
) -> None:
    session = Session(key=b"key")
    heard: list[str] = []

    async def serve() -> None:
        channels = Channels(INFO, session, LOG)
        ports = channels.bind()
        sockets: dict[str, zmq.Socket[bytes]] = {}
        for name in ("shell", "control"):
            sockets[name] = context.socket(zmq.DEALER)
            sockets[name].connect(f"tcp://127.0.0.1:{ports[name + '_port']}")
        everything = asyncio.Event()

        def hear(channel: str, *_: Any) -> None:
            heard.append(channel)
            if len(heard) == 2:
                everything.set()

        channels.listen(hear)
        await asyncio.sleep(0.2)  # all is connected, and nothing there
        for name in order:
            session.send(sockets[name], f"{name}_request")
        time.sleep(0.3)  # the loop finds both of them
        await asyncio.wait_for(everything.wait(), 10)
        for socket in sockets.values():
            socket.close(linger=0)
        await channels.close()

    asyncio.run(serve())
    assert heard == ["shell", "control"]
