"""The time that the way to a pool and back takes, as the last calls have shown it.

The least of a few, because a call may meet a busy machine, a new connection or a large answer; and
of the last few only, because a computer is carried to another network, or a VPN comes up.
"""

from __future__ import annotations

from collections import deque

# A way that has become longer is known after so many calls, a shorter one after the first.
KEPT_CALLS = 4


class RoundTrip:
    """The way to one pool."""

    def __init__(self) -> None:
        self._recent: deque[float] = deque(maxlen=KEPT_CALLS)

    def took(self, seconds: float) -> None:
        """Note what a call took, without what it waited for at the other end."""
        self._recent.append(max(0.0, seconds))

    @property
    def seconds(self) -> float:
        """The least that one of the last calls took, 0 before there was one."""
        return min(self._recent, default=0.0)
