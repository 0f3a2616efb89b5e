"""The end of the kernel: a front end shuts it down, or a cell calls `exit`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from . import commands as do

if TYPE_CHECKING:
    from ..messaging.requests import Request
    from .lifecycle import Lifecycle
    from .shared import Shared

# From the end of a cell that calls `exit` to the kernel's, as in ipykernel: a front end that sees
# its process end reads nothing more, and needs the reply to end, too.
_EXIT_SECONDS = 0.1

# From a shutdown to the kernel's end, while a cell has not ended that was interrupted just before:
# its error says where it was, and clients still listen. jupyter_client waits for 2.5 s.
_FAREWELL_SECONDS = 0.5


class Ending:
    """Whether the kernel ends, and when."""

    def __init__(self, shared: Shared, life: Lifecycle) -> None:
        self.has_come = False
        # Of a cell that has called `exit`, and of a shutdown.
        self._exit_at: float | None = None
        self._farewell_until: float | None = None
        self._for_restart = False
        self._shared = shared
        self._life = life

    @property
    def is_decided(self) -> bool:
        """Whether nothing more is begun."""
        return self.has_come or self._exit_at is not None

    @property
    def next_at(self) -> float | None:
        """When `check` has something to do, if nothing else happens."""
        return self._farewell_until if self._exit_at is None else self._exit_at

    def shut_down(self, request: Request, now: float) -> None:
        """Answer a shutdown_request. The first one says whether the kernel is restarted."""
        restart = bool(request.content.get("restart", False))
        reply = {"status": "ok", "restart": restart}
        self._shared.publisher.begin(request)
        self._shared.publisher.reply(request, reply)
        # Other front ends of this kernel learn of it on iopub, as from ipykernel.
        self._shared.publisher.publish("shutdown_reply", reply, request)
        self._shared.publisher.end(request)
        if self._farewell_until is None:
            self._for_restart = restart
            self._farewell_until = now + _FAREWELL_SECONDS

    def exit_soon(self, now: float) -> None:
        """A cell that asked the kernel to quit has ended: ipykernel's process would end now."""
        self._exit_at = now + _EXIT_SECONDS

    def check(self, now: float) -> None:
        """End the kernel if it is time: after a shutdown, behind the cell interrupted for it."""
        if self._exit_at is not None:
            is_due = now >= self._exit_at
        elif self._farewell_until is not None:
            is_awaited = any(one.is_execute and one.is_interrupted for one in self._shared.table)
            is_due = now >= self._farewell_until or not is_awaited
        else:
            is_due = False
        if is_due:
            self.end()

    def end(self) -> None:
        """End the kernel."""
        self.has_come = True
        self._exit_at = self._farewell_until = None
        if self._life.is_suspect:
            self._shared.out.append(do.Forget())
        self._shared.out.append(do.Exit(self._for_restart))
