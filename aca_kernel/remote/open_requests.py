"""Requests that the remote kernel has not finished, as the agent knows them."""

from __future__ import annotations

from typing import Any

from .ahead import AheadFifo
from .state_messages import REQUEST as STATE_REQUEST


class OpenRequest:
    """One of them. number: how many came up to it.

    is_in_turn: the main shell does it behind what came before. may_be_silent: ipykernel may do it
    without a busy and an idle. held: replies that came early, with their channels. ahead: of a
    cell with `!` commands.
    """

    def __init__(self, channel: str, header: dict[str, Any], number: int) -> None:
        self.number = number
        msg_type = str(header.get("msg_type", ""))
        self.needs_reply = msg_type.endswith("_request")
        self.is_cell = msg_type == "execute_request"
        self.is_in_turn = channel == "shell" and header.get("subshell_id") is None
        self.may_be_silent = self.is_in_turn and msg_type.startswith("comm_")
        self.is_state = msg_type == STATE_REQUEST
        self.is_busy = False
        self.held: list[tuple[str, list[bytes]]] = []
        self.ahead: AheadFifo | None = None

    def close(self) -> None:
        """Nothing of it is waited for any more."""
        if self.ahead is not None:
            self.ahead.close()


class OpenRequests(dict[str, OpenRequest]):
    """All of them by their ids, oldest first.

    behind: cells that were sent ahead, with their channels, by the request that each waits for.
    """

    def __init__(self) -> None:
        super().__init__()
        self.behind: dict[str, tuple[str, list[bytes]]] = {}

    def finish(self, msg_id: str) -> tuple[str, list[bytes]] | None:
        """Take one out; return the cell that has waited for it, None if there is none."""
        self.pop(msg_id).close()
        return self.behind.pop(msg_id, None)

    @property
    def is_silent_one_due(self) -> bool:
        """Whether something may be done without a word: what comes behind it tells."""
        return any(one.may_be_silent and not one.is_busy for one in self.values())

    def take_silent(self, last: int) -> list[str]:
        """Take out what was done without a word: what came behind it has begun. Returns the ids.

        ipykernel does so with comm messages that come while a cell awaits something. last: the
        number of the last one that may have been.
        """
        taken = [
            msg_id
            for msg_id, request in self.items()
            if request.number <= last and request.may_be_silent and not request.is_busy
        ]
        for msg_id in taken:
            del self[msg_id]
        return taken

    def forget(self) -> None:
        """Take all of them out: they will never be answered."""
        for request in self.values():
            request.close()
        self.clear()
        self.behind.clear()
