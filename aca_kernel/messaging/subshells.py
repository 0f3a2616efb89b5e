"""Subshell ids that outlive their remote kernel.

JupyterLab makes a subshell for each comm target and forgets it only on a restart of its own
(client-facts: `comm.ts`). The next remote kernel does not know the id, so the message goes to
the main shell. An id that never existed is passed on: ipykernel reports the error.
"""

from __future__ import annotations

import json
from typing import Any

from .requests import Request

SUBSHELL_REQUESTS = frozenset(
    {"create_subshell_request", "delete_subshell_request", "list_subshell_request"}
)


class Subshells:
    """Subshells of the present remote kernel and of earlier ones."""

    def __init__(self) -> None:
        self._living: set[str] = set()
        self._dead: set[str] = set()

    def created(self, frames: list[bytes]) -> None:
        """Note the id of a create_subshell_reply."""
        subshell_id = json.loads(frames[3]).get("subshell_id")
        if isinstance(subshell_id, str):
            self._living.add(subshell_id)

    def forget(self) -> None:
        """Note that all subshells ended with the remote kernel."""
        self._dead |= self._living
        self._living.clear()

    def redirect(self, request: Request) -> None:
        """Redirect a message for an ended subshell to the main shell."""
        if request.subshell_id in self._dead:
            del request.header["subshell_id"]
            request.frames[0] = json.dumps(request.header).encode("ascii")


def is_beyond(request: Request, kernel_info: dict[str, Any] | None) -> bool:
    """Tell whether an older ipykernel would not answer this request.

    kernel_info: of the remote kernel, None while it is not known.
    """
    if request.msg_type not in SUBSHELL_REQUESTS or kernel_info is None:
        return False
    return "kernel subshells" not in (kernel_info.get("supported_features") or [])
