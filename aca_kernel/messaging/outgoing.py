"""Messages to front ends, as values in an outbox."""

from __future__ import annotations

from typing import Any, NamedTuple, Protocol


class Publish(NamedTuple):
    """A message of the kernel's own on iopub. parent: header of the request, if there is one."""

    msg_type: str
    content: dict[str, Any]
    parent: dict[str, Any] | None
    metadata: dict[str, Any] | None = None


class Reply(NamedTuple):
    """A reply of the kernel's own."""

    channel: str
    idents: list[bytes]
    msg_type: str
    content: dict[str, Any]
    parent: dict[str, Any]
    metadata: dict[str, Any] | None = None


class Forward(NamedTuple):
    """A message of the remote kernel's on iopub, as it came."""

    topic: str
    frames: list[bytes]


class ForwardReply(NamedTuple):
    """A message of the remote kernel's to one front end, as it came."""

    channel: str
    idents: list[bytes]
    frames: list[bytes]


Outgoing = Publish | Reply | Forward | ForwardReply


class Outbox(Protocol):
    """Takes messages in the order of sending, as a list does."""

    def append(self, message: Outgoing, /) -> None:
        """Add a message."""
