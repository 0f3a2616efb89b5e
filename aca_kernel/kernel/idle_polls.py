"""Polls of an idle notebook in which something may still print."""

from __future__ import annotations

from collections import deque

# Polls come at these intervals if the remote side says that something may print though no cell
# runs: for half a minute, then silence, so that the environment can cool down. The first ones are
# quick for VS Code, whose completions and variables are threads that answer right after their cell.
BACKGROUND_POLL_SECONDS = (0.03, 0.05, 0.1, 0.1, 0.2, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 12.8)


class IdlePolls:
    """The polls that are left after the last request.

    Their number does not depend on what they find: a thread that prints for ever would otherwise
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
        """Poll no more."""
        self._left.clear()

    @property
    def next_at(self) -> float | None:
        """The time of the next poll, None if there is none."""
        return self._next_at if self._left else None

    def is_due(self, now: float) -> bool:
        """Tell whether the next poll is due."""
        return bool(self._left) and now >= self._next_at

    def took_one(self) -> None:
        """Count the poll that is due as done."""
        self._left.popleft()
