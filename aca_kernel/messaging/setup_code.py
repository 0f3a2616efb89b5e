"""Set-up code of a front end, which runs ahead of the user's cells in each remote kernel."""

from __future__ import annotations

import json

from ..remote.wire import Record
from .hidden import FILE_ASSIGNMENT
from .requests import Request


class SetupCode:
    """Hidden requests that later remote kernels need, latest last.

    muted: ids of answered ones, whose outputs are discarded.
    running: ids of muted ones that the remote kernel is busy with.
    """

    def __init__(self) -> None:
        self.muted: set[str] = set()
        self.running: set[str] = set()
        # Id and record of a request, by its code.
        self._kept: dict[str, tuple[str, Record]] = {}
        self._unsent: list[str] = []

    def keep(self, request: Request, *, is_sent: bool) -> None:
        """Keep a request instead of one that it repeats or replaces.

        is_sent: the present remote kernel has it already, as an ordinary request.
        """
        key = "__file__" if FILE_ASSIGNMENT.fullmatch(request.code) else request.code
        self._kept.pop(key, None)
        head = {"kind": "msg", "channel": "shell", "keep": True}
        self._kept[key] = (request.msg_id, Record(head, _without_stdin(request.frames)))
        self._unsent = [one for one in self._unsent if one != key]
        if not is_sent:
            self._unsent.append(key)
            self.muted.add(request.msg_id)

    def begin_anew(self) -> None:
        """Start with another remote kernel, to which all is sent again."""
        self.running.clear()
        self._unsent = list(self._kept)
        self.muted.update(msg_id for msg_id, _ in self._kept.values())

    def take_unsent(self) -> list[Record]:
        """Return the unsent requests, which count as sent."""
        unsent, self._unsent = self._unsent, []
        return [self._kept[key][1] for key in unsent]

    def note(self, msg_id: str, state: object) -> bool:
        """Note a message about a muted request; tell whether the request has started.

        state: busy or idle, for a status.
        """
        if state == "busy":
            self.running.add(msg_id)
        elif state == "idle":
            self.running.discard(msg_id)
        return state == "busy"


def _without_stdin(frames: list[bytes]) -> tuple[bytes, ...]:
    """Return a request without input(), which nobody would answer."""
    content = {**json.loads(frames[3]), "allow_stdin": False}
    return (*frames[:3], json.dumps(content).encode("ascii"), *frames[4:])
