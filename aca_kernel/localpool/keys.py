"""The API key of a pool, and how the service rotates it.

Observed by the vendor's documentation: after a rotation the old key may go on working
for minutes, and the new one may be refused for as long.
"""

from __future__ import annotations

import hmac
import os
import time


def new_key() -> str:
    """Return a random key."""
    return os.urandom(24).hex()


class ApiKeys:
    """The key that is shown to whoever may fetch it, and the keys that are accepted.

    is_disabled: none is, as an administrator may have it.
    """

    def __init__(self, key: str | None, rotation_seconds: float) -> None:
        self.current = key or new_key()
        self._accepted = self.current
        self._rotation_seconds = rotation_seconds
        self._rotated_at: float | None = None
        self.is_disabled = False

    def rotate(self) -> str:
        """Make and return a new key, which is accepted when the rotation window is over."""
        self._settle()
        self.current = new_key()
        self._rotated_at = time.monotonic()
        self._settle()
        return self.current

    def accepts(self, presented: str | None) -> bool:
        """Tell, in constant time, whether this key opens the pool now."""
        self._settle()
        given = (presented or "").encode("utf-8", "surrogateescape")
        return hmac.compare_digest(given, self._accepted.encode()) and not self.is_disabled

    def _settle(self) -> None:
        if (
            self._rotated_at is not None
            and time.monotonic() - self._rotated_at >= self._rotation_seconds
        ):
            self._accepted = self.current
            self._rotated_at = None
