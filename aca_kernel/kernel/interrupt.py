"""An interrupt of what runs, and of nothing else.

A signal reaches whatever the remote kernel's main thread is doing: a cell, the callback of a
widget, a completion. It must not come before that has begun, because ipykernel ignores it then,
nor after it has ended, because it would hit what was queued behind it. Of its end nobody here knows
until the next exchange, as little as a front end of ipykernel's does: what a signal may have hit is
noted, because ipykernel replies to cells only then.
"""

from __future__ import annotations

from collections.abc import Collection

from ..environment.retry import QUIET_SECONDS
from ..messaging.requests import Request, RequestTable
from .commands import CancelRestore, Command, Interrupt

# While a restore does not end that was interrupted.
AGAIN_SECONDS = 0.3


class Interrupter:
    """Knows what an interrupt is for.

    is_restore_interrupted: whether what waits for the restore is not to run after it.
    out: takes `Interrupt` and `CancelRestore`.
    """

    def __init__(self, table: RequestTable, out: list[Command]) -> None:
        self.is_restore_interrupted = False
        self._table = table
        self._out = out
        # When a restore is to be interrupted once more.
        self._again_at: float | None = None
        # What had not begun, as far as was known: the first of it that runs is interrupted.
        self._targets: list[str] = []
        self._sent_for = ""
        self._look_at: float | None = None
        # Signals that are on their way.
        self._signals = 0

    @property
    def next_at(self) -> float | None:
        """When there is something to look after."""
        times = [one for one in (self._again_at, self._look_at) if one is not None]
        return min(times) if times else None

    @property
    def is_waiting(self) -> bool:
        """Whether what is to be interrupted has not begun, as far as is known."""
        return bool(self._targets)

    @property
    def has_something_waiting(self) -> bool:
        """Whether that, or what waits for a restore, is not to run at all where it still can be."""
        return self.is_waiting or self.is_restore_interrupted

    def ask(self, ended: Collection[str]) -> Request | None:
        """Interrupt what runs; if nothing does, return the first of what is waited for.

        ended: ids of requests whose idle has come and is not handed on yet.
        """
        waiting = [one for one in self._table if one.channel == "shell" and one.msg_id not in ended]
        here = [one for one in waiting if one.is_in_main_thread]
        # Of a subshell's cell, `!` commands can be interrupted.
        running = [one for one in here or waiting if one.is_running]
        self._targets = []
        if running:
            self._send(running[0])
            return None
        # Up to the first cell, which is what the user sees waiting.
        for one in here:
            self._targets.append(one.msg_id)
            if one.is_execute:
                break
        return self._table.find(self._targets[0]) if self._targets else None

    def send_due(self, ended: Collection[str]) -> None:
        """Interrupt what an interrupt was waiting for, if it runs now. ended: as for `ask`."""
        if not self._targets:
            return
        left = [self._table.find(one) for one in self._targets if one not in ended]
        unfinished = [one for one in left if one is not None]
        self._targets = [one.msg_id for one in unfinished]
        running = next((one for one in unfinished if one.is_running), None)
        if running is not None:
            self._targets = []
            self._send(running)

    def _send(self, request: Request) -> None:
        request.is_interrupted = True
        self._sent_for = request.msg_id
        self.signal()

    def signal(self) -> None:
        """Send a signal to the remote kernel."""
        self._signals += 1
        self._out.append(Interrupt())
        for one in self._table:
            self.note(one)

    def note(self, request: Request) -> None:
        """Note that a request may be hit by a signal that is on its way, if one is."""
        if self._signals and not request.is_execute:
            request.is_interrupted = True

    def ask_restore(self, now: float, *, has_begun: bool) -> None:
        """Interrupt a restore. has_begun: the remote kernel is, or will be, busy with it."""
        self.is_restore_interrupted = True
        if has_begun:
            # ipykernel ignores what comes before it has begun with a request.
            self.signal()
            self._again_at = now + AGAIN_SECONDS
        else:
            # Nothing runs over there yet that a signal could reach.
            self._out.append(CancelRestore())

    def is_again_due(self, now: float) -> bool:
        """Tell, once, whether a restore has not ended though it was interrupted."""
        is_due = self._again_at is not None and now >= self._again_at
        if is_due:
            self._again_at = None
        return is_due

    def was_sent(self, now: float) -> None:
        """The signal has been sent; see `unfelt`."""
        self._signals = max(0, self._signals - 1)
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
        self._again_at = self._look_at = None
        self.is_restore_interrupted = False

    def leave(self) -> None:
        """The environment is given up, with signals that are on their way to it."""
        self.forget()
        self._signals = 0
