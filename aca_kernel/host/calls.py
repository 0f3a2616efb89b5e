"""Answers to the calls by which the environment asks this kernel for something.

A call comes from the extension in the remote kernel, by way of the agent, as a record of
kind `call` with `id`, `op` and what the op needs; most are answered by a record of kind
`answer` with the same id. Whatever a call says was said by the environment, where the user's
code and the packages it imports can say it as well: a handler checks all of it.

The handlers are a third of our modules, and a start needs none of them: `load` imports them.
"""

from __future__ import annotations

import functools
import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ..errors import AcaKernelError, EnvironmentGone
from ..remote.wire import Record
from .call import Call, Concerned, Later, Restart

if TYPE_CHECKING:
    from .call_table import CallTable


def load() -> None:
    """Import the handlers: soon, since the package may be updated while the kernel runs."""
    from . import call_table  # noqa: F401 - it is needed later


class Calls:
    """Answers the calls of one kernel's environments."""

    def __init__(self, concerned: Concerned, log: logging.Logger) -> None:
        self._concerned = concerned
        self._log = log

    @functools.cached_property
    def _table(self) -> CallTable:
        from .call_table import CallTable

        return CallTable(self._concerned)

    @property
    def _made(self) -> CallTable | None:
        return self._table if "_table" in vars(self) else None

    async def answer(self, call: Call) -> Record | Later | None:
        """Do what is asked and return the answer, None if none is due; Later: see `finish`.

        Raises EnvironmentGone.
        """
        try:
            answer = await self._table.handle(call)
        except EnvironmentGone:
            raise
        except Exception as error:  # noqa: BLE001 - it is logged, and who asks waits for an answer
            answer = self._failure(error), ()
        if answer is None or isinstance(answer, Later):
            return answer
        return _record(call, *answer)

    async def finish(self, later: Later) -> Record | None:
        """Do what takes exchanges; return the answer, also if that is an error; None: no answer."""
        try:
            head = await later.work
        except Exception as error:  # noqa: BLE001 - it is logged, and a cell waits for an answer
            head = self._failure(error)
        return None if head is None else _record(later.call, head)

    def _failure(self, error: Exception) -> dict[str, str]:
        if isinstance(error, AcaKernelError):
            return {"error": error.message}
        self._log.error("a call of the environment failed", exc_info=error)
        why = error.strerror if isinstance(error, OSError) else ""
        told = f"The kernel could not do it: {why or type(error).__name__}. Its log says more."
        return {"error": told}

    async def facts_ahead(self, commands: Sequence[str]) -> Record | None:
        """Return what goes along with a cell that has `!` lines, None for nothing."""
        found = await self._table.sending.facts_ahead(commands)
        return Record({"kind": "facts", "found": found}) if found else None

    def has_sent_file(self) -> bool:
        """Tell whether a file, or a page of one, was sent since this was asked last."""
        return self._made is not None and self._made.sending.has_sent()

    def take_restart(self) -> Restart | None:
        """Return, once, what cell has asked for another environment."""
        return None if self._made is None else self._made.take_restart()

    def close_finished(self) -> None:
        """Let go of what belongs to cells that have ended."""
        if self._made is not None:
            self._made.close_finished()

    def close(self) -> None:
        """Let go of everything."""
        if self._made is not None:
            self._made.close()


def _record(call: Call, head: dict[str, Any], parts: tuple[bytes, ...] = ()) -> Record:
    return Record({**head, "kind": "answer", "id": call.head.get("id")}, parts)
