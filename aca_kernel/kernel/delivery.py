"""Records of the remote side that have come and are not handed on yet.

Most are handed on at once. What has piled up during a stall is handed on no faster than Jupyter
Server lets pass (rate_limit.py).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

from ..messaging.rate_limit import RateLimit
from ..remote.wire import Record


class Delivery:
    """A queue of records. next_at: the time of the first one, None if it is handed on at once."""

    def __init__(self) -> None:
        self.next_at: float | None = None
        self._records: deque[Record] = deque()
        self._limit = RateLimit()

    def __len__(self) -> int:
        return len(self._records)

    def add(self, records: Iterable[Record]) -> None:
        """Queue what an exchange has brought."""
        self._records.extend(records)

    def take(self, now: float, *, is_limited: bool) -> Record | None:
        """Return the next record whose time has come, None if there is none.

        is_limited: what comes now has piled up.
        """
        if not self._records or (self.next_at is not None and now < self.next_at):
            return None
        if self.next_at is None and is_limited:
            delay = self._limit.delay(self._records[0], now)
            if delay > 0:
                self.next_at = now + delay
                return None
        self.next_at = None
        return self._records.popleft()

    def is_through(self) -> bool:
        """Tell whether nothing had to wait since this was asked last."""
        return self._limit.is_through()

    def ended(self) -> set[str]:
        """Return the requests whose idle is queued."""
        return {
            str(one.head.get("parent")) for one in self._records if one.head.get("state") == "idle"
        }

    def clear(self) -> None:
        """Drop all of it."""
        self._records.clear()
        self.next_at = None
