"""What a backend does for a pool that is known by its name, without asking anybody."""

from __future__ import annotations

import asyncio

import pytest

from aca_kernel.errors import PoolNotFound
from aca_kernel.pool.azure.azure_backend import AzureBackend
from aca_kernel.pool.azure.shapes import SessionPool
from aca_kernel.settings import AcaKernel


class SlowBackend(AzureBackend):
    """Looks a pool up that is not there, when it is let."""

    def __init__(self) -> None:
        super().__init__(AcaKernel())
        self.logins = 0
        self.gate = asyncio.Event()

    async def _look_up(self) -> SessionPool:
        self.logins += 1
        await self.gate.wait()
        raise PoolNotFound("There is no such pool.")


def test_who_connects_waits_for_the_login_that_is_under_way() -> None:
    async def scenario() -> SlowBackend:
        backend = SlowBackend()
        waiting = [asyncio.ensure_future(backend.connect()) for _ in range(3)]
        await asyncio.sleep(0)
        # The first one has given up.
        waiting[0].cancel()
        await asyncio.wait(waiting[:1])
        backend.gate.set()
        for one in waiting[1:]:
            with pytest.raises(PoolNotFound):
                await one
        assert backend.logins == 1
        with pytest.raises(PoolNotFound):
            await backend.connect()
        await backend.close()
        return backend

    assert asyncio.run(scenario()).logins == 2


def test_a_login_that_nobody_waits_for_ends_with_its_kernel() -> None:
    async def scenario() -> None:
        backend = SlowBackend()
        waiting = asyncio.ensure_future(backend.connect())
        await asyncio.sleep(0)
        waiting.cancel()
        await backend.close()
        await asyncio.wait([waiting])
        assert len(asyncio.all_tasks()) == 1

    asyncio.run(scenario())
