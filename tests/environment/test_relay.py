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


class Away:
    """A client of a pool that cannot be reached."""

    def __init__(self) -> None:
        self.round_trip = RoundTrip()

    async def call_tool(self, *_: object, **__: object) -> None:
        raise PoolUnreachable("It cannot be reached.")


def _environment() -> Environment:
    backend = SimpleNamespace(is_embedded=True, is_lost=lambda: False)
    return Environment(backend, Away(), "id", AcaKernel(), asyncio.Queue())  # type: ignore[arg-type]


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


def test_an_interrupt_without_a_remote_kernel_says_nothing_of_the_shell_tool() -> None:
    relay = Relay(_environment(), {}, logging.getLogger("test"))

    async def interrupt() -> None:
        with_agent = Greeting((), "python", ("/tmp/aca/wake",), 0, "/tmp/aca")
        relay._side.greeted(with_agent)
        await relay.interrupt()

    asyncio.run(interrupt())
    assert relay.exchange.has_unsent
    assert not relay.exchange.windows.is_overlap_known
