"""For how long an exchange waits for more, once there is something to say.

A round trip costs as much for a line as for a page, and the user waits for the line. So output is
collected for a while, which is short where somebody most likely looks at it.

No clock: times are given.
"""

from __future__ import annotations

from collections.abc import Collection

from .open_requests import OpenRequest

# busy, idle and execute_input alone are not worth an answer of their own before this
# many seconds: most cells are over by then and cost one call in all.
QUIET_SECONDS = 0.2

# After a pause, text that is flushed is not collected: somebody looks at a progress bar. The
# end of a cell, which flushes, too, follows within this time and comes along.
FLUSHED_SECONDS = 0.001

# Somebody drags a slider beside a cell that awaits. Nothing tells that its callback has ended, so
# that what comes soon after the message is not collected for long.
CALLBACK_SECONDS = 0.3
QUICK_SECONDS = 0.005
# When a cell has run for so many times the span in which output is collected, which grows with the
# distance, its end may cost a call of its own, and such text waits for nothing.
LONG_CELL_SETTLES = 20

# These say nothing that a user waits to see.
_QUIET_TYPES = frozenset({"status", "execute_input"})


class Pacing:
    """What was said and done lately, as far as an exchange is ended or held by it.

    moved_at: when the last message to a widget came. cell_began: when the last cell did.
    ready_at: when the remote kernel was.
    """

    def __init__(self) -> None:
        self.moved_at = self.cell_began = self.ready_at = 0.0
        # The end of what a user waits to see, and whether what came since the last answer is
        # text, as code flushes it in the middle of a cell.
        self._loud_end = 0
        self._has_streams_only = True
        # Of the exchange that waits.
        self._seen = 0
        self._started = self._deadline = self._settle = 0.0
        self._loud_since: float | None = None

    def said(self, msg_type: str, end: int) -> None:
        """Note a message of the remote kernel. end: behind it, in the log."""
        if msg_type not in _QUIET_TYPES:
            self._loud_end = end
            self._has_streams_only = self._has_streams_only and msg_type == "stream"

    def begin(self, now: float, seen: int, seconds: float, settle: float) -> None:
        """Begin to wait.

        seen: up to where the kernel has the log. seconds: at the most. settle: for how long
        output is collected otherwise.
        """
        self._started, self._deadline = now, now + seconds
        self._seen, self._settle, self._loud_since = seen, settle, None
        if self._loud_end <= seen:
            self._has_streams_only = True

    def until(self, now: float, end: int, requests: Collection[OpenRequest]) -> float:
        """Return until when the exchange waits as things are. end: of the log."""
        if self._loud_end > self._seen:
            if self._loud_since is None:
                self._loud_since = now
            return min(self._deadline, self._loud_since + self._collecting(now, requests))
        # If nothing is done but a checkpoint, nobody waits for less than its end.
        if end > self._seen and not all(one.is_state for one in requests):
            # Nor is it that the remote kernel is ready, shortly before its first cell ends.
            return min(self._deadline, max(self._started, self.ready_at) + QUIET_SECONDS)
        return self._deadline

    def _collecting(self, now: float, requests: Collection[OpenRequest]) -> float:
        """Return for how long output is collected that has begun."""
        if now - self.moved_at < CALLBACK_SECONDS and len(requests) > 1:
            return QUICK_SECONDS
        after = (self._loud_since or now) - self._started
        if not (self._has_streams_only and after >= self._settle):
            return self._settle
        # Most commands end on the heels of what they say.
        if any(one.ahead is not None for one in requests):
            return QUICK_SECONDS
        is_long = now - self.cell_began >= LONG_CELL_SETTLES * self._settle
        return 0.0 if is_long else FLUSHED_SECONDS
