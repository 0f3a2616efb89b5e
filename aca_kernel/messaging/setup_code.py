"""Set-up code of a front end: it runs ahead of the user's cells, in each remote kernel again."""

from __future__ import annotations

import json

from ..remote.wire import Record
from .hidden import FILE_ASSIGNMENT
from .requests import Request


class SetupCode:
    """Hidden requests that later remote kernels need, in the order of their last coming.

    muted: ids of those whose outputs are shown to nobody, because they have been answered.
    running: ids of those of them that the remote kernel is busy with.
    """

    def __init__(self) -> None:
        self.muted: set[str] = set()
        self.running: set[str] = set()
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
        self._kept[key] = (request.msg_id, Record(head, _without_stdin(request.frames)))
        self._unsent = [one for one in self._unsent if one != key]
        if not is_sent:
            self._unsent.append(key)
            self.muted.add(request.msg_id)

    def begin_anew(self) -> None:
        """There is another remote kernel."""
        self.running.clear()
        self._unsent = list(self._kept)
        self.muted.update(msg_id for msg_id, _ in self._kept.values())

    def take_unsent(self) -> list[Record]:
        """Return what the remote kernel is to be sent now; it counts as sent."""
        unsent, self._unsent = self._unsent, []
        return [self._kept[key][1] for key in unsent]

    def note(self, msg_id: str, state: object) -> bool:
        """The remote kernel has said something of a muted request; tell whether it has begun.

        state: busy or idle, if that is what was said.
        """
        if state == "busy":
            self.running.add(msg_id)
        elif state == "idle":
            self.running.discard(msg_id)
        return state == "busy"


def _without_stdin(frames: list[bytes]) -> tuple[bytes, ...]:
    """Return a request that may ask for no input: it is muted, and nobody would answer."""
    content = {**json.loads(frames[3]), "allow_stdin": False}
    return (*frames[:3], json.dumps(content).encode("ascii"), *frames[4:])
