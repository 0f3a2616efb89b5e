"""An interrupt of what runs, and of nothing else.

A signal reaches whatever the remote kernel's main thread is doing: a cell, the callback of a
widget, a completion. It must not come before that has begun, because ipykernel ignores it then,
nor after it has ended, because it would hit what was queued behind it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..environment.retry import QUIET_SECONDS

if TYPE_CHECKING:
    from collections.abc import Collection

    from ..messaging.requests import Request, RequestTable

# While a restore does not end that was interrupted.
AGAIN_SECONDS = 0.3


class Interrupter:
    """Knows what an interrupt is for.

    again_at: when a restore is to be interrupted once more.
    is_restore_interrupted: whether what waits for the restore is not to run after it.
    """

    def __init__(self, table: RequestTable) -> None:
        self.again_at: float | None = None
        self.is_restore_interrupted = False
        self._table = table
        # What had not begun, as far as was known: the first of it that runs is interrupted.
        self._targets: list[str] = []
        self._sent_for = ""
        self._look_at: float | None = None

    @property
    def next_at(self) -> float | None:
        """When there is something to look after."""
        times = [one for one in (self.again_at, self._look_at) if one is not None]
        return min(times) if times else None

    def ask(self, ended: Collection[str]) -> tuple[Request | None, Request | None]:
        """Interrupt; return what runs and is to be interrupted now, and what else is waited for.

        ended: ids of requests whose idle has come and is not handed on yet.
        """
        waiting = [one for one in self._table if one.channel == "shell" and one.msg_id not in ended]
        here = [one for one in waiting if one.is_in_main_thread]
        # Of a subshell's cell, `!` commands can be interrupted.
        running = [one for one in here or waiting if one.is_running]
        if running:
            self._targets = []
            return self._begin(running[0]), None
        # Up to the first cell, which is what the user sees waiting.
        self._targets = []
        for one in here:
            self._targets.append(one.msg_id)
            if one.is_execute:
                break
        return None, self._table.find(self._targets[0]) if self._targets else None

    def due(self, ended: Collection[str] = ()) -> Request | None:
        """Return what an interrupt was waiting for, if it runs now. ended: as for `ask`."""
        if not self._targets:
            return None
        left = [self._table.find(one) for one in self._targets if one not in ended]
        unfinished = [one for one in left if one is not None]
        self._targets = [one.msg_id for one in unfinished]
        running = next((one for one in unfinished if one.is_running), None)
        if running is None:
            return None
        self._targets = []
        return self._begin(running)

    def _begin(self, request: Request) -> Request:
        self._sent_for = request.msg_id
        return request

    def was_sent(self, now: float) -> None:
        """The signal is on its way; see `unfelt`."""
        self._look_at = now + QUIET_SECONDS

    def unfelt(self, now: float) -> Request | None:
        """Return, once, what still runs though it was interrupted some seconds ago."""
        if self._look_at is None or now < self._look_at:
            return None
        self._look_at = None
        return self._table.find(self._sent_for)

    def forget(self) -> None:
        """There is nothing any more that could be interrupted."""
        self._targets = []
        self.again_at = self._look_at = None
        self.is_restore_interrupted = False
