"""CurveZMQ: sockets that are encrypted where the front end has given keys for it."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import zmq
from jupyter_client.manager import KernelManager, start_new_kernel
from zmq.utils.monitor import recv_monitor_message

from tests.support import TIMEOUT, Client, Pool

SOCKETS = {"shell": zmq.DEALER, "control": zmq.DEALER, "stdin": zmq.DEALER, "hb": zmq.REQ}

pytestmark = pytest.mark.skipif(
    not hasattr(KernelManager, "transport_encryption"), reason="jupyter_client 8.9 can encrypt"
)


@pytest.fixture(scope="module")
def client(shared_pool: Pool, policy: str) -> Iterator[Client]:
    manager, client = start_new_kernel(
        kernel_name="aca",
        env={**os.environ, **shared_pool.env},
        transport_encryption=policy,
        startup_timeout=int(TIMEOUT),
    )
    try:
        yield Client(manager, client)
    finally:
        client.stop_channels()
        manager.shutdown_kernel()


@pytest.mark.parametrize("policy", ["required", "auto"], scope="module")
def test_all_sockets_are_encrypted_where_the_client_asks_for_it(client: Client) -> None:
    assert client.manager.get_connection_info()["curve_publickey"]
    assert client.run("print(6 * 7)").text == "42\n"
    assert client.ask("kernel_info_request", {}, "control")["content"]["status"] == "ok"
    cell = client.send("name = input('? ')", allow_stdin=True)
    client.client.get_stdin_msg(timeout=TIMEOUT)
    client.client.input("Ada")
    assert client.collect(cell).status == "ok"
    assert _beats(client)
    client.restart()
    assert client.run("print(name)").error is not None


@pytest.mark.parametrize("policy", ["required"], scope="module")
def test_a_client_without_the_keys_is_not_let_in(client: Client) -> None:
    info = json.loads(Path(client.manager.connection_file).read_text())
    with zmq.Context() as context:
        refused = {
            name: _hears_of_a_handshake(context, kind, info[f"{name}_port"])
            for name, kind in {**SOCKETS, "iopub": zmq.SUB}.items()
        }
    assert not any(refused.values()), refused


@pytest.mark.parametrize("policy", ["disabled"], scope="module")
def test_a_client_that_does_not_ask_gets_plain_sockets(client: Client) -> None:
    assert "curve_publickey" not in client.manager.get_connection_info()
    assert client.run("print(6 * 7)").text == "42\n"


def _beats(client: Client) -> bool:
    """Send one heartbeat as a client does, with the public key of the connection file."""
    info: dict[str, Any] = dict(client.manager.get_connection_info())
    with zmq.Context() as context, context.socket(zmq.REQ) as socket:
        socket.linger = 0
        socket.curve_publickey, socket.curve_secretkey = zmq.curve_keypair()
        socket.curve_serverkey = info["curve_publickey"].encode()
        socket.connect(f"tcp://{info['ip']}:{info['hb_port']}")
        socket.send(b"ping")
        return bool(socket.poll(TIMEOUT * 1000)) and socket.recv() == b"ping"


def _hears_of_a_handshake(context: zmq.Context[Any], kind: int, port: int) -> bool:
    """Connect in plain text; tell whether it succeeded before it was refused."""
    with context.socket(kind) as socket, socket.get_monitor_socket() as monitor:
        socket.linger = 0
        socket.connect(f"tcp://127.0.0.1:{port}")
        deadline = time.monotonic() + TIMEOUT
        refusals = {
            zmq.Event.HANDSHAKE_FAILED_NO_DETAIL,
            zmq.Event.HANDSHAKE_FAILED_PROTOCOL,
            zmq.Event.DISCONNECTED,
        }
        while time.monotonic() < deadline and monitor.poll(1000):
            event = recv_monitor_message(monitor)["event"]
            if event == zmq.Event.HANDSHAKE_SUCCEEDED:
                return True
            if event in refusals:
                break
        socket.disable_monitor()
    return False
