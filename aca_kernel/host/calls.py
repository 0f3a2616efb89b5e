"""What the remote side asks this kernel to do: a table of names and who does it.

A call comes from the extension in the remote kernel, by way of the agent, as a record of
kind `call` with `id`, `op` and what the op needs; most are answered by a record of kind
`answer` with the same id. Whatever a call says was said by the environment, where the user's
code and the packages it imports can say it as well: a handler checks all of it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine
from typing import TYPE_CHECKING, Any

from ..checkpoint import wording
from ..errors import AcaKernelError, CallRefused, EnvironmentGone
from ..remote.command_line import keep_seconds
from ..remote.wire import Record
from .call import Answer, Call
from .notebook_files.sending import Sending, notebook_folder
from .notebook_files.write_back import WriteBack
from .permission import find_permission
from .shell import start_command
from .status import status_rows
from .transfer import Transfers

if TYPE_CHECKING:
    from ..checkpoint.checkpoints import Checkpoints
    from ..checkpoint.schedule import Schedule
    from ..environment.environment import Tell
    from ..messaging.requests import Request, RequestTable
    from ..pool.backend import Backend
    from ..settings import AcaKernel

# Returns None where nothing is answered unless it fails. Raises CallRefused, other errors of
# ours, which are answered by their sentence, and EnvironmentGone, which is not.
Handler = Callable[[Call], Awaitable[Answer | None]]


class Calls:
    """Answers the calls of one kernel's environments.

    restarting: the cell at whose end the environment is to be given up, if there is one.
    keeps_state: whether variables and files are to be brought to the next one then.
    tell_user: shows the user a sentence, with the running cell.
    do_later: does what takes exchanges, and sends what it returns when it is done.
    """

    def __init__(
        self,
        table: RequestTable,
        backend: Backend,
        settings: AcaKernel,
        checkpoints: Checkpoints,
        schedule: Schedule,
        tell: Tell,
        do_later: Callable[[Coroutine[Any, Any, Record]], None],
        tell_user: Callable[[str], object],
    ) -> None:
        self.restarting: Request | None = None
        self.keeps_state = False
        self._checkpoints = checkpoints
        self._schedule = schedule
        self._do_later = do_later
        self._table = table
        self._backend = backend
        self._settings = settings
        self._tell = tell
        folder = notebook_folder()
        self._transfers = transfers = Transfers(table, folder.place_of)
        self._sending = sending = Sending(settings, folder, tell_user)
        self._back = back = WriteBack(settings, folder, table)
        self._handlers: dict[str, Handler] = {
            "shell": self._shell,
            "status": self._status,
            "restart": self._restart,
            "checkpoint": self._checkpoint,
            "checkpoint_end": self._checkpoint_end,
            "restore": self._restore,
            "restored": self._restored,
            "keep": self._keep,
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
            "back": back.begin,
            "back_page": back.page,
            "back_end": back.end,
        }

    async def answer(self, call: Call) -> Record | None:
        """Do what is asked and return the answer, None if none is due.

        Raises EnvironmentGone.
        """
        head = {"kind": "answer", "id": call.head.get("id")}
        try:
            handler = self._handlers.get(call.text("op"))
            if handler is None:
                raise CallRefused("The kernel does not know this request.")
            answer = await handler(call)
        except EnvironmentGone:
            raise
        except AcaKernelError as error:
            return Record({**head, "error": error.message})
        return None if answer is None else Record({**answer[0], **head}, answer[1])

    def _later(self, call: Call, work: Coroutine[Any, Any, dict[str, Any]]) -> None:
        """Answer a call when something is done that needs the pump meanwhile."""

        async def answer() -> Record:
            head = {"kind": "answer", "id": call.head.get("id")}
            try:
                return Record({**await work, **head})
            except AcaKernelError as error:
                return Record({**head, "error": error.message})

        self._do_later(answer())

    def has_sent_file(self) -> bool:
        """Tell whether a file, or a page of one, was sent since this was asked last."""
        return self._sending.has_sent()

    def is_restart_due(self) -> bool:
        """Tell whether the cell that asked for another environment has ended."""
        cell = self.restarting
        return cell is not None and self._table.find(cell.msg_id) is None

    def close_finished(self) -> None:
        """Let go of what belongs to cells that have ended."""
        self._transfers.close_finished()
        self._back.close_finished()

    def close(self) -> None:
        """Let go of everything."""
        self._transfers.close()
        self._sending.close()
        self._back.close()

    async def _shell(self, call: Call) -> Answer | None:
        await start_command(call.environment, call.text("script"), call.text("command"), self._tell)
        return None

    async def _status(self, call: Call) -> Answer:
        kept = self._schedule.kept_seconds()
        rows = await status_rows(call, self._backend, self._settings, kept)
        rows += wording.status_rows(self._checkpoints.skipped, self._checkpoints.missing)
        return {"rows": rows}, ()

    async def _restart(self, call: Call) -> Answer:
        keep = call.head.get("keep") is True
        self.restarting, _command = find_permission(
            self._table, "restart", lambda one: one.keep == keep
        )
        self.keeps_state = keep
        if self._backend.is_embedded:
            return {}, ()
        return {
            "note": "The old one keeps its place in the pool until its cooldown has passed."
        }, ()

    # -- checkpoints ---------------------------------------------------------------

    async def _checkpoint(self, call: Call) -> None:
        self._find_storing(call)
        if self._settings.checkpoint == "off":
            raise CallRefused("Checkpoints are switched off by the setting `checkpoint`.")

        async def work() -> dict[str, Any]:
            return await self._checkpoints.begin()

        self._later(call, work())

    async def _checkpoint_end(self, call: Call) -> None:
        self._find_storing(call)

        async def work() -> dict[str, Any]:
            return {"told": await self._checkpoints.end()}

        self._later(call, work())

    def _find_storing(self, call: Call) -> None:
        """Raises CallRefused: no running cell has the line that the call says it is of."""
        if call.text("line") == "restart":
            find_permission(self._table, "restart", lambda one: one.keep)
        else:
            find_permission(self._table, "checkpoint")

    async def _restore(self, call: Call) -> None:
        find_permission(self._table, "restore")
        if self._settings.restore == "off":
            raise CallRefused("Restoring is switched off by the setting `restore`.")

        async def work() -> dict[str, Any]:
            if not await self._checkpoints.begin_restoring():
                raise CallRefused("There is nothing to restore: no checkpoint has been taken yet.")
            return {}

        self._later(call, work())

    async def _restored(self, call: Call) -> Answer:
        find_permission(self._table, "restore")
        given = call.head.get("report")
        report = given if isinstance(given, dict) else {}
        self._checkpoints.restored(report)
        return {"told": wording.restored(report, 0, is_asked=True) + "."}, ()

    async def _keep(self, call: Call) -> Answer:
        time = call.text("time")
        find_permission(self._table, "keep", lambda one: one.path == time)
        seconds = keep_seconds(time) or 0
        self._schedule.keep(seconds)
        if not seconds:
            return {"told": "The environment is kept for its cooldown only."}, ()
        return {
            "told": f"The environment is kept for {time} from now on, also without use. It keeps "
            "its place in the pool as long."
        }, ()
