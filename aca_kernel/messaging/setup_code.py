"""Set-up code of a front end: it runs ahead of the user's cells, in each remote kernel again."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..remote.wire import Record
from .hidden import FILE_ASSIGNMENT

if TYPE_CHECKING:
    from .requests import Request


class SetupCode:
    """Hidden requests that later remote kernels need, in the order of their last coming.

    muted: ids of those whose outputs are shown to nobody, because they have been answered.
    """

    def __init__(self) -> None:
        self.muted: set[str] = set()
        # By what identifies it among the others: the id of the request, and what is sent.
        self._kept: dict[str, tuple[str, Record]] = {}
        self._unsent: list[str] = []

    def keep(self, request: Request, *, is_sent: bool) -> None:
        """Keep a request; what it repeats or replaces is forgotten.

        is_sent: the present remote kernel has it already, as an ordinary request.
        """
        key = "__file__" if FILE_ASSIGNMENT.fullmatch(request.code) else request.code
        self._kept.pop(key, None)
        head = {"kind": "msg", "channel": "shell", "keep": True}
        self._kept[key] = (request.msg_id, Record(head, tuple(request.frames)))
        self._unsent = [one for one in self._unsent if one != key]
        if not is_sent:
            self._unsent.append(key)
            self.muted.add(request.msg_id)

    def begin_anew(self) -> None:
        """There is another remote kernel."""
        self._unsent = list(self._kept)
        self.muted.update(msg_id for msg_id, _ in self._kept.values())

    def take_unsent(self) -> list[Record]:
        """Return what the remote kernel is to be sent now; it counts as sent."""
        unsent, self._unsent = self._unsent, []
        return [self._kept[key][1] for key in unsent]
