"""Messages to front ends, as values in an outbox."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol


@dataclass(frozen=True, slots=True)
class Publish:
    """A message of the kernel's own on iopub. parent: header of the request, if there is one."""

    msg_type: str
    content: dict[str, Any]
    parent: dict[str, Any] | None
    metadata: dict[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Reply:
    """A reply of the kernel's own."""

    channel: str
    idents: list[bytes]
    msg_type: str
    content: dict[str, Any]
    parent: dict[str, Any]
    metadata: dict[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Forward:
    """A message of the remote kernel's on iopub, as it came."""

    topic: str
    frames: list[bytes]


@dataclass(frozen=True, slots=True)
class ForwardReply:
    """A message of the remote kernel's to one front end, as it came."""

    channel: str
    idents: list[bytes]
    frames: list[bytes]


Outgoing = Publish | Reply | Forward | ForwardReply


class Outbox(Protocol):
    """Takes messages in the order of sending, as a list does."""

    def append(self, message: Outgoing, /) -> None:
        """Add a message."""
