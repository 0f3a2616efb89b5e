"""nbclient, adapted to batches.

- Its kernels do not take over Ctrl-C: the batch has one answer to it for all of them.
- Notices of the kernel ("the pool is full") are progress, not output of a cell.
- Failures of the kernel are told from errors of the user's code, with --allow-errors too: a
  notebook goes on neither in an empty environment nor without any.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any

import nbformat
from jupyter_core.utils import ensure_async
from nbclient import NotebookClient
from nbclient.exceptions import CellControlSignal, CellTimeoutError, DeadKernelError
from nbformat import NotebookNode

from ..errors import EnvironmentGone, RemoteKernelDied, RemoteKernelExited
from ..messaging.publisher import FAILURE, MARK, NOTICE, REASON, STATE_LOST
from ..system import KILL_SIGNAL
from .in_process import InProcessClient
from .injection import has_tag, is_run
from .kernels import Target
from .outcomes import CellError
from .sent_ahead import PlannedCell
from .tracebacks import line_of

# Outputs may follow a reply by so much on a busy machine; nbclient drops what comes later.
_LATE_OUTPUT_SECONDS = 30

# An interrupted cell may clean up for so long; then its kernel is killed.
GRACE_SECONDS = 10.0

TIMEOUT_NAME = "CellTimeoutError"

# Reasons of failures after which a notebook is restarted: its code has not failed.
_LOST = frozenset({EnvironmentGone.reason, RemoteKernelDied.reason})
# Reasons of failures that end the process in which a cell runs.
_DEATHS = frozenset({RemoteKernelDied.reason, RemoteKernelExited.reason})

# Code with it may have outputs that a widget takes. nbclient tells the kernel of them, and cells
# behind it read that.
_WIDGETS = "widgets"

# nbclient's tag of a cell that is expected to fail. The end of its process counts, the loss of the
# environment does not: no cell does that.
_RAISES_TAG = "raises-exception"


class _RunEnded(Exception):
    """A notebook cannot go on. error: where and why."""

    def __init__(self, error: CellError) -> None:
        super().__init__(error.short)
        self.error = error


class EnvironmentLost(_RunEnded):
    """The environment, or a process that the notebook needs, has ended; its code has not failed."""


class KernelFailed(_RunEnded):
    """The kernel cannot run cells, and says why."""


class Stopped(Exception):
    """The batch is being stopped, and this notebook with it."""


async def to_the_end(work: Awaitable[None]) -> None:
    """Finish some work in spite of cancellation, then raise that."""
    task = asyncio.ensure_future(work)
    is_cancelled = False
    while not task.done():
        try:
            await asyncio.shield(task)
        except asyncio.CancelledError:
            is_cancelled = True
    if is_cancelled:
        raise asyncio.CancelledError
    task.result()


class BatchClient(NotebookClient):
    """Runs one notebook once, in a kernel of its own.

    folder: the notebook's.
    timeout_seconds: of each cell; None for no limit. That an aca kernel waits for an environment
    counts for no cell's.
    tell: called with each notice of the kernel.
    on_cell: called with a cell's number when it is sent; on_end when it has ended after its start,
    and whether by itself.
    errors: of cells, in order, except expected ones.
    seconds_of_last: that the last cell ran by its environment's clock; None: it was not sent ahead.
    """

    def __init__(
        self,
        notebook: NotebookNode,
        target: Target,
        *,
        folder: str,
        timeout_seconds: float | None,
        allow_errors: bool,
        tell: Callable[[str], None],
        on_cell: Callable[[int], None],
        on_end: Callable[[int, bool], None],
    ) -> None:
        super().__init__(
            notebook,
            kernel_name=target.name,
            resources={"metadata": {"path": folder}},
            extra_arguments=list(target.arguments),
            timeout_func=lambda _cell: timeout_seconds,
            # The traceback shows where the cell was, and --allow-errors can go on.
            interrupt_on_timeout=True,
            error_on_timeout={
                "ename": TIMEOUT_NAME,
                "evalue": f"The cell did not finish within {timeout_seconds or 0:g} s.",
                "traceback": [],
            },
            allow_errors=allow_errors,
            iopub_timeout=_LATE_OUTPUT_SECONDS,
            raise_on_iopub_timeout=True,
            on_cell_execute=self._begin_cell,
            on_cell_executed=self._look_for_quit,
            on_cell_error=self._note_error,
        )
        self.errors: list[CellError] = []
        self.seconds_of_last: float | None = None
        # None: the kernel gets a process of its own.
        self._make_manager = target.manager_maker(folder)
        self._timeout_seconds = timeout_seconds
        self._tell = tell
        self._on_cell = on_cell
        self._on_end = on_end
        self._is_remote = target.settings is not None
        self._is_ready = timeout_seconds is None or not self._is_remote
        self._is_running_cell = False
        # Of the running cell: false while it waits for an environment.
        self._has_started = False
        # The first error of nbformat in its outputs.
        self._oddity: Exception | None = None
        self._is_overdue = False
        self._has_quit = False
        self._is_stopping = False
        self._is_lost = False
        self._is_ending = False
        self._is_killed = False
        # The stream output that is being printed to, and its pieces.
        self._stream: NotebookNode | None = None
        self._pieces: list[str] = []
        self._asides: set[asyncio.Task[None]] = set()

    # -- stopping ------------------------------------------------------------------

    def interrupt(self) -> bool:
        """Interrupt the running cell and end with Stopped; False if there is none yet.

        A cell that goes on regardless is killed with its kernel.
        """
        self._is_stopping = True
        if self._is_running_cell:
            self._aside(self._interrupt_cell())
        return self._is_running_cell or self._is_ending

    async def kill(self) -> None:
        """Kill the kernel's process, now."""
        self._is_stopping = self._is_killed = True
        manager = self.km
        if manager is not None and manager.has_kernel:
            with contextlib.suppress(OSError, RuntimeError):  # it has ended by itself
                await ensure_async(manager.signal_kernel(KILL_SIGNAL))

    async def _interrupt_cell(self) -> None:
        manager = self.km
        if manager is None or not manager.has_kernel:
            return
        with contextlib.suppress(OSError, RuntimeError):  # it has ended meanwhile
            await ensure_async(manager.interrupt_kernel())
        if self._is_stopping:
            await asyncio.sleep(GRACE_SECONDS)
            await self.kill()

    def _aside(self, call: Any) -> None:
        task = asyncio.ensure_future(call)
        self._asides.add(task)
        task.add_done_callback(self._asides.discard)

    # -- nbclient's ----------------------------------------------------------------

    def create_kernel_manager(self) -> Any:
        """See nbclient."""
        if self._make_manager is None:
            return super().create_kernel_manager()
        self.km = self._make_manager()
        return self.km

    @asynccontextmanager
    async def async_setup_kernel(self, **kwargs: Any) -> AsyncIterator[None]:
        """Start a kernel and end it, leaving signals to the batch."""
        manager = self.create_kernel_manager()
        try:
            try:
                await self._start_kernel(kwargs)
            except RuntimeError:
                if self._make_manager is not None or self._is_stopping:
                    raise
                # One of its ports may have become another program's before it was bound. Without
                # that of iopub, ipykernel does not even end. No cell has run.
                self._tell("The kernel did not start. It is started again.")
                await to_the_end(self._end_kernel(manager))
                manager = self.create_kernel_manager()
                await self._start_kernel(kwargs)
            self._plan()
            yield
        finally:
            self._is_ending = True
            for task in self._asides:
                task.cancel()
            await to_the_end(self._end_kernel(manager))

    async def _start_kernel(self, options: dict[str, Any]) -> None:
        """Start a process and wait for its first answer. Raises RuntimeError: there is none."""
        await self.async_start_new_kernel(**options)
        await self.async_start_new_kernel_client()

    def _plan(self) -> None:
        """Have cells sent ahead by a kernel in this process."""
        codes = [cell for cell in self.nb.cells if is_run(cell)]
        if isinstance(self.kc, InProcessClient) and not any(
            _WIDGETS in one.source for one in codes
        ):
            self.kc.plan(
                PlannedCell(one.source, self.allow_errors or has_tag(one, _RAISES_TAG))
                for one in codes
            )

    async def _end_kernel(self, manager: Any) -> None:
        if await manager.is_alive():
            await manager.shutdown_kernel(now=self._is_killed)
        else:
            await manager.cleanup_resources()
        if self.kc is not None:
            self.kc.stop_channels()

    async def async_execute_cell(
        self,
        cell: NotebookNode,
        cell_index: int,
        execution_count: int | None = None,
        store_history: bool = True,
    ) -> NotebookNode:
        """See nbclient. Raises EnvironmentLost, KernelFailed, Stopped besides its errors."""
        self._check_stopping()
        before = self.code_cells_executed
        self._has_started, self._oddity, self._is_overdue = False, None, False
        self.seconds_of_last = None
        try:
            if not self._is_ready:
                await self._get_ready()
            executed = await super().async_execute_cell(
                cell, cell_index, execution_count, store_history
            )
        except DeadKernelError as error:
            self._check_stopping()
            raise await self._death(cell) from error
        except CellTimeoutError as error:
            self._check_going_on()
            raise KernelFailed(self._give_up(cell)) from error
        except Exception:  # these two go before any error of the cell
            self._check_going_on()
            raise
        finally:
            self._is_running_cell = False
            self._join_stream()
            self.iopub_timeout = _LATE_OUTPUT_SECONDS
            if self.code_cells_executed > before and self._has_started:
                is_whole = not (self._is_stopping or self._is_lost)
                self._on_end(self.code_cells_executed, is_whole)
        self._check_going_on()
        if self._oddity is not None:
            raise self._oddity
        return executed

    async def _async_handle_timeout(
        self, timeout: int, cell: NotebookNode | None = None
    ) -> dict[str, Any] | None:
        """See nbclient, which then waits for the last outputs of the cell."""
        self._is_overdue = True
        self.iopub_timeout = int(GRACE_SECONDS)
        return await super()._async_handle_timeout(timeout, cell)

    def _give_up(self, cell: NotebookNode) -> CellError:
        """Return the error of a cell that ignores its interrupt, and add it to the cell.

        The kernel is not killed, but shut down: so it ends its remote one as well.
        """
        text = f"The outputs of the cell did not come within {self.iopub_timeout} s."
        if self._is_overdue:
            text = f"The cell did not finish within {self._timeout_seconds or 0:g} s, nor when "
            text += "interrupted."
        return self._add_error(cell, TIMEOUT_NAME, text)

    async def _death(self, cell: NotebookNode) -> EnvironmentLost | KernelFailed:
        """Return the error of a cell whose local process has ended, and add it to the cell."""
        provisioner = self.km.provisioner if self.km is not None else None
        code = await provisioner.poll() if provisioner is not None else None
        is_exit = code is not None and code >= 0
        how = f"ended with exit status {code}" if is_exit else "was killed"
        text = f"The local kernel process {how} while the cell was running."
        failure = getattr(self.km, "failure", "")
        if failure:
            text = f"The kernel itself has failed ({failure}) while the cell was running."
        # The process that runs it has received it, even if it had no time to say so.
        self._has_started = self._has_started or not self._is_remote
        error = self._add_error(cell, "DeadKernelError", text)
        return KernelFailed(error) if is_exit else EnvironmentLost(error)

    async def _get_ready(self) -> None:
        """Run nothing, so that there is an environment for the cells."""
        assert self.kc is not None  # noqa: S101 - nbclient has made it
        msg_id = self.kc.execute("pass", store_history=False, allow_stdin=False)
        outputs = asyncio.ensure_future(self._take_notices(msg_id))
        try:
            reply = await self.async_wait_for_reply(msg_id)
        finally:
            outputs.cancel()
        content = (reply or {}).get("content", {})
        if content.get("status") != "ok":
            raise _failure(_error_of(0, reply or {}))
        self._is_ready = True

    async def _take_notices(self, msg_id: str) -> None:
        assert self.kc is not None  # noqa: S101 - nbclient has made it
        while True:
            message = await ensure_async(self.kc.iopub_channel.get_msg(timeout=None))
            is_notice = message.get("metadata", {}).get(MARK) == NOTICE
            if is_notice and message["parent_header"].get("msg_id") == msg_id:
                self._tell(sentence_of(message))

    def process_message(
        self, msg: dict[str, Any], cell: NotebookNode, cell_index: int
    ) -> NotebookNode | None:
        """See nbclient."""
        if msg["msg_type"] == "execute_input":
            self._has_started = True
        if msg.get("metadata", {}).get(MARK) != NOTICE:
            try:
                return super().process_message(msg, cell, cell_index)
            except CellControlSignal:
                raise
            except Exception as error:  # noqa: BLE001 - nbformat raises many; the cell goes on
                self._oddity = self._oddity or error
                return None
        if msg["metadata"].get(REASON) == STATE_LOST:
            # The state that this cell builds on is lost. A checkpoint does not help: cells may
            # have run since. The notebook is restarted.
            self._is_lost = True
            self._aside(self._interrupt_cell())
        else:
            self._tell(sentence_of(msg))
        return None

    def output(
        self, outs: list[NotebookNode], msg: dict[str, Any], display_id: str | None, cell_index: int
    ) -> NotebookNode | None:
        """See nbclient; joins consecutive outputs of one stream, which are cut at random.

        nbclient's coalesce_streams takes time that grows with the square of a line's length, and
        moves outputs that later cells update.
        """
        is_stream = msg["msg_type"] == "stream"
        same = self._stream
        if (
            is_stream
            and same is not None
            and outs
            and outs[-1] is same
            and same["name"] == msg["content"]["name"]
            and not self.clear_before_next_output
            and not self.output_hook_stack[msg["parent_header"].get("msg_id")]
        ):
            self._pieces.append(msg["content"]["text"])
            return None
        self._join_stream()
        made = super().output(outs, msg, display_id, cell_index)
        if is_stream and made is not None:
            self._stream, self._pieces = made, [made["text"]]
        return made

    def _join_stream(self) -> None:
        if self._stream is not None:
            self._stream["text"] = "".join(self._pieces)
        self._stream, self._pieces = None, []

    def _check_stopping(self) -> None:
        if self._is_stopping:
            raise Stopped

    def _check_going_on(self) -> None:
        self._check_stopping()
        if self._is_lost:
            raise EnvironmentLost(lost_between(self.code_cells_executed))

    def _begin_cell(self, **_: Any) -> None:
        if self._has_quit:
            text = "The cell has ended its kernel, and other cells follow it: take out its quit()."
            raise KernelFailed(CellError(self.code_cells_executed, "KernelEnded", text))
        self._is_running_cell = True
        self._on_cell(self.code_cells_executed + 1)

    def _look_for_quit(self, execute_reply: dict[str, Any], **_: Any) -> None:
        if isinstance(self.kc, InProcessClient) and self.kc.was_ahead:
            self.seconds_of_last = _seconds_of(execute_reply)
        content = execute_reply["content"]
        if content.get("status") == "aborted" and not self._is_stopping:
            # Behind a loss that no reply has told of. nbclient would go on.
            raise EnvironmentLost(lost_between(self.code_cells_executed))
        payload = content.get("payload", [])
        self._has_quit |= any(
            one.get("source") == "ask_exit" and not one.get("keepkernel") for one in payload
        )

    def _note_error(self, cell: NotebookNode, execute_reply: dict[str, Any], **_: Any) -> None:
        error = _error_of(self.code_cells_executed, execute_reply)
        if self._is_stopping or self._is_lost:
            return
        if error.is_ours:
            # Code may end its process before that has said that it has started.
            is_death = error.reason in _DEATHS
            self._has_started = self._has_started or is_death
            if is_death and has_tag(cell, _RAISES_TAG):
                # As nbclient does: the rest runs in the new process that the kernel starts.
                return
            raise _failure(error)
        if not has_tag(cell, _RAISES_TAG):
            self.errors.append(error)
        if error.ename == TIMEOUT_NAME:
            self._add_error(cell, error.ename, error.evalue)

    def _add_error(self, cell: NotebookNode, ename: str, evalue: str) -> CellError:
        output = nbformat.v4.new_output(  # type: ignore[no-untyped-call]
            "error", ename=ename, evalue=evalue, traceback=[]
        )
        cell.outputs.append(output)
        return CellError(self.code_cells_executed, ename, evalue)


def lost_between(cell: int) -> CellError:
    """Return the error of a notebook that has lost its state ahead of a cell."""
    text = "The session environment, or the process in it, ended between two cells."
    return CellError(cell, EnvironmentGone.__name__, text)


def _error_of(cell: int, reply: dict[str, Any]) -> CellError:
    """Return the error of a failed reply; `is_ours` if it is the kernel's own."""
    content, metadata = reply.get("content", {}), reply.get("metadata", {})
    return CellError(
        cell,
        str(content.get("ename", "")),
        str(content.get("evalue", "")),
        is_ours=metadata.get(MARK) == FAILURE,
        reason=str(metadata.get(REASON, "")),
        line=line_of([str(one) for one in content.get("traceback") or ()]),
    )


def _seconds_of(reply: dict[str, Any]) -> float | None:
    """Return how long a cell ran, by two times of one clock; None if the reply does not say."""
    try:
        started = datetime.fromisoformat(reply["metadata"]["started"].replace("Z", "+00:00"))
        return max(0.0, float((reply["header"]["date"] - started).total_seconds()))
    except (KeyError, AttributeError, TypeError, ValueError):  # another kernel's, or the batch's
        return None


def sentence_of(notice: dict[str, Any]) -> str:
    """Return the text of a notice without its line breaks, which are for a cell's output."""
    return " ".join(str(notice["content"].get("text", "")).split())


def _failure(error: CellError) -> EnvironmentLost | KernelFailed:
    return EnvironmentLost(error) if error.reason in _LOST else KernelFailed(error)
