"""The kernel's sockets, read by an event loop that was busy with something else."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import zmq
from jupyter_client.session import Session

from aca_kernel.app import AcaKernelApp
from aca_kernel.messaging import channels as channels_module
from aca_kernel.messaging.channels import Channels
from aca_kernel.messaging.inbox import Received
from aca_kernel.messaging.outgoing import Forward, Publish
from tests.support import TIMEOUT, Client

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


def test_what_is_published_before_a_front_end_is_there_waits_for_it(
    context: zmq.Context[zmq.Socket[bytes]],
) -> None:
    session = Session(key=b"key")
    heard: list[bytes] = []

    async def serve() -> None:
        channels = Channels(INFO, session, LOG, is_restart=True)
        ports = channels.bind()
        message = session.serialize(session.msg("status", {"execution_state": "starting"}))[2:]
        channels.send(Forward("starting", message))
        channels.listen(asyncio.Queue())
        # As of a request that came while nobody had subscribed: lost, and not told too late.
        channels.send(Forward("lost", message))
        await asyncio.sleep(0.1)
        front_ends = [context.socket(zmq.SUB) for _ in range(2)]
        for one in front_ends:
            one.linger, one.rcvtimeo = 0, 20_000
            one.subscribe(b"")
            one.connect(f"tcp://127.0.0.1:{ports['iopub_port']}")
        loop = asyncio.get_running_loop()
        for one in front_ends:
            while not heard or heard[-1] != b"starting":
                heard.append((await loop.run_in_executor(None, one.recv_multipart))[0])
            heard.append(b"")
        channels.send(Forward("busy", message))
        heard.append((await loop.run_in_executor(None, front_ends[0].recv_multipart))[0])
        for one in front_ends:
            one.close()
        await channels.close()

    asyncio.run(serve())
    assert heard.count(b"starting") == 2
    assert b"lost" not in heard
    assert heard[-1] == b"busy"


def test_a_first_front_end_hears_at_once_that_a_kernel_starts(
    context: zmq.Context[zmq.Socket[bytes]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is ready when iopub is silent for a while: a late word delays each start."""
    monkeypatch.setattr(channels_module, "_GATHER_SECONDS", 3600)
    session = Session(key=b"key")

    async def serve() -> list[str]:
        channels = Channels(INFO, session, LOG)
        ports = channels.bind()
        channels.send(Publish("status", {"execution_state": "starting"}, None))
        channels.listen(asyncio.Queue())
        front_end = context.socket(zmq.SUB)
        front_end.linger, front_end.rcvtimeo = 0, 20_000
        front_end.subscribe(b"")
        front_end.connect(f"tcp://127.0.0.1:{ports['iopub_port']}")
        loop = asyncio.get_running_loop()
        heard = []
        for _ in range(2):
            frames = await loop.run_in_executor(None, front_end.recv_multipart)
            message = session.deserialize(session.feed_identities(frames)[1])
            heard.append(message["msg_type"])
        front_end.close()
        await channels.close()
        return heard

    assert asyncio.run(serve()) == ["iopub_welcome", "status"]


def test_a_kernel_behind_an_older_connection_file_is_restarted(tmp_path: Path) -> None:
    path = tmp_path / "kernel.json"
    app = AcaKernelApp(connection_file=str(path))
    assert not app._is_restart()
    path.write_text("{}")
    assert not app._is_restart()
    os.utime(path, (time.time() - 60, time.time() - 60))
    assert app._is_restart()


def test_each_restart_is_heard_to_be_starting(pool_kernel: Client) -> None:
    for _ in range(5):
        pool_kernel.manager.restart_kernel(now=True)
        states: list[str] = []
        deadline = time.monotonic() + TIMEOUT
        pool_kernel.client.kernel_info()
        while "starting" not in states:
            message = pool_kernel.client.get_iopub_msg(timeout=deadline - time.monotonic())
            states.append(message["content"].get("execution_state", ""))
        pool_kernel.client.wait_for_ready(timeout=TIMEOUT)
    assert pool_kernel.run("6 * 7").result == "42"


def test_text_that_is_no_utf8_is_read_as_by_ipykernel(pool_kernel: Client) -> None:
    session = pool_kernel.client.session
    content = {"code": "print('caf\xe9')", "silent": False, "allow_stdin": False}
    message = session.msg("execute_request", content)
    frames = [one.replace("\xe9".encode(), b"\xe9") for one in session.serialize(message)]
    frames[1] = session.sign(frames[2:])
    pool_kernel.client.shell_channel.socket.send_multipart(frames)
    assert pool_kernel.collect(message["msg_id"]).text == "caf\ufffd\n"


def test_a_message_that_ipykernel_refuses_is_not_waited_for(pool_kernel: Client) -> None:
    content = {"code": "1", "silent": False, "allow_stdin": False}
    message = pool_kernel.client.session.msg("execute_request", content)
    message["header"]["version"] = "4.0"
    pool_kernel.client.shell_channel.send(message)
    # It would wait for the cells before it.
    assert pool_kernel.ask("kernel_info_request", {})["content"]["status"] == "ok"
    assert pool_kernel.run("6 * 7").result == "42"
