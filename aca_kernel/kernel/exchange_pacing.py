"""When another exchange may be done: calls to the pool are few, whatever is said or not said.

An exchange needs a reason. What has come in is one, and is used up by the exchange that it causes.
What there is to wait for or to fetch stays a reason; but it is none after an exchange that failed,
until something has come in, and after one that brought nothing only once a pause is over, which
grows with each of them.
"""

from __future__ import annotations

# After an exchange that brought nothing, before its time was over: twice as long each time.
FIRST_PAUSE_SECONDS = 0.02
LONGEST_PAUSE_SECONDS = 2.0

# From then on it is no longer any more.
_MOST_DOUBLINGS = 20


class ExchangePacing:
    """Reasons for the next exchange, and what keeps it back. All times are the caller's."""

    def __init__(self) -> None:
        self._has_come_in = False
        self._is_blocked = False
        self._empty_in_a_row = 0
        self._retry_at = 0.0
        self._began = 0.0

    def came_in(self) -> None:
        """There is something new to be carried, or to be looked for."""
        self._has_come_in = True
        self._empty_in_a_row = 0

    def look(self) -> None:
        """The time of a look has come; what it finds is no news by itself."""
        self._has_come_in = True

    def forget_news(self) -> None:
        """What had come in is on its way without a new exchange, or was reported as failed."""
        self._has_come_in = False

    def may_begin(self, now: float, *, wants_more: bool) -> bool:
        """Tell whether an exchange is to be done now.

        wants_more: whether there is something to wait for or to fetch.
        """
        may_repeat = not self._is_blocked and now >= self._retry_at
        return self._has_come_in or (wants_more and may_repeat)

    def retry_at(self, now: float) -> float | None:
        """Return when a pause is over, None if there is none."""
        return self._retry_at if self._retry_at > now and not self._is_blocked else None

    def began(self, now: float) -> None:
        """An exchange begins, with all that has come in."""
        self._has_come_in = self._is_blocked = False
        self._began = now

    def ended(self, now: float, *, has_brought: bool) -> None:
        """It has come to its end. has_brought: something came of it, here or over there."""
        if has_brought or now - self._began >= LONGEST_PAUSE_SECONDS:
            self._empty_in_a_row, self._retry_at = 0, 0.0
            return
        pause = min(LONGEST_PAUSE_SECONDS, FIRST_PAUSE_SECONDS * 2**self._empty_in_a_row)
        self._retry_at = self._began + pause
        self._empty_in_a_row = min(self._empty_in_a_row + 1, _MOST_DOUBLINGS)

    def failed(self) -> None:
        """It has failed: nothing is tried again before something has come in."""
        self._is_blocked = True
