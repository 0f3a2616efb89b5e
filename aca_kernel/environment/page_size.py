"""How much one call carries to the environment, and its answer back.

A call costs a round trip however much it carries, and what is on its way is held in memory at each
stage and makes others wait. So the size doubles as long as a full call is over quickly. Answers
are as large as memory allows, until one arrives cut.

No clock: times are given.
"""

from __future__ import annotations

from ..remote import wire

FIRST_SENT_BYTES = 4 * 1024 * 1024
# In base64 and JSON some 22 MB: servers of the usual kinds refuse a body of 28 to 30 MB.
LARGEST_SENT_BYTES = 16 * 1024 * 1024
SMALLEST_SENT_BYTES = 16 * 1024

# A full call that takes less may be larger, one that takes more must be smaller.
_QUICK_SECONDS = 1.0
_SLOW_SECONDS = 5.0

# The agent compresses, and memory on both sides stays a few times this.
LARGEST_PAGE_CHARACTERS = 16 * 1024 * 1024
SMALLEST_PAGE_CHARACTERS = 512


class SentSize:
    """The size of calls to one environment; `count` is in bytes."""

    def __init__(self) -> None:
        self.count = FIRST_SENT_BYTES
        self._most = LARGEST_SENT_BYTES

    def took(self, carried: int, seconds: float) -> None:
        """Note how long a call has taken that carried so many bytes and waited for nothing."""
        if carried < self.count:
            return
        if seconds < _QUICK_SECONDS:
            self.count = min(2 * self.count, self._most)
        elif seconds > _SLOW_SECONDS:
            self.count = max(self.count // 2, min(self.count, FIRST_SENT_BYTES))

    def refused(self) -> bool:
        """Note that the service has refused a call for its size; False: it cannot be smaller."""
        if self.count <= SMALLEST_SENT_BYTES:
            return False
        self._most = self.count // 2
        self.count = max(SMALLEST_SENT_BYTES, self.count // 4)
        return True


class PageSize:
    """The size of answers of one environment; `characters` are those of a frame."""

    def __init__(self) -> None:
        self.characters = LARGEST_PAGE_CHARACTERS

    @property
    def certain_bytes(self) -> int:
        """How many bytes an answer surely holds."""
        return wire.certain_bytes(self.characters)

    def was_cut(self, received: int) -> bool:
        """Note that an answer came cut after so many characters; False: it cannot be smaller."""
        if self.characters <= SMALLEST_PAGE_CHARACTERS:
            return False
        fits = received - wire.FRAME_OVERHEAD if received < self.characters else self.characters
        self.characters = max(SMALLEST_PAGE_CHARACTERS, min(self.characters // 2, fits))
        return True
