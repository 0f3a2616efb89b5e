"""Cells that are sent ahead of the replies before them: none costs a round trip of its own.

nbclient sends a cell when it has the reply to the last one. Here the cells behind it are sent at
the same time, so that one exchange carries all of them, and what comes of them is held back until
nbclient asks for them. It sees no difference: limits of time count from there, which is when the
cell before has ended.

A cell that may fail without ending the notebook is the last that is sent: what is behind it waits
for its reply, so that an interrupt for it meets nothing else. Behind an error nothing runs: the
remote kernel aborts what it has (remote/ahead_of_replies.py), and nothing more is sent.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from ..messaging.memory_channels import MemoryChannel, Message
from ..remote.ahead_of_replies import BEHIND

# Cells that are under way at a time. When half of them are left, others follow: none waits.
AT_A_TIME = 64


@dataclass(frozen=True)
class PlannedCell:
    """A cell that nbclient will run. may_fail: its error does not end the notebook."""

    code: str
    may_fail: bool


class HeldChannel:
    """A channel whose messages about some requests are held back.

    has_error: a reply that is not ok has come, held back or not.
    """

    def __init__(self, channel: MemoryChannel) -> None:
        self.has_error = False
        self._channel = channel
        self._held: dict[str, list[Message]] = {}
        self._released: deque[Message] = deque()

    def hold(self, msg_id: str) -> None:
        """Hold back what comes of a request from now on."""
        self._held[msg_id] = []

    def release(self, msg_id: str) -> None:
        """Let go what has come of a request, ahead of what follows."""
        self._released.extend(self._held.pop(msg_id))

    def send(self, message: Message) -> None:
        """See MemoryChannel."""
        self._channel.send(message)

    def look(self) -> None:
        """Take in what has come."""
        for message in self._channel.take_all():
            if not self._is_held(message):
                self._released.append(message)

    async def get_msg(self, timeout: float | None = None) -> Message:
        """See MemoryChannel."""
        until = None if timeout is None else time.monotonic() + timeout
        while not self._released:
            left = None if until is None else max(0.0, until - time.monotonic())
            message = await self._channel.get_msg(left)
            if not self._is_held(message):
                return message
        return self._released.popleft()

    def _is_held(self, message: Message) -> bool:
        if message["msg_type"] == "execute_reply":
            self.has_error |= message["content"].get("status") != "ok"
        held = self._held.get(message["parent_header"].get("msg_id", ""))
        if held is not None:
            held.append(message)
        return held is not None


class CellsAhead:
    """The cells of a notebook in the order in which nbclient asks for them.

    request: sends a cell's code with such metadata; returns the request's id.
    """

    def __init__(
        self,
        channels: Iterable[HeldChannel],
        cells: Iterable[PlannedCell],
        request: Callable[[PlannedCell, dict[str, Any]], str],
    ) -> None:
        self._shell, self._iopub = channels
        self._unsent = deque(cells)
        self._request = request
        # Sent, and not asked for.
        self._ahead: deque[tuple[str, PlannedCell]] = deque()
        self.was_ahead = False

    def take(self, code: str) -> str:
        """Return the id of the next cell, which has been sent, or is now.

        Raises RuntimeError: it is another one than was planned.
        """
        self.was_ahead = bool(self._ahead)
        if self._ahead:
            msg_id, cell = self._ahead.popleft()
            self._shell.release(msg_id)
            self._iopub.release(msg_id)
        else:
            cell = self._unsent.popleft()
            msg_id = self._request(cell, {})
        if cell.code != code:
            raise RuntimeError("The notebook has changed while it ran.")
        self._send_more(*(self._ahead[-1] if self._ahead else (msg_id, cell)))
        return msg_id

    def _send_more(self, last_id: str, last: PlannedCell) -> None:
        self._shell.look()
        if len(self._ahead) > AT_A_TIME // 2 or self._shell.has_error:
            return
        while self._unsent and len(self._ahead) < AT_A_TIME and not last.may_fail:
            last = self._unsent.popleft()
            last_id = self._request(last, {BEHIND: last_id})
            self._shell.hold(last_id)
            self._iopub.hold(last_id)
            self._ahead.append((last_id, last))
