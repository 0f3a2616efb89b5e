"""Where answers are cut, a long log is read by several calls at a time, each record once."""

from __future__ import annotations

import asyncio
import logging
import os
import re

import pytest

from aca_kernel.environment.exchange import Exchange
from aca_kernel.environment.side_by_side import MOST_CALLS, SideBySide
from aca_kernel.errors import EnvironmentGone, PoolBusy, ResultUnknown
from aca_kernel.pool.tool_result import ToolResult
from aca_kernel.remote import wire
from aca_kernel.remote.spool import Spool

LIMIT = 4096
PARTS = [os.urandom(10_000) for _ in range(20)]


class Far:
    """An agent whose answers are cut at LIMIT characters. refuses: calls at a time beyond this."""

    def __init__(self) -> None:
        self.exchange = Exchange(logging.getLogger("test"))
        self.log, self.spool = wire.SendLog(), Spool()
        self.calls = self.now = self.most = 0
        self.refuses = 100
        self.error: Exception | None = None
        for part in PARTS:
            self.log.append(wire.Record({"kind": "msg"}, (part,)))

    async def call(self, code: str) -> ToolResult:
        self.calls += 1
        self.now += 1
        self.most = max(self.most, self.now)
        try:
            is_refused = self.now > self.refuses
            await asyncio.sleep(0)
            if self.error is not None and self.calls > 20:
                raise self.error
            if is_refused:
                raise PoolBusy("One at a time.")
            text = self.answer(code)[:LIMIT]
            return ToolResult(text, "", None, None, False, "", {})
        finally:
            self.now -= 1

    async def call_surely(self, code: str) -> ToolResult:
        while True:
            try:
                return await self.call(code)
            except (PoolBusy, ResultUnknown):
                await asyncio.sleep(0)

    def answer(self, code: str) -> str:
        found = re.search(r'"(~aca1:[^"]+~)"\)$', code)
        assert found is not None
        nonce, page = wire.decode_frame(found.group(1))
        if "spool" in page.head:
            return wire.encode_frame(nonce, self.spool.answer(self.log, page.head))
        self.spool.forget()
        about = {"got": 0, "off": page.head["got"], "end": self.log.end, "background": False}
        about |= {"woken": False, "pid": 1, "open": 0}
        filled = wire.fill_page(self.log, about, page.head["got"], page.head["limit"])
        return wire.encode_frame(nonce, filled)

    async def read_all(self) -> list[bytes]:
        """Do exchanges as the relay does until there is nothing left; return what came."""
        reader = SideBySide(self.exchange, self.call, self.call_surely, logging.getLogger("test"))
        came: list[bytes] = []
        while not came or self.exchange.has_more:
            self.exchange.begin(0.0, 0.0)
            records = None
            if self.exchange.is_worth_many_calls:
                records = await reader.read()
            while records is None:
                call = self.exchange.next_call(0.0)
                assert call is not None
                result = await self.call_surely(call.code)
                records = self.exchange.answered(call, result.stdout, 0.0)
            self.exchange.end()
            came += [record.parts[0] for record in records]
            if not came and not self.exchange.has_more:
                break
        return came


def read_all(far: Far) -> list[bytes]:
    return asyncio.run(asyncio.wait_for(far.read_all(), 60))


def test_what_is_long_is_read_by_several_calls_at_a_time() -> None:
    far = Far()
    assert read_all(far) == PARTS
    assert far.most == MOST_CALLS


def test_a_pool_that_takes_one_call_at_a_time_is_served_one() -> None:
    far = Far()
    far.refuses = 1
    assert read_all(far) == PARTS
    assert far.now == 0


def test_without_it_everything_comes_one_after_the_other() -> None:
    far = Far()
    far.exchange.reads_side_by_side = False
    assert read_all(far) == PARTS
    assert far.most == 1


def test_a_log_that_cannot_be_put_together_is_read_the_other_way() -> None:
    far = Far()
    answer = far.spool.answer
    far.spool.answer = lambda log, head: wire.Page(  # type: ignore[method-assign] - a broken one
        {**answer(log, head).head, "of": 1}, answer(log, head).data
    )
    assert read_all(far) == PARTS
    assert not far.exchange.reads_side_by_side


def test_an_environment_that_ends_meanwhile_ends_it() -> None:
    far = Far()
    far.error = EnvironmentGone("It has ended.")
    with pytest.raises(EnvironmentGone):
        read_all(far)
    assert far.now == 0
