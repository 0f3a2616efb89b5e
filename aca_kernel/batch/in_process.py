"""Kernels in the batch's own process: jupyter_client's manager and client, as nbclient uses them.

No process, no socket, no signature: the driver of a core (kernel/driver.py) is a task on the
batch's event loop, and its front end's channels are queues. A kernel that fails ends alone, as a
process would.
"""

from __future__ import annotations

import asyncio
import logging
import uuid
from collections.abc import Iterable, Mapping
from typing import Any

from ..app import begin_launching
from ..kernel.driver import Driver
from ..kernel.events import Event
from ..messaging.memory_channels import MemoryChannel, MemoryChannels, Message
from ..packages import notebook_block
from ..system import KILL_SIGNAL
from .leases import Lease, Leases
from .sent_ahead import CellsAhead, HeldChannel, PlannedCell

# A library's logger: nothing is shown unless the program wants it.
_log = logging.getLogger("aca_kernel.in_process")
_log.addHandler(logging.NullHandler())

# As long as jupyter_client waits for a process that is shut down.
_SHUTDOWN_SECONDS = 5.0


class InProcessManager:
    """One kernel, as a KernelManager is of a process.

    folder: the notebook's. failure: the type of the error that the kernel has ended by, "" if none.
    """

    ipykernel = False

    def __init__(self, leases: Leases, folder: str) -> None:
        self.kernel_id = uuid.uuid4().hex
        self.failure = ""
        self._leases = leases
        self._folder = folder
        self._driver: Driver | None = None
        self._serving: asyncio.Task[None] | None = None
        self._channels: MemoryChannels | None = None
        self._is_killed = False

    @property
    def has_kernel(self) -> bool:
        """Whether it was started."""
        return self._serving is not None

    @property
    def provisioner(self) -> InProcessManager:
        """Who knows how the kernel has ended."""
        return self

    async def start_kernel(self, *, env: Mapping[str, str] | None = None, **_: Any) -> None:
        """Start the kernel. env: the variables that its process would have.

        Raises RuntimeError: it cannot work with its settings.
        """
        app, lease = self._leases.app, self._leases.take()
        identity = app.identity()
        config = app.remote_config(
            lease.settings,
            identity,
            kernel_id=self.kernel_id[:24],
            notebook=self._leases.environ.get("JPY_SESSION_NAME", ""),
            variables=self._leases.variables_for(lease, self._folder),
            packages=notebook_block.told(env or {}),
            folder=self._folder,
        )
        inbox: asyncio.Queue[Event] = asyncio.Queue()
        self._channels = MemoryChannels(**identity)
        launcher = begin_launching(lease.backend, lease.settings, config, inbox, _log)
        self._driver = Driver(
            self._channels, lease.backend, lease.settings, launcher, inbox, _log, self._folder
        )
        self._serving = asyncio.ensure_future(self._serve(self._driver, lease))

    async def _serve(self, driver: Driver, lease: Lease) -> None:
        try:
            await driver.serve()
        except Exception as error:  # noqa: BLE001 - it is logged, and no other notebook's trouble
            self.failure = type(error).__name__
            _log.error("a kernel has failed", exc_info=error)
        finally:
            self._leases.give_back(lease)

    def client(self) -> InProcessClient:
        """Return its front end."""
        assert self._channels is not None  # noqa: S101 - nbclient has started it
        return InProcessClient(self, self._channels)

    async def is_alive(self) -> bool:
        """Tell whether it runs."""
        return await self.poll() is None

    async def poll(self) -> int | None:
        """Return what a process's exit status would be, None while it runs."""
        if self._is_killed:
            return -KILL_SIGNAL
        if self._serving is None or self._serving.done():
            return 1 if self.failure else 0
        return None

    async def interrupt_kernel(self) -> None:
        """Interrupt the running cell."""
        if self._driver is not None:
            self._driver.interrupt()

    async def signal_kernel(self, signum: int) -> None:
        """End the kernel without waiting for that; there is no other signal."""
        self._is_killed = self._is_killed or signum == KILL_SIGNAL
        if self._driver is not None:
            self._driver.stop()

    async def shutdown_kernel(self, now: bool = False, restart: bool = False) -> None:
        """End the kernel. now: in the middle of a cell, too."""
        if self._channels is not None and self._driver is not None:
            if now:
                self._driver.stop()
            else:
                request = self._channels.session.msg("shutdown_request", {"restart": restart})
                self._channels.control.send(request)
        await self.cleanup_resources()

    async def cleanup_resources(self, restart: bool = False) -> None:  # noqa: ARG002 - jupyter_client's
        """Wait for its end."""
        if self._serving is not None:
            _, late = await asyncio.wait([self._serving], timeout=_SHUTDOWN_SECONDS)
            for one in late:
                one.cancel()
                await asyncio.gather(one, return_exceptions=True)


class InProcessClient:
    """The front end of a kernel in this process, as a KernelClient is of another one's.

    session: makes messages.
    """

    def __init__(self, manager: InProcessManager, channels: MemoryChannels) -> None:
        self.allow_stdin = False
        self.session = channels.session
        self.shell_channel = HeldChannel(channels.shell)
        self.iopub_channel = HeldChannel(channels.iopub)
        self.stdin_channel: MemoryChannel = channels.stdin
        self.control_channel: MemoryChannel = channels.control
        self._manager = manager
        self._planned: CellsAhead | None = None

    @property
    def was_ahead(self) -> bool:
        """Whether the last cell had been sent before it was asked for."""
        return self._planned is not None and self._planned.was_ahead

    def plan(self, cells: Iterable[PlannedCell]) -> None:
        """Send cells ahead: these, and no others with a history, are going to be executed."""
        channels = (self.shell_channel, self.iopub_channel)
        self._planned = CellsAhead(channels, cells, self._send_planned)

    def start_channels(self) -> None:
        """See KernelClient: there is nothing to connect."""

    def stop_channels(self) -> None:
        """See KernelClient."""

    async def wait_for_ready(self, timeout: float | None = None) -> None:
        """See KernelClient: there is nothing to wait for."""

    async def is_alive(self) -> bool:
        """Tell whether the kernel runs."""
        return await self._manager.is_alive()

    def kernel_info(self) -> str:
        """Ask for the kernel's description; return the request's id."""
        return self._request("kernel_info_request", {})

    def execute(
        self,
        code: str,
        silent: bool = False,
        store_history: bool = True,
        user_expressions: dict[str, str] | None = None,
        allow_stdin: bool | None = None,
        stop_on_error: bool = True,
    ) -> str:
        """Run code; return the request's id."""
        if store_history and self._planned is not None:
            return self._planned.take(code)
        content = {
            "code": code,
            "silent": silent,
            "store_history": store_history,
            "user_expressions": user_expressions or {},
            "allow_stdin": self.allow_stdin if allow_stdin is None else allow_stdin,
            "stop_on_error": stop_on_error,
        }
        return self._request("execute_request", content)

    def _send_planned(self, cell: PlannedCell, metadata: dict[str, Any]) -> str:
        content = {
            "code": cell.code,
            "silent": False,
            "store_history": True,
            "user_expressions": {},
            "allow_stdin": self.allow_stdin,
            "stop_on_error": not cell.may_fail,
        }
        return self._request("execute_request", content, metadata)

    def _request(
        self, msg_type: str, content: dict[str, Any], metadata: dict[str, Any] | None = None
    ) -> str:
        message: Message = self.session.msg(msg_type, content, metadata=metadata)
        self.shell_channel.send(message)
        return str(message["msg_id"])
