"""What a client of @jupyterlab/services sees, which JupyterLab and VS Code are."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from ..support import Pool, eventually, running_pool
from .node import ServicesClient, install, services_client, text_of
from .server import JupyterServer, running_server

_NODE, _NPM = shutil.which("node"), shutil.which("npm")

pytestmark = [
    pytest.mark.skipif(not (_NODE and _NPM), reason="Node.js or npm is not installed"),
    # The first test waits for npm.
    pytest.mark.timeout(420),
]


@pytest.fixture(scope="module")
def client_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    assert _NODE
    assert _NPM
    return install(tmp_path_factory.mktemp("node"), _NODE, _NPM)


def comes_to_rest(client: ServicesClient) -> bool:
    """Whether the kernel is seen to be idle and connected.

    Not at once: the server asks the kernel for its info after a restart and a new connection,
    which makes it busy for a moment.
    """
    at_rest = {"status": "idle", "connection": "connected"}
    return eventually(lambda: client.call("state") == at_rest)


@contextmanager
def started(client_path: Path, server: JupyterServer) -> Iterator[ServicesClient]:
    """A client that has started a kernel."""
    assert _NODE
    with services_client(_NODE, client_path, server) as one:
        info = one.call("start", name="aca")
        assert info["language"] == "python"
        yield one
        one.call("shutdown")
    assert server.kernels() == []


def begin(client: ServicesClient) -> ServicesClient:
    """Forget what has been before a test, and what a test has left running."""
    if not comes_to_rest(client):
        client.call("restart")
    client.events.clear()
    return client


@pytest.fixture(scope="module")
def shared_client(
    client_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ServicesClient]:
    with (
        running_server(tmp_path_factory.mktemp("server")) as server,
        started(client_path, server) as one,
    ):
        yield one


@pytest.fixture
def client(shared_client: ServicesClient) -> ServicesClient:
    return begin(shared_client)


def test_outputs_come_as_they_are_printed_between_busy_and_idle(client: ServicesClient) -> None:
    events = client.run(
        "cell",
        "import sys, time\nprint('one')\ntime.sleep(1)\nprint('two', file=sys.stderr)\n"
        "time.sleep(1)\nprint('three')\n6 * 7",
    )
    outputs = [one for one in events if one["event"] == "output"]
    shown = [
        one["content"].get("execution_state") or one["content"].get("text") or one["type"]
        for one in outputs
    ]
    assert shown == ["busy", "execute_input", "one\n", "two\n", "three\n", "execute_result", "idle"]
    reply = next(one for one in events if one["event"] == "reply")
    assert reply["content"]["status"] == "ok"
    first, second, third = (one["time"] for one in outputs[2:5])
    assert second - first > 0.5
    assert third - second > 0.5


def test_an_interrupt_ends_the_cell_and_keeps_the_state(client: ServicesClient) -> None:
    client.run("before", "kept = 1")
    client.call("execute", id="loop", code="import time\nprint('on')\nwhile True: time.sleep(0.1)")
    client.wait_for(lambda one: one.get("id") == "loop" and one.get("type") == "stream")
    client.call("interrupt")
    client.wait_for_done("loop")
    errors = [one["content"]["ename"] for one in client.of("loop") if one.get("type") == "error"]
    assert errors == ["KeyboardInterrupt"]
    assert text_of(client.run("after", "print(kept)")) == "1\n"


def test_input_is_asked_and_answered(client: ServicesClient) -> None:
    client.call("execute", id="asking", code="print('Hello', input('Who? '))")
    asked = client.wait_for(lambda one: one["event"] == "asked")
    assert (asked["id"], asked["prompt"]) == ("asking", "Who? ")
    client.call("input", value="Ada")
    client.wait_for_done("asking")
    assert text_of(client.of("asking")) == "Hello Ada\n"


def test_completions_come_from_the_remote_namespace(client: ServicesClient) -> None:
    client.run("before", "remote_apple = 1")
    assert client.call("complete", code="remote_ap")["matches"] == ["remote_apple"]


ECHO = """
def on_open(comm, message):
    @comm.on_msg
    def on_message(message):
        comm.send(
            {"echo": message["content"]["data"]},
            buffers=[bytes(one)[::-1] for one in message["buffers"]],
        )

get_ipython().kernel.comm_manager.register_target("echo", on_open)
"""


def test_a_comm_of_the_client_talks_both_ways_with_buffers(client: ServicesClient) -> None:
    client.run("target", ECHO)
    comm = client.call("open", target="echo", data={})["comm"]
    for n in range(20):
        client.call("send", id=f"send {n}", comm=comm, data={"n": n}, buffers=[[n, 0, 255]])
    for n in range(20):
        client.wait_for_done(f"send {n}")
    echoes = client.select("comm")
    assert [one["data"]["echo"]["n"] for one in echoes] == list(range(20))
    assert [one["buffers"] for one in echoes] == [[[255, 0, n]] for n in range(20)]


def test_a_comm_message_is_answered_while_a_cell_runs(client: ServicesClient) -> None:
    client.run("target", ECHO)
    opened = client.call("open", target="echo", data={})
    assert opened["subshell"]
    comm = opened["comm"]
    client.call("execute", id="loop", code="import time\nprint('on')\nwhile True: time.sleep(0.1)")
    client.wait_for(lambda one: one.get("id") == "loop" and one.get("type") == "stream")
    client.call("send", id="meanwhile", comm=comm, data={"n": 1})
    client.wait_for(lambda one: one["event"] == "comm")
    client.wait_for_done("meanwhile")
    assert not [one for one in client.of("loop") if one["event"] == "done"]
    client.call("interrupt")
    client.wait_for_done("loop")


def test_a_comm_of_the_kernel_is_opened_and_closed(client: ServicesClient) -> None:
    client.run(
        "comm",
        "from comm import create_comm\n"
        "one = create_comm('from-the-kernel', data={'n': 1}, buffers=[b'\\x00\\xff'])\n"
        "one.send({'n': 2})\none.close()",
    )
    opened = client.wait_for(lambda one: one["event"] == "opened")
    assert (opened["data"], opened["buffers"]) == ({"n": 1}, [[0, 255]])
    client.wait_for(lambda one: one["event"] == "closed" and one["comm"] == opened["comm"])
    assert [one["data"] for one in client.select("comm")] == [{"n": 2}]


def test_a_restart_gives_a_clean_namespace_to_the_same_client(client: ServicesClient) -> None:
    client.run("before", "kept = 1")
    client.call("restart")
    assert "restarting" in [one["status"] for one in client.select("status")]
    assert text_of(client.run("after", "print('kept' in globals())")) == "False\n"
    assert comes_to_rest(client)


def test_a_queue_of_cells_ends_at_an_error(client: ServicesClient) -> None:
    for name, code in (("slow", "import time; time.sleep(0.5)"), ("bad", "1/0"), ("never", "2")):
        client.call("execute", id=name, code=code, options={"stop_on_error": True})
    for name in ("slow", "bad", "never"):
        client.wait_for_done(name)
    statuses = [one["content"]["status"] for one in client.select("reply")]
    assert statuses == ["ok", "error", "aborted"]


@pytest.fixture(scope="module")
def short_lived_pool() -> Iterator[Pool]:
    with running_pool(cooldown_seconds=2) as pool:
        yield pool


@pytest.fixture(scope="module")
def shared_short_lived_client(
    client_path: Path, short_lived_pool: Pool, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ServicesClient]:
    with (
        running_server(tmp_path_factory.mktemp("short"), env=short_lived_pool.env) as server,
        started(client_path, server) as one,
    ):
        yield one


@pytest.fixture
def short_lived_client(shared_short_lived_client: ServicesClient) -> ServicesClient:
    """A client whose kernel's environments live for two seconds without use."""
    return begin(shared_short_lived_client)


def test_no_message_is_lost_when_the_environment_is_relaunched(
    short_lived_client: ServicesClient, short_lived_pool: Pool
) -> None:
    client = short_lived_client
    client.run("target", ECHO)
    comm = client.call("open", target="echo", data={})["comm"]
    for life in range(2):
        short_lived_pool.wait_for_cooldown()
        first = client.run(f"first {life}", "for n in range(50): print(n)\n'target' in dir()")
        outputs = [one for one in first if one["event"] == "output"]
        assert outputs[0]["content"] == {"execution_state": "busy"}
        assert outputs[-1]["content"] == {"execution_state": "idle"}
        assert text_of(first) == "".join(f"{n}\n" for n in range(50))
        assert "was released after" in text_of(first, "stderr")
        # The library still names the subshell that was made in the first environment.
        client.call("send", id=f"stale {life}", comm=comm, data={})
        client.wait_for_done(f"stale {life}")
        again = client.run(f"again {life}", "print('still here')")
        assert text_of(again) == "still here\n"
        assert comes_to_rest(client)
    assert len({one["session"] for one in client.select("received")}) == 1
    assert client.select("failed") == []


def test_the_loss_is_told_once_though_another_environment_came_and_went(
    short_lived_client: ServicesClient, short_lived_pool: Pool
) -> None:
    client = short_lived_client
    client.run("target", ECHO)
    comm = client.call("open", target="echo", data={})["comm"]
    # A widget that is moved after the cooldown takes an environment that no cell runs in.
    short_lived_pool.wait_for_cooldown()
    client.call("send", id="stale", comm=comm, data={})
    client.wait_for_done("stale")
    short_lived_pool.wait_for_cooldown()
    assert text_of(client.run("cell", "1"), "stderr").count("was released after") == 1
    assert text_of(client.run("next", "2"), "stderr") == ""


def test_a_cell_whose_remote_kernel_is_killed_comes_to_its_end(
    short_lived_client: ServicesClient, short_lived_pool: Pool
) -> None:
    client = short_lived_client
    client.run(
        "dying", "import os, signal\nprint('last words', flush=True)\nos.kill(os.getpid(), 9)"
    )
    replies = [one["content"]["ename"] for one in client.of("dying") if one["event"] == "reply"]
    assert replies == ["RemoteKernelDied"]
    assert text_of(client.run("next", "print('goes on')")) == "goes on\n"
    assert comes_to_rest(client)
    assert len({one["session"] for one in client.select("received")}) == 1
