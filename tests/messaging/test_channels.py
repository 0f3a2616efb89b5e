"""The kernel's sockets, read by an event loop that was busy with something else."""

from __future__ import annotations

import asyncio
import logging
import socket
import time
from collections.abc import Iterator

import pytest
import zmq
from jupyter_client.session import Session

from aca_kernel.messaging.channels import Channels
from aca_kernel.messaging.inbox import Received

LOG = logging.getLogger("test")
INFO = {"transport": "tcp", "ip": "127.0.0.1"}


@pytest.fixture
def context() -> Iterator[zmq.Context[zmq.Socket[bytes]]]:
    with zmq.Context() as made:
        yield made


@pytest.mark.parametrize("case", ["shell first", "control first", "shell meanwhile"])
def test_a_cell_is_heard_before_the_interrupt_that_came_behind_it(
    context: zmq.Context[zmq.Socket[bytes]], case: str
) -> None:
    session = Session(key=b"key")
    inbox: asyncio.Queue[Received] = asyncio.Queue()

    async def serve() -> list[str]:
        channels = Channels(INFO, session, LOG)
        ports = channels.bind()
        sockets: dict[str, zmq.Socket[bytes]] = {}
        for name in ("shell", "control"):
            sockets[name] = context.socket(zmq.DEALER)
            sockets[name].connect(f"tcp://127.0.0.1:{ports[name + '_port']}")
        heard: list[str] = []

        async def hear() -> None:
            while len(heard) < 2:
                heard.append((await asyncio.wait_for(inbox.get(), 10)).channel)

        def send(*names: str) -> None:
            for name in names:
                session.send(sockets[name], f"{name}_request")
            time.sleep(0.3)  # the loop finds all of them

        channels.listen(inbox)
        await asyncio.sleep(0.2)  # all is connected, and nothing there
        if case == "shell first":
            send("shell", "control")
        elif case == "control first":
            send("control", "shell")
        else:
            # The loop has the interrupt, and has not looked for anything else since.
            here, there = socket.socketpair()
            with here, there:
                loop = asyncio.get_running_loop()
                loop.add_reader(here, lambda: (loop.remove_reader(here), send("shell")))
                there.send(b"x")
                send("control")
                await hear()
        await hear()
        for one in sockets.values():
            one.close(linger=0)
        await channels.close()
        return heard

    assert asyncio.run(serve()) == ["shell", "control"]
