"""What is asked beside a pending call, and what comes of it; in memory."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

import pytest

from aca_kernel.environment import line_watch
from aca_kernel.environment.line_watch import LineWatch
from aca_kernel.errors import PoolUnreachable, SettingInvalid
from aca_kernel.pool.round_trip import RoundTrip

_BOUND_SECONDS = 10


class Client:
    """Answers a ping as its script says: the last entry again and again."""

    def __init__(self, *script: str, connections: int = 4) -> None:
        self.connections = connections
        self.round_trip = RoundTrip()
        self.pings = 0
        self.was_asked, self.is_closed = asyncio.Event(), asyncio.Event()
        self._script = list(script) or ["answered"]

    async def ping(self, *, timeout_seconds: float) -> None:
        self.pings += 1
        self.was_asked.set()
        self.connections += 1
        match self._script.pop(0) if len(self._script) > 1 else self._script[0]:
            case "away":
                raise PoolUnreachable("away")
            case "portal":
                raise SettingInvalid("Its certificate could not be verified.")
            case "silent":
                await asyncio.sleep(3600)

    async def close(self) -> None:
        self.is_closed.set()


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(line_watch, "_ASK_SECONDS", 0.01)
    monkeypatch.setattr(line_watch, "_LEAST_PATIENCE_SECONDS", 0.05)


def watching(
    during: Callable[[Client], Awaitable[object]], *script: str, connections: int = 4
) -> Client:
    """Do something during a call; return the client."""

    async def run() -> Client:
        client = Client(*script, connections=connections)
        watch = LineWatch(client, logging.getLogger())  # type: ignore[arg-type]
        with watch.beside():
            await asyncio.wait_for(during(client), _BOUND_SECONDS)
        return client

    return asyncio.run(run())


def test_the_first_call_has_a_second_connection_made(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(line_watch, "_ASK_SECONDS", 3600)
    client = watching(lambda client: client.was_asked.wait(), connections=1)
    assert client.pings == 1


def test_two_calls_have_two_more_connections_made(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(line_watch, "_ASK_SECONDS", 3600)

    async def run() -> int:
        client = Client(connections=2)
        watch = LineWatch(client, logging.getLogger())  # type: ignore[arg-type]
        with watch.beside():
            assert client.pings == 0
            with watch.beside():
                await client.was_asked.wait()
                await asyncio.sleep(0)
        return client.connections

    assert asyncio.run(run()) == 4


def test_a_call_that_is_over_soon_asks_nothing() -> None:
    assert watching(lambda _client: asyncio.sleep(0)).pings == 0


def test_after_a_long_pause_the_second_connection_is_checked(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(line_watch, "_ASK_SECONDS", 3600)
    monkeypatch.setattr(line_watch, "_STALE_SECONDS", -1)
    assert watching(lambda client: client.was_asked.wait()).pings == 1


@pytest.mark.parametrize(
    "script",
    [
        *(["silent"], ["answered", "silent"], ["away", "answered"], ["away", "away", "answered"]),
        *(["portal", "answered"], ["portal", "away", "answered"]),
    ],
)
def test_silence_and_a_return_end_what_is_pending(script: list[str]) -> None:
    assert watching(lambda client: client.is_closed.wait(), *script).is_closed.is_set()


def test_a_second_connection_that_is_not_made_is_silence_too() -> None:
    """Another one that is made after a loss says nothing of what was pending before."""
    client = watching(lambda client: client.is_closed.wait(), "silent", "answered", connections=1)
    assert client.is_closed.is_set()


@pytest.mark.parametrize("script", ["answered", "away"])
def test_an_answer_and_a_refusal_do_not(script: str) -> None:
    async def some_pings(client: Client) -> None:
        while client.pings < 3:
            client.was_asked.clear()
            await client.was_asked.wait()

    assert not watching(some_pings, script).is_closed.is_set()


def test_nothing_is_asked_when_no_call_is_pending() -> None:
    async def run() -> int:
        client = Client()
        watch = LineWatch(client, logging.getLogger())  # type: ignore[arg-type]
        with watch.beside(), watch.beside():
            await client.was_asked.wait()
        asked = client.pings
        await asyncio.sleep(0.1)  # nothing tells of what does not come
        return client.pings - asked

    assert asyncio.run(run()) == 0
