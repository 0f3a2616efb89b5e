"""The way round a pending exchange: the shell tool, for what must not wait.

Whether the service runs the two tools side by side is not documented, so it is found out;
until then, and where it does not, exchanges are held open for a short time only.
"""

from __future__ import annotations

import logging
import shlex
import time
from typing import TYPE_CHECKING

from ..errors import AcaKernelError, EnvironmentGone, ToolFailed

if TYPE_CHECKING:
    from .boot import Greeting
    from .environment import Environment

# How long the agent may hold an exchange open: until it is known whether the shell tool
# gets past it, when it does, and when it does not (an interrupt then waits for its end).
WINDOW_UNKNOWN_SECONDS = 2.0
WINDOW_CONCURRENT_SECONDS = 20.0
WINDOW_SERIALISED_SECONDS = 1.0


class SideChannel:
    """Interrupts the remote kernel, and wakes the agent, beside the exchange of one generation.

    pending_number: of the exchange that is pending, None if there is none.
    remote_pid: of the remote kernel, 0 while there is none.
    tools_overlap: whether the shell tool gets past an exchange; None while it is not known.
    """

    def __init__(self, environment: Environment, log: logging.Logger) -> None:
        self.pending_number: int | None = None
        self.remote_pid = 0
        self.tools_overlap: bool | None = None
        self._environment = environment
        self._log = log
        self._wake_paths: tuple[str, ...] = ()

    def greeted(self, greeting: Greeting) -> None:
        """The agent runs."""
        self.remote_pid = greeting.remote_pid
        self._wake_paths = greeting.wake_paths

    @property
    def window_seconds(self) -> float:
        """How long an exchange may be held open without making an interrupt wait."""
        if self.tools_overlap is None:
            return WINDOW_UNKNOWN_SECONDS
        return WINDOW_CONCURRENT_SECONDS if self.tools_overlap else WINDOW_SERIALISED_SECONDS

    @property
    def is_overlap_known(self) -> bool:
        """Whether it has been found out that the shell tool gets past an exchange, or not."""
        return self.tools_overlap is not None

    async def interrupt(self) -> bool:
        """Send SIGINT to the remote kernel's process group; False: the exchange must do it."""
        try:
            if not self.remote_pid:
                raise EnvironmentGone("There is no remote kernel to interrupt.")
            await self._run(f"kill -INT -{self.remote_pid}")
        except AcaKernelError as error:
            self._log.info("interrupt through the exchange: %s", error.reason)
            # From now on exchanges are short, so that the next one does not wait long.
            self.tools_overlap = False
            return False
        return True

    async def wake(self) -> None:
        """End the pending exchange, if there is one."""
        if self.pending_number is not None:
            await self.wake_from(self.pending_number)

    async def wake_from(self, number: int) -> None:
        """End the exchange of this number, also one whose answer was lost."""
        if not self._wake_paths:
            return
        # Opened for both directions, a FIFO without a reader does not block the shell.
        ways = [
            f"test -p {path} && echo {number} 1<>{path}"
            for path in map(shlex.quote, self._wake_paths)
        ]
        try:
            await self._run(" || ".join(ways))
        except AcaKernelError as error:  # the window's end brings the same, later
            self._log.info("could not wake the agent: %s", error.reason)

    async def kill(self) -> None:
        """End the remote kernel and what it has started, if the pool answers at once."""
        if self.remote_pid:
            try:
                await self._environment.run_shell(
                    f"kill -TERM -{self.remote_pid}", timeout_seconds=1.0
                )
            except AcaKernelError as error:
                self._log.info("could not end the remote kernel: %s", error.reason)

    async def _run(self, command: str) -> None:
        number, started = self.pending_number, time.monotonic()
        result = await self._environment.run_shell(command)
        if result.exit_code:
            raise ToolFailed("The shell tool could not do it.", detail=result.stderr[-500:])
        seconds = time.monotonic() - started
        if number is None or self.tools_overlap is not None:
            return
        if self.pending_number == number:
            self.tools_overlap = True
        elif seconds > WINDOW_UNKNOWN_SECONDS / 2:
            self.tools_overlap = False
