"""The inbox of a kernel: events as values, which are handled in turn.

Sockets, launches, calls to the pool and the checkpoint engine put events here and call nobody.
Each event is defined at its source; kernel/events.py lists them all.
"""

from __future__ import annotations

from typing import Any, NamedTuple, Protocol, TypeVar

E_contra = TypeVar("E_contra", contravariant=True)


class Inbox(Protocol[E_contra]):
    """Takes events, on its own event loop only; an `asyncio.Queue` without a limit does."""

    def put_nowait(self, event: E_contra, /) -> None:
        """Have an event handled after those that were put before."""


class Received(NamedTuple):
    """A message of a front end. frames: header, parent header, metadata, content, buffers."""

    now: float
    channel: str
    idents: list[bytes]
    frames: list[bytes]
    content: Any


class Noticed(NamedTuple):
    """A sentence for the user of a waiting cell, at once."""

    now: float
    text: str
