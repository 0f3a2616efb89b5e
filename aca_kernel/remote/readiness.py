"""Whether a new remote kernel answers: probes, which it is sent until it does.

A probe is a kernel_info_request, whose reply and idle prove both ways. It is repeated because a
subscription to iopub may not have arrived with the first one.

No clock: times are given.
"""

from __future__ import annotations

import json
import time
from typing import Any

# Between two probes.
PROBE_SECONDS = 0.25

_PROBE = "aca-probe-"


def is_probe(msg_id: str) -> bool:
    """Tell whether a message is one of ours."""
    return msg_id.startswith(_PROBE)


class Readiness:
    """What is known of one remote kernel. number: it is told from others by it.

    info: its kernel_info. has_spoken: something has come over iopub.
    waiting: messages for it that have come before it was ready, with their channels.
    """

    def __init__(self, number: int, session: str) -> None:
        self.is_ready = self.has_spoken = False
        self.info: dict[str, Any] | None = None
        self.waiting: list[tuple[str, list[bytes]]] = []
        self._number, self._session = number, session
        self._probed_at = 0.0

    def probe(self, now: float) -> list[bytes]:
        """Return the frames of a probe for the shell channel."""
        self._probed_at = now
        header = {
            "msg_id": f"{_PROBE}{self._number}-{now}",
            "session": self._session,
            "username": "aca",
            "date": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
            "msg_type": "kernel_info_request",
            "version": "5.3",
        }
        return [json.dumps(header).encode("ascii"), b"{}", b"{}", b"{}"]

    @property
    def has_answered(self) -> bool:
        """Whether both ways have been proved."""
        return self.info is not None and self.has_spoken

    def is_probe_due(self, now: float) -> bool:
        """Tell whether it is time for another probe."""
        return now - self._probed_at > PROBE_SECONDS
