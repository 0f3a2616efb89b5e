"""What a cell is told where the kernel on the user's machine is not asked, or does not answer."""

from __future__ import annotations

import errno
import os
import select
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from aca_kernel.remote import call_socket, wire
from aca_kernel.remote.asking import asking
from aca_kernel.remote.call_socket import CallSocket
from aca_kernel.remote.paged_files import FileProblem

NOT_REACHED = "The kernel on your machine cannot be reached from here."


class Agent:
    """An agent that answers each call in a thread, until it is closed."""

    def __init__(self, path: Path) -> None:
        self.path = str(path / "calls")
        self.poller = select.poll()
        self.calls = CallSocket(self.path)
        self.calls.register(self.poller, select.POLLIN, select.POLLOUT)
        self.is_answering = True
        self._is_closed = False
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def _serve(self) -> None:
        while not self._is_closed:
            self.poller.poll(10)
            for call in self.calls.read():
                if not self.is_answering:
                    self._is_closed = True
                    self.calls.close()
                    return
                self.calls.answer(wire.Record({"kind": "answer", "id": call.head["id"]}))

    def close(self) -> None:
        if not self._is_closed:
            self._is_closed = True
            self._thread.join()
            self.calls.close()


@pytest.fixture
def agent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Agent]:
    monkeypatch.setattr(call_socket, "_KEPT", {})
    one = Agent(tmp_path)
    yield one
    one.close()


def told(agent: Agent) -> str:
    """Ask, and return what a cell is told; empty if there is an answer."""
    try:
        with asking(agent.path) as kernel:
            kernel.ask("status")
    except FileProblem as error:
        return str(error)
    return ""


def remove(path: str) -> None:
    os.unlink(path)


def replace_by_file(path: str) -> None:
    os.unlink(path)
    Path(path).write_text("")


def replace_folder(path: str) -> None:
    folder = os.path.dirname(path)
    os.unlink(path)
    os.rmdir(folder)
    Path(folder).write_text("")


@pytest.mark.parametrize("change", [remove, replace_by_file, replace_folder])
def test_it_is_reached_by_what_is_open_whatever_has_become_of_the_path(
    agent: Agent, change: Any
) -> None:
    assert told(agent) == ""
    call_socket.keep_open(agent.path)
    change(agent.path)
    assert told(agent) == ""


@pytest.mark.parametrize("change", [remove, replace_by_file, replace_folder])
def test_it_cannot_be_reached_where_nothing_leads_to_it(agent: Agent, change: Any) -> None:
    change(agent.path)
    assert told(agent) == NOT_REACHED


def test_it_cannot_be_reached_when_nobody_listens(agent: Agent) -> None:
    call_socket.keep_open(agent.path)
    agent.close()
    assert told(agent) == NOT_REACHED


def test_what_is_open_may_have_been_closed(agent: Agent) -> None:
    call_socket.keep_open(agent.path)
    os.close(call_socket._KEPT[agent.path])
    assert told(agent) == ""
    remove(agent.path)
    assert told(agent) == NOT_REACHED


@pytest.mark.parametrize("number", [errno.EMFILE, errno.ENOMEM])
def test_a_process_without_a_socket_to_spare_says_so(
    agent: Agent, number: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(call_socket, "_Socket", fail)
    assert told(agent).startswith("The kernel on your machine was not asked: ")
    assert os.strerror(number) in told(agent)


def test_a_limit_of_time_for_sockets_of_the_user_is_not_ours(agent: Agent) -> None:
    socket.setdefaulttimeout(1e-6)
    try:
        assert told(agent) == ""
    finally:
        socket.setdefaulttimeout(None)


def test_a_connection_that_ends_was_lost(agent: Agent) -> None:
    agent.is_answering = False
    assert told(agent) == "The connection to the kernel on your machine was lost."


def test_what_fails_beside_the_connection_is_told_as_what_it_is(agent: Agent) -> None:
    with (
        pytest.raises(FileProblem, match=r"It failed in the environment: .*No space left"),
        asking(agent.path),
    ):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
