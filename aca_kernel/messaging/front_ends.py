"""The front ends of one kernel, as its driver sees them."""

from __future__ import annotations

from typing import Protocol

from .inbox import Inbox, Received
from .outgoing import Outgoing


class FrontEnds(Protocol):
    """Where a kernel's requests come from and its messages go: sockets, or this process."""

    def listen(self, inbox: Inbox[Received], /) -> None:
        """Start to put messages into the inbox."""

    def send(self, message: Outgoing, /) -> None:
        """Send a message; never waits."""

    async def close(self) -> None:
        """Send what is left, and end."""
