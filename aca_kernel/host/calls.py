"""Calls of the remote side to this kernel, and the table of their handlers.

A call comes from the extension in the remote kernel, by way of the agent, as a record of
kind `call` with `id`, `op` and arguments; most are answered by a record of kind `answer` with
the same id. The user's code and the packages it imports can send calls, too: a handler checks
all arguments.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

from ..checkpoint import wording
from ..checkpoint.checkpoints import Checkpoints
from ..checkpoint.schedule import Schedule
from ..environment.retry import Tell
from ..errors import AcaKernelError, EnvironmentGone
from ..messaging.requests import RequestTable
from ..pool.backend import Backend
from ..remote.wire import Record
from ..settings import AcaKernel
from .call import Answer, Call, Restart, unexpected
from .checkpoint_commands import CheckpointCommands
from .notebook_files.sending import Sending, notebook_folder
from .notebook_files.write_back import WriteBack
from .permission import find_permission
from .shell import start_command
from .status import status_rows
from .transfer import Transfers

# Returns None where only a failure is answered. Raises CallRefused, other errors of ours, which
# are answered by their sentence, and EnvironmentGone, which is not.
Handler = Callable[[Call], Awaitable[Answer | None]]


class Calls:
    """The handlers of calls of one kernel's environments.

    tell_user: shows the user a sentence, with the running cell.
    do_later: runs a coroutine that takes exchanges, and sends the record that it returns.
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
        log: logging.Logger,
    ) -> None:
        self._restart_asked: Restart | None = None
        self._log = log
        self._checkpoints = checkpoints
        self._schedule = schedule
        self._table = table
        self._backend = backend
        self._settings = settings
        self._tell = tell
        commands = CheckpointCommands(table, settings, checkpoints, schedule, do_later, log)
        folder = notebook_folder()
        self._transfers = transfers = Transfers(table, folder.place_of)
        self._sending = sending = Sending(settings, folder, tell_user)
        self._back = back = WriteBack(settings, folder, table)
        self._handlers: dict[str, Handler] = {
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
            "back": back.begin,
            "back_page": back.page,
            "back_end": back.end,
        }

    async def answer(self, call: Call) -> Record | None:
        """Handle a call and return the answer, None if none is due. Raises EnvironmentGone."""
        head = {"kind": "answer", "id": call.head.get("id")}
        try:
            handler = self._handlers.get(call.text("op"))
            if handler is None:
                return Record({**head, "error": "The kernel does not know this request."})
            answer = await handler(call)
        except EnvironmentGone:
            raise
        except AcaKernelError as error:
            return Record({**head, "error": error.message})
        except Exception as error:  # noqa: BLE001 - it is logged, and the caller needs an answer
            return Record({**head, "error": unexpected(error, self._log)})
        return None if answer is None else Record({**answer[0], **head}, answer[1])

    def has_sent_file(self) -> bool:
        """Tell whether a file, or a page of one, was sent since the last call of this."""
        return self._sending.has_sent()

    def take_restart(self) -> Restart | None:
        """Return, once, the request of a cell for another environment."""
        restart, self._restart_asked = self._restart_asked, None
        return restart

    def close_finished(self) -> None:
        """Close the transfers of cells that have ended."""
        self._transfers.close_finished()
        self._back.close_finished()

    def close(self) -> None:
        """Close all transfers."""
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
        cell, _command = find_permission(self._table, "restart", lambda one: one.keep == keep)
        self._restart_asked = Restart(cell.msg_id, keep)
        if self._backend.is_embedded:
            return {}, ()
        return {
            "note": "The old one keeps its place in the pool until its cooldown has passed."
        }, ()
