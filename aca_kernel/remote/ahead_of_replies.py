"""Cells that were sent ahead of the replies before them: none runs behind an error.

The agent hands such a cell on when the one before it is idle, so that it is known which of them a
death is of. ipykernel aborts what waits when a cell fails, and runs what arrives later: here that
is aborted, too. Metadata say which cell it is behind.
"""

from __future__ import annotations

from collections import deque
from typing import Any

# Names, in the metadata of an execute_request, the one that must not have failed or been aborted.
BEHIND = "aca_behind"

# Ids that are remembered; a batch has fewer ahead (batch/sent_ahead.py).
_KEPT = 1000


def abort_behind_errors(kernel: Any) -> None:
    """Abort each cell whose metadata name one that has failed, been aborted or asked to quit."""
    without_success: deque[str] = deque(maxlen=_KEPT)
    abort_queues = kernel._abort_queues  # noqa: SLF001 - what a failed cell calls
    send_abort_reply = kernel._send_abort_reply  # noqa: SLF001
    execute = kernel.shell_handlers["execute_request"]

    def abort_queues_noted(*args: Any, **options: Any) -> Any:
        parent = kernel.get_parent("shell") or {}
        without_success.append(str(parent.get("header", {}).get("msg_id", "")))
        return abort_queues(*args, **options)

    def send_abort_reply_noted(stream: Any, msg: dict[str, Any], idents: Any) -> Any:
        without_success.append(str(msg["header"]["msg_id"]))
        return send_abort_reply(stream, msg, idents)

    def execute_if_due(stream: Any, ident: Any, parent: dict[str, Any]) -> Any:
        behind = parent["metadata"].get(BEHIND)
        if behind is not None and (behind in without_success or kernel.shell.exit_now):
            return send_abort_reply_noted(stream, parent, ident)
        return execute(stream, ident, parent)

    kernel._abort_queues = abort_queues_noted  # noqa: SLF001
    kernel._send_abort_reply = send_abort_reply_noted  # noqa: SLF001
    kernel.shell_handlers["execute_request"] = execute_if_due
