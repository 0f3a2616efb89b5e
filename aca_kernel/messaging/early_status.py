"""Early busy and execute_input of a cell, as soon as it has been sent.

The remote kernel's own come with the first answer: on a slow line after the better part of a
second, for a short cell in one burst with everything else. Both are known beforehand, so they
are published while the environment computes. If the remote kernel counts differently, its own
execute_input is published as well.
"""

from __future__ import annotations

import json

from .publisher import Publisher
from .requests import Request, RequestTable

# After the cell has been sent. Until then pool, interpreter and remote kernel work on it, and the
# front end's work would delay them.
ANNOUNCE_SECONDS = 0.002


class EarlyStatus:
    """Publishes busy and execute_input of cells ahead of the remote kernel's.

    last_count: the execution count of the last reply, which a restore sets again.
    """

    def __init__(self, publisher: Publisher, table: RequestTable) -> None:
        self.last_count = 0
        self._publisher = publisher
        self._table = table
        self._next: Request | None = None
        self._next_count: int | None = None
        # Published execution counts, by the id of the cell.
        self._told: dict[str, int] = {}

    def sent(self, request: Request) -> None:
        """Note a sent request: a cell with nothing before it runs now."""
        is_alone = len(self._table) == 1
        self._next = request if request.is_execute and is_alone else None

    def announce(self) -> None:
        """Publish busy and execute_input of the cell that was sent last, once."""
        cell, self._next = self._next, None
        if cell is None or self._table.find(cell.msg_id) is None or cell.is_running:
            return
        self._publisher.begin(cell)
        count = self._next_count
        code = json.loads(cell.frames[3]).get("code")
        is_shown = isinstance(code, str) and not cell.content.get("silent", False)
        if count is not None and self._told.get(cell.msg_id) != count and is_shown:
            self._told = {cell.msg_id: count}
            content = {"code": code, "execution_count": count}
            self._publisher.publish("execute_input", content, cell)

    def is_told(self, cell: Request | None, frames: list[bytes]) -> bool:
        """Note the remote kernel's execute_input; tell whether the front end knows it."""
        count = json.loads(frames[3]).get("execution_count")
        if cell is None or not isinstance(count, int):
            return False
        # The reply tells the next one. A cell without a reply may not have been counted.
        self._next_count = None
        return self._told.get(cell.msg_id) == count

    def replied(self, count: object) -> None:
        """Note the execution count of a cell's reply, which is one less than the next."""
        if isinstance(count, int):
            self.last_count = count
            self._next_count = count + 1

    def forget(self) -> None:
        """Forget the count: another remote kernel starts with 1."""
        self._next = self._next_count = None
