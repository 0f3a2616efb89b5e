"""The table of what the environment may ask of this machine, and who does it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from ..errors import CallRefused
from .call import Answer, Call, Concerned, Later, Restart
from .checkpoint_commands import CheckpointCommands
from .notebook_files.files_root import files_root
from .notebook_files.folder import Folder
from .notebook_files.outside_files import OutsideFiles
from .notebook_files.sending import Sending
from .notebook_files.write_back import WriteBack
from .package_calls import PackageCalls
from .permission import find_permission
from .shell import start_command
from .status import status_rows
from .transfer import Transfers

# Returns None where nothing is answered unless it fails. Raises CallRefused, other errors of
# ours, which are answered by their sentence, and EnvironmentGone, which is not.
Handler = Callable[[Call], Awaitable[Answer | Later | None]]


class CallTable:
    """Does what the environments of one kernel ask."""

    def __init__(self, concerned: Concerned) -> None:
        self._restart_asked: Restart | None = None
        self._concerned = concerned
        table, settings, inbox = concerned.table, concerned.settings, concerned.inbox
        commands = CheckpointCommands(concerned)
        found = files_root(settings.files_root_used, concerned.folder)
        beside = Folder(found.root, found.inner)
        self._transfers = transfers = Transfers(table, beside.place_of, found.home)
        self.sending = sending = Sending(settings, beside, inbox, found.problem)
        self._back = back = WriteBack(settings, Folder(found.home), table)
        packages = PackageCalls(settings, found.home, concerned.package_config, inbox)
        self._by_op: dict[str, Handler] = {
            "shell": self._shell,
            "status": self._status,
            "restart": self._restart,
            "checkpoint": commands.checkpoint,
            "checkpoint_end": commands.checkpoint_end,
            "restore": commands.restore,
            "restored": commands.restored,
            "keep": commands.keep,
            "upload": transfers.upload,
            "upload_page": transfers.upload_page,
            "download": transfers.download,
            "download_page": transfers.download_page,
            "download_end": transfers.download_end,
            "files_look": sending.look,
            "files_list": sending.list,
            "files_open": sending.open,
            "files_page": sending.page,
            "files_sent": sending.sent,
            "files_outside": OutsideFiles(concerned, beside).find,
            "back": back.begin,
            "back_page": back.page,
            "back_end": back.end,
            "packages": packages.declared,
            "packages_told": packages.told,
            "packages_asked": packages.asked,
        }

    async def handle(self, call: Call) -> Answer | Later | None:
        """Do what a call asks; returns and raises as handlers do."""
        handler = self._by_op.get(call.text("op"))
        if handler is None:
            raise CallRefused("The kernel does not know this request.")
        return await handler(call)

    def take_restart(self) -> Restart | None:
        """Return, once, what cell has asked for another environment."""
        restart, self._restart_asked = self._restart_asked, None
        return restart

    def close_finished(self) -> None:
        """Let go of what belongs to cells that have ended."""
        self._transfers.close_finished()
        self._back.close_finished()

    def close(self) -> None:
        """Let go of everything."""
        self._transfers.close()
        self.sending.close()
        self._back.close()

    async def _shell(self, call: Call) -> Later | None:
        work = start_command(call.relay, call.text("script"), call.text("command"))
        if call.relay.exchange.windows.tools_overlap is False:
            # It would wait behind an exchange.
            await work
            return None
        return Later(call, work)

    async def _status(self, call: Call) -> Answer:
        return {"rows": await status_rows(call, self._concerned)}, ()

    async def _restart(self, call: Call) -> Answer:
        keep = call.head.get("keep") is True
        table = self._concerned.table
        cell, _command = find_permission(table, "restart", lambda one: one.keep == keep)
        self._restart_asked = Restart(cell.msg_id, keep)
        if self._concerned.backend.is_embedded:
            return {}, ()
        return {
            "note": "The old one keeps its place in the pool until its cooldown has passed."
        }, ()
