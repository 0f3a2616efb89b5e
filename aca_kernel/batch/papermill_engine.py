"""The engine `aca` of papermill: `papermill IN OUT --engine aca`, and all that call papermill.

A notebook's own kernel is taken if it is one of ours, else `aca`, as by `aca-kernel run`. Unlike
with papermill's own engine, sentences of the kernel are logged and not saved as output of a cell,
and a notebook fails whose environment was lost between two cells: the rest would run without what
they made.
"""

from __future__ import annotations

from typing import Any

import nbformat
from nbclient.exceptions import CellExecutionError
from nbformat import NotebookNode
from papermill.clientwrap import PapermillNotebookClient
from papermill.engines import NBClientEngine
from papermill.log import logger
from papermill.utils import merge_kwargs, remove_args

from ..messaging.publisher import MARK, NOTICE, REASON, STATE_LOST
from .client import lost_between, sentence_of
from .kernels import Kernels


class PoolEngine(NBClientEngine):  # type: ignore[misc]  # papermill has no types
    """Runs papermill's notebooks in a session pool."""

    @classmethod
    def execute_managed_notebook(
        cls,
        nb_man: Any,
        kernel_name: str,
        log_output: bool = False,
        stdout_file: Any = None,
        stderr_file: Any = None,
        start_timeout: int = 60,
        execution_timeout: int | None = None,
        **kwargs: Any,
    ) -> NotebookNode:
        """See papermill. Raises SettingInvalid: there is no kernel `aca`."""
        options = remove_args(["input_path", "timeout", "startup_timeout"], **kwargs)
        client = _Client(
            nb_man,
            **merge_kwargs(
                options,
                timeout=execution_timeout or kwargs.get("timeout"),
                startup_timeout=start_timeout,
                kernel_name=kernel_of(nb_man.nb, kernel_name),
                log=logger,
                log_output=log_output,
                stdout_file=stdout_file,
                stderr_file=stderr_file,
            ),
        )
        done: NotebookNode = client.execute()
        return done


def kernel_of(notebook: NotebookNode, kernel_name: str) -> str:
    """Return the kernel to run a notebook by. kernel_name: its own, or the one that was asked for.

    Raises SettingInvalid: it is not there, or its settings are invalid.
    """
    named = nbformat.from_dict(  # type: ignore[no-untyped-call]
        {**notebook, "metadata": {**notebook.metadata, "kernelspec": {"name": kernel_name}}}
    )
    return Kernels(None).target_of(named).name


class _Client(PapermillNotebookClient):  # type: ignore[misc]  # as above
    """Papermill's client; knows which messages are the kernel's own."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._is_lost = False

    async def async_execute_cell(
        self, cell: NotebookNode, cell_index: int, *args: Any, **kwargs: Any
    ) -> NotebookNode:
        """See nbclient. Raises CellExecutionError as well if what came before is lost."""
        executed: NotebookNode = await super().async_execute_cell(cell, cell_index, *args, **kwargs)
        if self._is_lost:
            lost = lost_between(0)
            # papermill looks for errors in the outputs.
            error = nbformat.v4.new_output(  # type: ignore[no-untyped-call]
                "error", ename=lost.ename, evalue=lost.evalue, traceback=[lost.short]
            )
            cell.outputs = [*cell.outputs, error]
            raise CellExecutionError(lost.evalue, lost.ename, lost.evalue)
        return executed

    # papermill's loop calls it: nbclient makes it of its own `async_execute_cell`, not of ours.
    def execute_cell(self, *args: Any, **kwargs: Any) -> NotebookNode:
        """See nbclient."""
        from jupyter_core.utils import run_sync

        executed: NotebookNode = run_sync(self.async_execute_cell)(*args, **kwargs)
        return executed

    def process_message(
        self, msg: dict[str, Any], cell: NotebookNode, cell_index: int
    ) -> NotebookNode | None:
        """See nbclient."""
        metadata = msg.get("metadata", {})
        if metadata.get(MARK) != NOTICE:
            output: NotebookNode | None = super().process_message(msg, cell, cell_index)
            return output
        self._is_lost |= metadata.get(REASON) == STATE_LOST
        self.log.warning(sentence_of(msg))
        return None
