"""Checkpoints that a cell asks for: `%aca checkpoint`, `restore` and `keep`, and `restart --keep`.

Taking and restoring need exchanges: most of these calls are answered later.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any

from ..checkpoint import wording
from ..checkpoint.checkpoints import Checkpoints
from ..checkpoint.schedule import Schedule
from ..errors import AcaKernelError, CallRefused
from ..messaging.requests import RequestTable
from ..remote.command_line import keep_seconds
from ..remote.wire import Record
from ..settings import AcaKernel
from .call import Answer, Call, unexpected
from .permission import find_permission


@dataclass(frozen=True)
class CheckpointCommands:
    """The handlers of calls about checkpoints.

    do_later: runs a coroutine that takes exchanges, and sends the record that it returns.
    """

    table: RequestTable
    settings: AcaKernel
    checkpoints: Checkpoints
    schedule: Schedule
    do_later: Callable[[Coroutine[Any, Any, Record]], None]
    log: logging.Logger

    async def checkpoint(self, call: Call) -> None:
        """Take a checkpoint of what has changed. Raises CallRefused."""
        self._find_storing(call)
        if self.settings.checkpoint == "off":
            raise CallRefused("Checkpoints are switched off by the setting `checkpoint`.")
        self._later(call, self.checkpoints.begin())

    async def checkpoint_end(self, call: Call) -> None:
        """Store the checkpoint that has been taken. Raises CallRefused."""
        self._find_storing(call)

        async def work() -> dict[str, Any]:
            return {"told": await self.checkpoints.end()}

        self._later(call, work())

    def _find_storing(self, call: Call) -> None:
        """Check that a running cell has the line that the call names. Raises CallRefused."""
        if call.text("line") == "restart":
            find_permission(self.table, "restart", lambda one: one.keep)
        else:
            find_permission(self.table, "checkpoint")

    async def restore(self, call: Call) -> None:
        """Put the last checkpoint into the environment. Raises CallRefused."""
        find_permission(self.table, "restore")
        if self.settings.restore == "off":
            raise CallRefused("Restoring is switched off by the setting `restore`.")

        async def work() -> dict[str, Any]:
            if not await self.checkpoints.begin_restoring():
                raise CallRefused("There is nothing to restore: no checkpoint has been taken yet.")
            return {}

        self._later(call, work())

    async def restored(self, call: Call) -> Answer:
        """Take note of what came back. Raises CallRefused."""
        find_permission(self.table, "restore")
        given = call.head.get("report")
        report = given if isinstance(given, dict) else {}
        self.checkpoints.restored(report)
        return {"told": wording.restored(report, 0, is_asked=True) + "."}, ()

    async def keep(self, call: Call) -> Answer:
        """Keep the environment for a time without use. Raises CallRefused."""
        time = call.text("time")
        find_permission(self.table, "keep", lambda one: one.path == time)
        seconds = keep_seconds(time) or 0
        self.schedule.keep(seconds)
        if not seconds:
            return {"told": "The environment is kept for its cooldown only."}, ()
        return {
            "told": f"The environment is kept for {time} from now on, also without use. It keeps "
            "its place in the pool as long."
        }, ()

    def _later(self, call: Call, work: Coroutine[Any, Any, dict[str, Any]]) -> None:
        """Answer a call after work that takes exchanges."""

        async def answer() -> Record:
            head = {"kind": "answer", "id": call.head.get("id")}
            try:
                return Record({**await work, **head})
            except AcaKernelError as error:
                return Record({**head, "error": error.message})
            except Exception as error:  # noqa: BLE001 - it is logged, and a cell waits for an answer
                return Record({**head, "error": unexpected(error, self.log)})

        self.do_later(answer())
