"""One call of the remote side to this kernel; its members are read with a check of their type."""

from __future__ import annotations

from collections.abc import Coroutine
from dataclasses import dataclass
from typing import Any

from ..checkpoint.checkpoints import Checkpoints
from ..checkpoint.schedule import Schedule
from ..environment.environment import Environment
from ..environment.relay import Relay
from ..errors import CallRefused
from ..messaging.inbox import Inbox, Noticed
from ..messaging.requests import RequestTable
from ..pool.backend import Backend
from ..settings import AcaKernel

# The head and the parts of an answer.
Answer = tuple[dict[str, Any], tuple[bytes, ...]]

_LONGEST_WAY = 4096


@dataclass(frozen=True)
class Concerned:
    """What the calls of one kernel's environments may be about.

    inbox: told sentences for the user. package_config: what environments are told about packages.
    folder: the notebook's; None: the working directory. connection_file: its path, empty if front
    ends connect without one.
    """

    table: RequestTable
    backend: Backend
    settings: AcaKernel
    checkpoints: Checkpoints
    schedule: Schedule
    inbox: Inbox[Noticed]
    package_config: dict[str, Any]
    folder: str | None = None
    connection_file: str = ""


@dataclass(frozen=True)
class Restart:
    """A cell's request for another environment, to be launched when the cell has ended.

    msg_id: of the cell. keeps_state: whether variables and files come along.
    """

    msg_id: str
    keeps_state: bool


@dataclass(frozen=True)
class Later:
    """The answer to a call that takes exchanges, which go on meanwhile.

    work: returns its head, None if no answer is due.
    """

    call: Call
    work: Coroutine[Any, Any, dict[str, Any] | None]


@dataclass(frozen=True)
class Call:
    """One call and its relay.

    answered_bytes: of the answers to calls that came with it, which are not queued yet.
    """

    head: dict[str, Any]
    parts: tuple[bytes, ...]
    relay: Relay
    answered_bytes: int = 0

    @property
    def environment(self) -> Environment:
        """The environment that it came from."""
        return self.relay.environment

    @property
    def waiting_bytes(self) -> int:
        """The size of the queue to the environment."""
        return self.relay.exchange.waiting_bytes + self.answered_bytes

    @property
    def way_home(self) -> str:
        """The way from the working directory there to the notebook's folder, "" if it is that."""
        way = self.head.get("way_home", "")
        is_way = isinstance(way, str) and len(way) <= _LONGEST_WAY and way.isprintable()
        return way if is_way else ""

    def text(self, name: str) -> str:
        """Return a member that is a text. Raises CallRefused: it is not."""
        value = self.head.get(name)
        if not isinstance(value, str):
            raise CallRefused(f"The request has no text `{name}`.")
        return value

    def count(self, name: str) -> int:
        """Return a member that is a number of things. Raises CallRefused: it is not."""
        value = self.head.get(name)
        if not isinstance(value, int) or isinstance(value, bool) or value < 0:
            raise CallRefused(f"The request has no number `{name}`.")
        return value

    def items(self, name: str, most: int) -> list[Any]:
        """Return a member that is a list. Raises CallRefused: it is not, or has more items."""
        value = self.head.get(name)
        if not isinstance(value, list) or len(value) > most:
            raise CallRefused(f"The request has no list `{name}`.")
        return value
