"""The inbox of a kernel: whatever happens is put into it as a value, and handled in turn.

Who has news does not call who wants it: sockets, launches, calls to the pool and the checkpoint
engine put events, each of which is defined where it happens; kernel/events.py lists them all.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

E_contra = TypeVar("E_contra", contravariant=True)


class Inbox(Protocol[E_contra]):
    """Takes events, on its own event loop only; an `asyncio.Queue` without a limit does."""

    def put_nowait(self, event: E_contra, /) -> None:
        """Have an event handled after those that were put before."""


@dataclass(frozen=True, slots=True)
class Received:
    """A message of a front end. frames: header, parent header, metadata, content, buffers."""

    now: float
    channel: str
    idents: list[bytes]
    frames: list[bytes]
    content: Any


@dataclass(frozen=True, slots=True)
class Noticed:
    """There is something to tell the user at once, if a cell waits."""

    now: float
    text: str
