"""Questions that are under way together: bounded, and answered in their order."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

import pytest

from aca_kernel.checkpoint.window import Window


class Environment:
    """Answers questions when it is told to; `most` is how many waited at a time."""

    def __init__(self) -> None:
        self.asked: list[int] = []
        self.most = 0
        self._open: dict[int, asyncio.Future[int]] = {}

    async def question(self, number: int) -> int:
        self.asked.append(number)
        self._open[number] = asyncio.get_running_loop().create_future()
        self.most = max(self.most, len(self._open))
        try:
            return await self._open[number]
        finally:
            del self._open[number]

    async def answer_all(self) -> None:
        """Answer whatever is asked, the latest first, until cancelled."""
        while True:
            for number, future in reversed(list(self._open.items())):
                if number == 13:
                    future.set_exception(OSError("unlucky"))
                else:
                    future.set_result(number)
                await asyncio.sleep(0)
            await asyncio.sleep(0)

    @property
    def open_count(self) -> int:
        return len(self._open)


def run(test: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(test, 60))


@pytest.mark.parametrize("most", [1, 3, 100])
def test_answers_come_in_order_and_no_more_is_under_way_than_may_be(most: int) -> None:
    async def test() -> None:
        far = Environment()
        answering = asyncio.ensure_future(far.answer_all())
        window: Window[int] = Window(most)
        came = [one async for one in window.results(far.question(n) for n in range(10))]
        assert came == far.asked == list(range(10))
        assert far.most == min(most, 10)
        answering.cancel()

    run(test())


def test_questions_are_put_in_order_and_a_full_window_waits() -> None:
    async def test() -> None:
        far = Environment()
        window: Window[int] = Window(2)
        await window.ask(far.question(0))
        await window.ask(far.question(1))
        third = asyncio.ensure_future(window.ask(far.question(2)))
        for _ in range(10):
            await asyncio.sleep(0)
        assert far.asked == [0, 1]
        answering = asyncio.ensure_future(far.answer_all())
        await third
        await window.finish()
        assert far.asked == [0, 1, 2]
        answering.cancel()

    run(test())


def test_a_failure_is_raised_and_nothing_stays_under_way() -> None:
    async def test() -> None:
        far = Environment()
        answering = asyncio.ensure_future(far.answer_all())
        window: Window[int] = Window(3)

        async def ask_for_many() -> None:
            for number in range(11, 20):
                await window.ask(far.question(number))

        with pytest.raises(OSError, match="unlucky"):
            await ask_for_many()
        answering.cancel()
        await window.close()
        assert far.open_count == 0
        assert len(far.asked) < 9

    run(test())
