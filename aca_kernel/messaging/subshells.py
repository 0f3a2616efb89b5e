"""Subshell ids that front ends go on using after the remote kernel that made them has ended.

JupyterLab makes a subshell for each comm target and forgets it only on a restart that it
asked for itself (client-facts: `comm.ts`). To the next remote kernel the id means nothing;
the message is meant for the same front end's widgets all the same, so it goes to the main
shell. An id that never existed is left alone: ipykernel says what is wrong with it.
"""

from __future__ import annotations

import json
from typing import Any

from .requests import Request

SUBSHELL_REQUESTS = frozenset(
    {"create_subshell_request", "delete_subshell_request", "list_subshell_request"}
)


class Subshells:
    """The subshells of the present remote kernel and of those before it."""

    def __init__(self) -> None:
        self._living: set[str] = set()
        self._dead: set[str] = set()

    def created(self, frames: list[bytes]) -> None:
        """Take note of a create_subshell_reply."""
        subshell_id = json.loads(frames[3]).get("subshell_id")
        if isinstance(subshell_id, str):
            self._living.add(subshell_id)

    def forget(self) -> None:
        """The remote kernel has ended, and its subshells with it."""
        self._dead |= self._living
        self._living.clear()

    def redirect(self, request: Request) -> None:
        """Send a message for a subshell that has ended to the main shell."""
        if request.subshell_id in self._dead:
            del request.header["subshell_id"]
            request.frames[0] = json.dumps(request.header).encode("ascii")


def is_beyond(request: Request, kernel_info: dict[str, Any] | None) -> bool:
    """Tell whether an older ipykernel would leave this request without any answer.

    kernel_info: of the remote kernel, None while it is not known.
    """
    if request.msg_type not in SUBSHELL_REQUESTS or kernel_info is None:
        return False
    return "kernel subshells" not in (kernel_info.get("supported_features") or [])
