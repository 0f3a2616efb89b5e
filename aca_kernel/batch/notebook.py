"""One notebook, from its source to its outcome."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import IO, Any

from nbclient.exceptions import CellExecutionError
from nbformat import NotebookNode

from ..errors import AcaKernelError
from ..packages import notebook_block
from .client import BatchClient, EnvironmentLost, KernelFailed, Stopped, to_the_end
from .finding import Job
from .injection import inject, is_run
from .kernels import Kernels, Target
from .notebook_io import fingerprint, is_done, prepare, read_notebook
from .outcomes import CellError, Outcome, Status
from .progress import Progress
from .saving import Saver

_log = logging.getLogger(__name__)

# The end of a log says why a kernel did not start.
_LOG_BYTES = 4096


@dataclass(frozen=True)
class Options:
    """Options of every notebook of a batch.

    timeout_seconds: of each cell; None for no limit.
    retries: how often to restart a notebook whose environment was lost.
    """

    timeout_seconds: float | None = None
    allow_errors: bool = False
    resume: bool = False
    retries: int = 3
    parameters: Mapping[str, Any] = field(default_factory=dict)


class NotebookRun:
    """Runs one notebook; `outcome` is right at any time."""

    def __init__(self, job: Job, options: Options, kernels: Kernels, progress: Progress) -> None:
        self.outcome = Outcome(job.name, job.source, job.output)
        self._job = job
        self._options = options
        self._kernels = kernels
        self._progress = progress
        self._client: BatchClient | None = None
        self._is_stopping = False
        self._is_saving = False
        # A cell of this attempt has started, so that there is something to save.
        self._has_started = False
        self._cell_began = 0.0

    async def run(self) -> None:
        """Run it, with its retries; errors are in the outcome.

        It is cancelled where `interrupt` cannot stop it.
        """
        started = time.monotonic()
        try:
            await self._run()
        except (asyncio.CancelledError, Stopped):
            if not self._is_stopping:
                raise
            self.outcome.status = Status.INTERRUPTED
        except AcaKernelError as error:
            self._fail(CellError(0, type(error).__name__, error.message, is_ours=True))
        except OSError as error:
            text = f"{error.strerror or error}: {error.filename or self._job.output}"
            self._fail(CellError(0, "OSError", text))
        except Exception as error:  # noqa: BLE001 - one odd notebook must not end the others
            self._fail_oddly(0, error)
        finally:
            self._client = None
            self.outcome.seconds = time.monotonic() - started

    def interrupt(self) -> bool:
        """Make `run` end soon; False if it must be cancelled for that."""
        self._is_stopping = True
        return self._is_saving or (self._client is not None and self._client.interrupt())

    async def kill(self) -> None:
        """Kill the kernel, so that `run` ends at once."""
        self._is_stopping = True
        if self._client is not None:
            await self._client.kill()

    async def _run(self) -> None:
        outcome, options = self.outcome, self._options
        notebook = read_notebook(self._job.source)
        target = self._kernels.target_of(notebook)
        outcome.kernel = target.name
        print_ = fingerprint(
            notebook, options.parameters, kernel=target.name, allow_errors=options.allow_errors
        )
        if options.resume and is_done(self._job.output, print_):
            outcome.status = Status.SKIPPED
            return
        while True:
            outcome.attempts += 1
            try:
                await self._attempt(notebook, target, print_)
            except EnvironmentLost as lost:
                outcome.errors = [lost.error]
                if outcome.attempts > options.retries:
                    outcome.status = Status.FAILED
                    return
                self._progress.say(outcome.name, f"{lost.error.sentence} It is restarted.")
                notebook = read_notebook(self._job.source)
            else:
                return

    async def _attempt(self, notebook: NotebookNode, target: Target, print_: str) -> None:
        """Run every cell, saving them as they finish. Raises EnvironmentLost."""
        outcome = self.outcome
        prepare(notebook)
        inject(notebook, self._options.parameters, target.name, target.language)
        outcome.cells, outcome.cells_run = sum(map(is_run, notebook.cells)), 0
        outcome.cell_seconds = []
        self._has_started = False
        saver = Saver(notebook, self._job.output, print_)
        with tempfile.TemporaryFile() as log:
            client = self._client = BatchClient(
                notebook,
                target,
                folder=os.path.dirname(self._job.source),
                timeout_seconds=self._options.timeout_seconds,
                allow_errors=self._options.allow_errors,
                tell=lambda text: self._progress.say(outcome.name, text),
                on_cell=self._on_cell,
                on_end=lambda number, is_whole: self._on_end(number, saver, is_whole=is_whole),
            )
            state = "interrupted"
            try:
                # A kernel's own output is a log, not for the terminal.
                env = {**os.environ, **target.variables, **_packages(notebook)}
                await client.async_execute(env=env, stdout=log, stderr=log)
                outcome.errors = client.errors
                outcome.status, state = Status.DONE, "done"
            except (EnvironmentLost, Stopped):
                raise
            except KernelFailed as failed:
                state = "failed"
                self._fail(failed.error)
                outcome.errors = [*client.errors, failed.error]
            except CellExecutionError:
                state = "failed"
                outcome.errors = client.errors
                outcome.status = Status.FAILED
            except RuntimeError as error:
                # nbclient's and jupyter_client's error of a kernel that does not start.
                self._fail(CellError(0, "KernelNotStarted", f"{error}{_last_line(log)}"))
            except Exception as error:  # noqa: BLE001 - an output that nbformat trips over
                state = "failed"
                self._fail_oddly(client.code_cells_executed, error)
                outcome.errors = [*client.errors, *outcome.errors]
            finally:
                # A notebook without a started cell keeps its outputs.
                self._is_saving = True
                if self._has_started or state == "done":
                    await to_the_end(saver.finish(state))
                self._is_saving = False
                # nbclient's objects form a cycle: without this many notebooks would be in memory
                # until the garbage collector runs.
                notebook.cells = []
                notebook.metadata.clear()
                client.reset_execution_trackers()

    def _on_cell(self, number: int) -> None:
        self._cell_began = time.monotonic()
        self._progress.cell(self.outcome.name, number, self.outcome.cells)

    def _on_end(self, number: int, saver: Saver, *, is_whole: bool) -> None:
        self._has_started = True
        seconds = self._client.seconds_of_last if self._client is not None else None
        if seconds is None:
            seconds = time.monotonic() - self._cell_began
        self.outcome.cell_seconds.append(seconds)
        if is_whole:
            self.outcome.cells_run = number
        saver.changed()

    def _fail_oddly(self, cell: int, error: Exception) -> None:
        _log.info("%s has failed", self.outcome.name, exc_info=error)
        self._fail(CellError(cell, type(error).__name__, str(error)))

    def _fail(self, error: CellError) -> None:
        self.outcome.status = Status.FAILED
        self.outcome.errors = [error]


def _packages(notebook: NotebookNode) -> dict[str, str]:
    """Return variables that tell a kernel what the notebook's script metadata asks for."""
    found = notebook_block.of_cells(
        cell.source for cell in notebook.cells if cell.cell_type == "code"
    )
    return {} if found is None else {notebook_block.VARIABLE: json.dumps(found)}


def _last_line(log: IO[bytes]) -> str:
    """Return the last line of a kernel's log, behind a space, or nothing."""
    size = log.seek(0, os.SEEK_END)
    log.seek(max(0, size - _LOG_BYTES))
    lines = log.read().decode("utf-8", "replace").strip().splitlines()
    return f" ({lines[-1].strip()})" if lines else ""
