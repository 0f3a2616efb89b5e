"""What the remote side asks this kernel to do: a table of names and who does it.

A call comes from the extension in the remote kernel, by way of the agent, as a record of
kind `call` with `id`, `op` and what the op needs; most are answered by a record of kind
`answer` with the same id. Whatever a call says was said by the environment, where the user's
code and the packages it imports can say it as well: a handler checks all of it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

from .call import Answer, Call
from .errors import AcaKernelError, CallRefused, EnvironmentGone
from .permission import find_permission
from .remote.wire import Record
from .shell_tool import start_command
from .status import status_rows
from .transfer import Transfers

if TYPE_CHECKING:
    from .backend import Backend
    from .environment import Tell
    from .requests import Request, RequestTable
    from .settings import AcaKernel

# Returns None where nothing is answered unless it fails. Raises CallRefused, other errors of
# ours, which are answered by their sentence, and EnvironmentGone, which is not.
Handler = Callable[[Call], Awaitable[Answer | None]]


class Calls:
    """Answers the calls of one kernel's environments.

    restarting: the cell at whose end the environment is to be given up, if there is one.
    """

    def __init__(
        self, table: RequestTable, backend: Backend, settings: AcaKernel, tell: Tell
    ) -> None:
        self.restarting: Request | None = None
        self._table = table
        self._backend = backend
        self._settings = settings
        self._tell = tell
        self._transfers = transfers = Transfers(table)
        self._handlers: dict[str, Handler] = {
            "shell": self._shell,
            "status": self._status,
            "restart": self._restart,
            "upload": transfers.upload,
            "upload_page": transfers.upload_page,
            "download": transfers.download,
            "download_page": transfers.download_page,
            "download_end": transfers.download_end,
        }

    async def answer(self, call: Call) -> Record | None:
        """Do what is asked and return the answer, None if none is due.

        Raises EnvironmentGone.
        """
        head: dict[str, Any] = {"kind": "answer", "id": call.head.get("id")}
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

    def close_finished(self) -> None:
        """Let go of what belongs to cells that have ended."""
        self._transfers.close_finished()

    def close(self) -> None:
        """Let go of everything."""
        self._transfers.close()

    async def _shell(self, call: Call) -> Answer | None:
        await start_command(call.environment, call.text("script"), call.text("command"), self._tell)
        return None

    async def _status(self, call: Call) -> Answer:
        return {"rows": await status_rows(call, self._backend, self._settings)}, ()

    async def _restart(self, _: Call) -> Answer:
        self.restarting, _command = find_permission(self._table, "restart")
        if self._backend.is_embedded:
            return {}, ()
        return {
            "note": "The old one keeps its place in the pool until its cooldown has passed."
        }, ()
