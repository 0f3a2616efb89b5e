"""Checkpoints that a cell asks for: `%aca checkpoint`, `restore` and `keep`, and `restart --keep`.

Taking and restoring take exchanges, so that most of these calls are answered later.
"""

from __future__ import annotations

from typing import Any

from ..checkpoint import wording
from ..errors import CallRefused
from ..remote.command_line import keep_seconds
from .call import Answer, Call, Concerned, Later
from .permission import find_permission


class CheckpointCommands:
    """Answers the calls that concern checkpoints."""

    def __init__(self, concerned: Concerned) -> None:
        self._concerned = concerned
        self._table = concerned.table

    async def checkpoint(self, call: Call) -> Later:
        """Take a checkpoint of what has changed. Raises CallRefused."""
        self._find_storing(call)
        if self._concerned.settings.checkpoint == "off":
            raise CallRefused("Checkpoints are switched off by the setting `checkpoint`.")
        return Later(call, self._concerned.checkpoints.begin())

    async def checkpoint_end(self, call: Call) -> Later:
        """Store the checkpoint that has been taken. Raises CallRefused."""
        self._find_storing(call)
        return Later(call, self._end())

    async def _end(self) -> dict[str, Any]:
        return {"told": await self._concerned.checkpoints.end()}

    def _find_storing(self, call: Call) -> None:
        """Raises CallRefused: no running cell has the line that the call says it is of."""
        if call.text("line") == "restart":
            find_permission(self._table, "restart", lambda one: one.keep)
        else:
            find_permission(self._table, "checkpoint")

    async def restore(self, call: Call) -> Later:
        """Put the last checkpoint into the environment. Raises CallRefused."""
        find_permission(self._table, "restore")
        if self._concerned.settings.restore == "off":
            raise CallRefused("Restoring is switched off by the setting `restore`.")
        return Later(call, self._begin_restoring())

    async def _begin_restoring(self) -> dict[str, Any]:
        if not await self._concerned.checkpoints.begin_restoring():
            raise CallRefused("There is nothing to restore: no checkpoint has been taken yet.")
        return {}

    async def restored(self, call: Call) -> Answer:
        """Take note of what came back. Raises CallRefused."""
        find_permission(self._table, "restore")
        given = call.head.get("report")
        report = self._concerned.checkpoints.restored_in_cell(
            given if isinstance(given, dict) else {}
        )
        return {"told": wording.restored(report, 0, is_asked=True) + "."}, ()

    async def keep(self, call: Call) -> Answer:
        """Keep the environment for a time, also without use. Raises CallRefused."""
        time = call.text("time")
        find_permission(self._table, "keep", lambda one: one.path == time)
        seconds = keep_seconds(time) or 0
        self._concerned.schedule.keep(seconds)
        if not seconds:
            return {"told": "The environment is kept for its cooldown only."}, ()
        return {
            "told": f"The environment is kept for {time} from now on, also without use. It keeps "
            "its place in the pool as long."
        }, ()
