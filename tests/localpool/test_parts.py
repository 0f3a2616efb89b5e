"""The parts that need no running pool."""

import asyncio
import os
import socket
import sys

import pytest

from aca_kernel.errors import SettingInvalid
from aca_kernel.localpool import network, options, python_environment
from aca_kernel.localpool.channel import Channel
from aca_kernel.localpool.inside import frames


def test_frames_survive_any_cut():
    sent = [({"id": 1}, b""), ({"text": "\ud800"}, b"\0\xff" * 10), ({}, b"x")]
    stream = b"".join(frames.pack(*frame) for frame in sent)
    for size in (1, 2, 7, len(stream)):
        reader = frames.FrameReader()
        got = []
        for start in range(0, len(stream), size):
            got += reader.feed(stream[start : start + size])
        assert got == sent


def test_frames_on_a_blocking_socket():
    near, far = socket.socketpair()
    with near:
        with far:
            far.sendall(frames.pack({"a": 1}, b"body"))
            assert frames.receive(near) == ({"a": 1}, b"body")
            far.sendall(b"\0\0\0\1")
        assert frames.receive(near) is None


@pytest.mark.parametrize("noise", [b"\xff" * 8, b"\0\0\0\1\0\0\0\0{", b"\0\0\0\2\0\0\0\0[]"])
def test_a_channel_ends_when_what_comes_is_no_frame(noise):
    async def run():
        near, far = socket.socketpair()
        near.setblocking(False)
        loop = asyncio.get_running_loop()
        closed = loop.create_future()
        channel = Channel(loop, near, lambda frame: frame[0]["id"], closed.set_result)
        with far:
            far.sendall(noise)
            assert await asyncio.wait_for(closed, 5) is True
        channel.close()

    asyncio.run(run())


def test_a_channel_sends_more_than_a_socket_holds():
    async def run():
        near, far = socket.socketpair()
        near.setblocking(False)
        far.setblocking(False)
        loop = asyncio.get_running_loop()
        channel = Channel(loop, near, lambda _frame: None, lambda _is_broken: None)
        data = os.urandom(3_000_000)
        channel.send(data)
        channel.send(b"end")
        got = bytearray()
        with far:
            while len(got) < len(data) + 3:
                got += await loop.sock_recv(far, 1 << 20)
            await asyncio.wait_for(channel.sent(), 5)
            channel.close()
        assert bytes(got) == data + b"end"

    asyncio.run(run())


def test_options_are_checked():
    assert options.PoolOptions().call_timeout_seconds == 220
    assert options.PoolOptions().cooldown_seconds == 300
    assert options.PoolOptions(memory_mib=0).memory_bytes == 0
    assert options.from_mapping({"memory_mib": None}).memory_bytes > 0
    assert options.make_quirks(["no-ipykernel"]).no_ipykernel
    for wrong in ({"port": True}, {"api_key": 5}, {"faults": 1}, {"egress": "some"}):
        with pytest.raises(SettingInvalid):
            options.from_mapping(wrong)


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("127.0.0.1", True),
        ("127.9.9.9", True),
        ("::1", True),
        ("localhost", True),
        ("10.0.0.1", False),
        ("127.0.0.1.evil.example", False),
        ("127.a.b.c", False),
    ],
)
def test_loopback_names(host, expected):
    assert options.is_loopback(host) is expected


def test_network_settings_come_without_credentials_from_all_of_pips_places(tmp_path, monkeypatch):
    home = tmp_path / "home"
    (home / ".config" / "pip").mkdir(parents=True)
    (home / ".config" / "pip" / "pip.conf").write_text(
        "[global]\nindex-url = https://user:word@index.example/simple\ntimeout = 3\n"
        "[install]\nextra-index-url =\n    https://a.example/simple\n    https://t@b.example/simple\n"
    )
    wheels = tmp_path / "wheels"
    wheels.mkdir()
    monkeypatch.setenv("HOME", str(home))
    environ = {
        "HOME": str(home),
        "PIP_FIND_LINKS": f"{wheels} {home}",
        "PIP_TIMEOUT": "9",
        "http_proxy": "http://user:w@word@proxy:1",
        "ALL_PROXY": "user:word@proxy:2",
        "AWS_SECRET": "word",
        "SSL_CERT_DIR": str(wheels),
    }
    found = network.collect(environ)
    assert "word" not in str(found)
    assert found.variables["PIP_INDEX_URL"] == "https://index.example/simple"
    assert (
        found.variables["PIP_EXTRA_INDEX_URL"]
        == "https://a.example/simple https://b.example/simple"
    )
    assert found.variables["PIP_TIMEOUT"] == "9"
    assert found.variables["http_proxy"] == "http://proxy:1"
    assert found.variables["ALL_PROXY"] == "proxy:2"
    assert str(wheels) in found.visible
    assert str(home) not in found.visible
    assert network.collect({"PIP_CONFIG_FILE": os.devnull, "HOME": str(home)}).variables == {}


def test_the_environment_shows_this_python_and_no_home(monkeypatch):
    found = python_environment.find()
    assert os.path.samefile(found.executable, sys.executable)
    home = os.path.expanduser("~")
    assert home not in found.visible
    assert "/" not in found.visible
    for path in found.visible:
        assert not home.startswith(path + "/")


def test_an_environment_in_the_home_directory_itself_is_shown_in_parts(tmp_path, monkeypatch):
    (tmp_path / "bin").mkdir()
    (tmp_path / "pyvenv.cfg").touch()
    (tmp_path / "secret").touch()
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr(sys, "prefix", str(tmp_path))
    visible = python_environment.find().visible
    assert str(tmp_path / "bin") in visible
    assert str(tmp_path) not in visible
    assert str(tmp_path / "secret") not in visible
