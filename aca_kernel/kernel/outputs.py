"""Forwards what the remote kernel says to the front end that asked for it.

Messages keep their frames. Beside that, this looks at the few of them that say something about
the request they belong to: that it has begun, failed, or ended.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ..checkpoint.carrier import is_own

if TYPE_CHECKING:
    import logging

    from ..messaging.channels import Channels
    from ..messaging.early_status import EarlyStatus
    from ..messaging.requests import Request, RequestTable
    from ..messaging.setup_code import SetupCode
    from ..messaging.subshells import Subshells
    from ..messaging.widget_scripts import WidgetScripts
    from ..remote.wire import Record


class Forwarder:
    """Forwards, and tells what it sees.

    setup: what it mutes is shown to nobody.
    asks_exit: whether the user's code asked the kernel to quit.
    on_begin, on_fail, on_end: told of requests of the front end, in this order; on_fail of a
    cell whose error aborts the cells behind it, on_end with the seconds since its begin.
    """

    def __init__(
        self,
        channels: Channels,
        table: RequestTable,
        announcer: EarlyStatus,
        subshells: Subshells,
        setup: SetupCode,
        widgets: WidgetScripts,
        on_begin: Callable[[Request], None],
        on_fail: Callable[[Request], None],
        on_end: Callable[[Request, float], None],
        log: logging.Logger,
    ) -> None:
        self.asks_exit = False
        # The parent header of what threads say, and its id: of the request that began last.
        self._latest = (b"{}", "")
        self._channels = channels
        self._table = table
        self._announcer = announcer
        self._subshells = subshells
        self._setup = setup
        self._widgets = widgets
        self._on_begin = on_begin
        self._on_fail = on_fail
        self._on_end = on_end
        self._log = log

    def forward(self, record: Record) -> None:
        """Forward one message of the remote kernel."""
        channel, msg_type = str(record.head["channel"]), str(record.head["type"])
        frames, parent = list(record.parts), str(record.head["parent"])
        if is_own(parent):
            # What a thread says while state is stored is of the cell before that.
            frames[1], parent = self._latest
        if parent in self._setup.muted:
            return
        request = self._table.find_any(parent)
        if channel == "iopub":
            self._forward_iopub(msg_type, record.head.get("state"), frames, request)
        elif request is None:
            self._log.warning("a %s belongs to no request and is dropped", msg_type)
        elif channel == "stdin":
            self._channels.reply("stdin", request.idents, frames)
        else:
            request.is_replied = True
            if msg_type == "execute_reply":
                self._look_at_reply(request, frames)
            elif msg_type == "create_subshell_reply":
                self._subshells.created(frames)
            self._channels.reply(request.channel, request.idents, frames)

    def _forward_iopub(
        self, msg_type: str, state: Any, frames: list[bytes], request: Request | None
    ) -> None:
        if request is not None and state == "busy":
            request.is_started = True
            self._latest = (frames[1], request.msg_id)
            request.started = time.monotonic()
            self._on_begin(request)
            if request.is_busy_told:
                return
            request.is_busy_told = True
        if msg_type == "execute_input" and self._announcer.is_told(request, frames):
            return
        if msg_type == "comm_open":
            self._widgets.opened(frames, request)
        self._channels.publish(f"kernel.{msg_type}", frames)
        if request is not None and state == "idle":
            self._table.finish(request)
            self._on_end(request, time.monotonic() - request.started)

    def _look_at_reply(self, request: Request, frames: list[bytes]) -> None:
        """Do what ipykernel does after a cell, as far as it concerns what is still here."""
        content = json.loads(frames[3])
        self._announcer.replied(content.get("execution_count"))
        if b'"ask_exit"' in frames[3]:
            payload = content.get("payload", [])
            self.asks_exit = any(
                one.get("source") == "ask_exit" and not one.get("keepkernel") for one in payload
            )
        if json.loads(frames[2]).get("status") == "error" and request.aborts_on_error:
            request.has_aborted_others = True
            self._on_fail(request)
