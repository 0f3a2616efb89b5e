"""What the local half of the relay does with a call that does not come to its end; in memory."""

from __future__ import annotations

import asyncio
import logging
import time
from types import SimpleNamespace

import pytest

from aca_kernel.environment.boot import Greeting
from aca_kernel.environment.environment import Environment
from aca_kernel.environment.relay import Relay
from aca_kernel.errors import PoolUnreachable, WaitInterrupted
from aca_kernel.pool.round_trip import RoundTrip
from aca_kernel.remote.wire import Record
from aca_kernel.settings import AcaKernel

from ..support import AT_ONCE

# The last ones are a quarter of a second apart.
REPETITIONS = 6


class Away:
    """A client of a pool that cannot be reached."""

    def __init__(self) -> None:
        self.round_trip = RoundTrip()
        self.codes: list[str] = []

    async def call_tool(self, _: str, arguments: dict[str, str], **__: object) -> None:
        self.codes.append(arguments["pythonCode"])
        raise PoolUnreachable("It cannot be reached.")


def _environment(client: Away | None = None) -> Environment:
    backend = SimpleNamespace(is_embedded=True, is_lost=lambda: False)
    client = client or Away()
    return Environment(backend, client, "id", AcaKernel(), asyncio.Queue())  # type: ignore[arg-type]


def test_an_interrupt_before_the_first_call_of_an_exchange_ends_its_repetitions() -> None:
    """Until then, what is to go along with it is waited for, a quarter of a second perhaps."""

    async def run() -> None:
        relay = Relay(_environment(), {}, logging.getLogger("test"))
        place = relay.exchange.send(Record({"kind": "msg"}))
        relay.exchange.begin(1.0, time.monotonic())
        relay.stop_waiting(place)
        with pytest.raises(WaitInterrupted):
            await asyncio.wait_for(relay.do_exchange(), AT_ONCE)

    asyncio.run(run())


def test_no_other_call_is_made_while_one_waits_to_be_repeated() -> None:
    client = Away()

    async def run() -> None:
        relay = Relay(_environment(client), {}, logging.getLogger("test"))
        relay.exchange.windows.round_trip.took(0.03)  # far enough that calls are sent ahead
        relay.exchange.begin(1.0, time.monotonic())
        exchange = asyncio.ensure_future(relay.do_exchange())
        while len(client.codes) < REPETITIONS:
            await asyncio.sleep(0.01)
        exchange.cancel()

    asyncio.run(asyncio.wait_for(run(), AT_ONCE))
    assert len(set(client.codes)) == 1


def test_an_interrupt_without_a_remote_kernel_says_nothing_of_the_shell_tool() -> None:
    relay = Relay(_environment(), {}, logging.getLogger("test"))

    async def interrupt() -> None:
        with_agent = Greeting((), "python", ("/tmp/aca/wake",), 0, "/tmp/aca")
        relay.side.greeted(with_agent)
        await relay.interrupt()

    asyncio.run(interrupt())
    assert relay.exchange.has_unsent
    assert not relay.exchange.windows.is_overlap_known
