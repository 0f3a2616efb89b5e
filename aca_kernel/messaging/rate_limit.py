"""A rate limit for backlogs of output, below Jupyter Server's.

Jupyter Server drops what exceeds 1,000 messages a second or 1 MB of stream text a second, over a
window of three seconds (`ZMQChannelsWebsocketConnection._limit_rate`, its defaults). A cell below
these limits must not lose output because its connection was down for a while. A cell above them
loses it with ipykernel, too.
"""

from __future__ import annotations

from collections import deque

from ..remote.wire import Record

WINDOW_SECONDS = 3.0
# A twentieth below the server's limits, because clocks differ.
MOST_BYTES = 2_850_000
MOST_MESSAGES = 2_850

# Not counted by Jupyter Server.
_FREE_TYPES = frozenset({"status", "comm_open", "execute_input"})


class RateLimit:
    """Delays for messages in a sliding window."""

    def __init__(self) -> None:
        self._sent: deque[tuple[float, int]] = deque()
        self._bytes = 0
        self._has_waited = False

    def is_through(self) -> bool:
        """Tell whether nothing had to wait since the last call."""
        has_waited, self._has_waited = self._has_waited, False
        return not has_waited

    def delay(self, record: Record, now: float) -> float:
        """Return the seconds that a record waits, and count it as sent then."""
        if record.kind != "msg" or record.head["type"] in _FREE_TYPES:
            return 0.0
        is_stream = record.head["type"] == "stream"
        seconds = self.delay_of(sum(map(len, record.parts)) if is_stream else 0, now)
        if seconds > 0:
            self._has_waited = True
        return seconds

    def delay_of(self, size: int, now: float) -> float:
        """Return the seconds that a message waits; size: bytes, now: seconds of any clock."""
        at = now
        self._forget(at)
        # A message that is too large by itself goes into an empty window.
        while self._sent and (
            self._bytes + size > MOST_BYTES or len(self._sent) + 1 > MOST_MESSAGES
        ):
            at = max(at, self._sent[0][0] + WINDOW_SECONDS)
            self._forget(at)
        self._sent.append((at, size))
        self._bytes += size
        return at - now

    def _forget(self, now: float) -> None:
        while self._sent and self._sent[0][0] + WINDOW_SECONDS <= now:
            self._bytes -= self._sent.popleft()[1]
