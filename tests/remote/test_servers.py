"""Addresses in outputs, at which something listens or does not."""

from __future__ import annotations

import json
import socket
import sys
import time
from collections.abc import Iterator

import pytest

from aca_kernel.remote import servers as servers_module
from aca_kernel.remote.servers import Servers, network

from ..support import eventually

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")


@pytest.fixture
def port() -> Iterator[int]:
    """A port at which something listens."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield int(server.getsockname()[1])


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "0.0.0.0", "[::1]", "[::]"])
def test_a_port_is_found(port: int, host: str) -> None:
    said = json.dumps({"text": f"\x1b[1mhttp://{host}:{port}\x1b[0m/"}).encode()
    assert Servers().named_in(said) == [port]


def test_other_ports_and_hosts_are_not_told(port: int) -> None:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))  # and does not listen
        texts = (
            f"http://example.com:{port}",
            f"http://127.0.0.1:{bound.getsockname()[1]}",
            f"http://127.0.0.1:{port}0",
            "localhost:99999",
            "x" * 200_000 + f" http://127.0.0.1:{port}",
        )
        for text in texts:
            assert Servers().named_in(text.encode()) == []


def test_a_server_that_comes_later_is_told_then() -> None:
    servers = Servers()
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        said = f"http://localhost:{server.getsockname()[1]}".encode()
        assert servers.named_in(said) == []
        server.listen()
        assert eventually(lambda: servers.named_in(said) == [server.getsockname()[1]])


def test_what_is_printed_often_is_seldom_looked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    looks = []

    def slowly() -> set[int]:
        looks.append(time.monotonic())
        time.sleep(0.05)
        return set()

    monkeypatch.setattr(servers_module, "_listening", slowly)
    servers = Servers()
    began = time.monotonic()
    for _ in range(1000):
        servers.named_in(b"no connection to localhost:9092, trying again")
    assert len(looks) <= 1 + (time.monotonic() - began)


def test_processes_of_one_network_say_the_same() -> None:
    assert network() == network() != ""
