"""Several questions under way at a time: as many as memory allows, answered in their order.

What is asked together goes in one exchange, and its answers come in few: over a distance each
exchange costs a round trip, however much it carries.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Coroutine, Iterable
from typing import Any, Generic, TypeVar

T = TypeVar("T")


class Window(Generic[T]):
    """Asks and bounds how much is under way.

    most: how many questions. Whoever has asked calls `close` at the end, whatever happened.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._asked: deque[asyncio.Task[T]] = deque()

    async def ask(self, question: Coroutine[Any, Any, T]) -> None:
        """Ask behind all that is under way; wait while it is full.

        Raises what a question before it has raised.
        """
        while len(self._asked) >= self._most:
            try:
                await self._oldest()
            except BaseException:  # whatever it is, the question is not asked
                question.close()
                raise
        self._begin(question)
        # It is queued now, so that the order is kept.
        await asyncio.sleep(0)

    async def finish(self) -> None:
        """Wait for all answers. Raises what a question has raised."""
        while self._asked:
            await self._oldest()

    async def results(self, questions: Iterable[Coroutine[Any, Any, T]]) -> AsyncIterator[T]:
        """Ask, and yield the answers in the order of the questions."""
        for question in questions:
            self._begin(question)
            if len(self._asked) >= self._most:
                yield await self._oldest()
        while self._asked:
            yield await self._oldest()

    async def close(self) -> None:
        """Give up what is under way."""
        for task in self._asked:
            task.cancel()
        await asyncio.gather(*self._asked, return_exceptions=True)
        self._asked.clear()

    def _begin(self, question: Coroutine[Any, Any, T]) -> None:
        self._asked.append(asyncio.ensure_future(question))

    async def _oldest(self) -> T:
        # It stays among them until it is done, so that `close` finds it.
        answer = await self._asked[0]
        self._asked.popleft()
        return answer
