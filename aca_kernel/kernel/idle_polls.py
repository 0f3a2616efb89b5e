"""When to look after what still prints though no cell runs."""

from __future__ import annotations

from collections import deque

# When the remote side says that something may still print though no cell runs, it is
# looked after at these intervals, in all for about half a minute; then silence, so that
# the environment can cool down.
# The first ones are quick for VS Code, whose completions and variables are threads that
# answer right after their cell.
BACKGROUND_POLL_SECONDS = (0.03, 0.05, 0.1, 0.1, 0.2, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 12.8)


class IdlePolls:
    """The looks that are still to be taken after the last request.

    What they find does not prolong them: a thread that prints for ever would otherwise
    keep the environment, and its place in the pool, for ever.
    """

    def __init__(self) -> None:
        self._left: deque[float] = deque()
        self._next_at = 0.0

    def plan(self, *, is_needed: bool, after_request: bool, now: float) -> None:
        """Count the next interval from now, the first one if a request has just ended.

        is_needed: whether something may print, and no request is waited for anyway.
        """
        if not is_needed:
            self.stop()
            return
        if after_request:
            self._left = deque(BACKGROUND_POLL_SECONDS)
        if self._left:
            self._next_at = now + self._left[0]

    def stop(self) -> None:
        """There is nothing to look after."""
        self._left.clear()

    @property
    def next_at(self) -> float | None:
        """The time of the next look, None if there is none."""
        return self._next_at if self._left else None

    def is_due(self, now: float) -> bool:
        """Tell whether the time of a look has come."""
        return bool(self._left) and now >= self._next_at

    def took_one(self) -> None:
        """The time of a look has come."""
        self._left.popleft()
