"""Tasks beside what is done in turn, of which none fails unseen."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Coroutine
from typing import Any

from ..messaging.inbox import Inbox
from .events import DriverFailed


class Tasks:
    """The tasks of one kernel. A failure is logged, and put into the inbox."""

    def __init__(self, inbox: Inbox[DriverFailed], log: logging.Logger) -> None:
        self._inbox = inbox
        self._log = log
        self._running: set[asyncio.Task[None]] = set()

    def start(self, work: Coroutine[Any, Any, None], what: str) -> asyncio.Task[None]:
        """Do something. what: what cannot be done if it fails, as a verb."""
        task = asyncio.ensure_future(work)
        self._running.add(task)

        def ended(task: asyncio.Task[None]) -> None:
            self._running.discard(task)
            if not task.cancelled() and task.exception() is not None:
                self._log.error("the kernel could not %s", what, exc_info=task.exception())
                self._inbox.put_nowait(DriverFailed(time.monotonic(), what, is_fatal=False))

        task.add_done_callback(ended)
        return task

    def cancel(self) -> None:
        """End all of them."""
        for task in self._running:
            task.cancel()
