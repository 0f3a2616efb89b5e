"""The way round a pending exchange: the shell tool, for what must not wait, or goes along.

Whether the service runs the two tools side by side is not documented, so it is found out
(`Exchange.went_round`); until then, and where it does not, exchanges are held open for a short
time only.
"""

from __future__ import annotations

import logging
import shlex
import time

from ..errors import AcaKernelError, ToolFailed
from ..remote import ahead
from ..remote.agent_folder import INTERRUPTED
from .boot import Greeting
from .environment import Environment
from .exchange import Exchange

# Of what is shown of commands.
_LONGEST_SHOWN_CHARACTERS = 10_000


class SideChannel:
    """Interrupts the remote kernel, and wakes the agent, beside the exchange of one generation.

    directory: the agent's, "" while it is not known.
    """

    def __init__(self, environment: Environment, exchange: Exchange, log: logging.Logger) -> None:
        self._environment = environment
        self._exchange = exchange
        self._log = log
        self._wake_paths: tuple[str, ...] = ()
        self._python = self.directory = ""

    def greeted(self, greeting: Greeting) -> None:
        """The agent runs."""
        self._exchange.remote_pid = greeting.remote_pid
        self._wake_paths = greeting.wake_paths
        self._python, self.directory = greeting.executable, greeting.directory

    async def interrupt(self, number: int) -> bool:
        """Send SIGINT to the remote kernel's process group; False: the exchange must do it.

        number: of this interrupt. What has been done is noted with it, in case that the answer is
        lost: a second signal would hit what handles the first one, or the next cell.
        """
        # No greeting has come yet, or there is no remote kernel: that says nothing of the tool.
        if not (self._wake_paths and self._exchange.remote_pid):
            return False
        note = shlex.quote(f"{self.directory}/{INTERRUPTED}")
        signal = f"kill -INT -{self._exchange.remote_pid} && echo {number} >{note}"
        # By what the shell does itself: another process would take a millisecond.
        look = f"{{ read -r sent <{note}; }} 2>/dev/null"
        try:
            await self._run(f'{look}; test "$sent" = {number} || {{ {signal}; }}')
        except AcaKernelError as error:
            self._log.info("interrupt through the exchange: %s", error.reason)
            # Exchanges are short from now on, so that the next is not far.
            self._exchange.windows.tools_overlap = False
            return False
        return True

    async def wake(self) -> None:
        """End the pending exchange, if there is one."""
        if self._exchange.pending_number is not None:
            await self.wake_from(self._exchange.pending_number)

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

    async def start_ahead(self, msg_id: str, commands: tuple[str, ...]) -> None:
        """Have a starter wait for the `!` commands of a cell that is being sent.

        It need not succeed (remote/ahead.py). commands: their text, for the pool's records.
        """
        shown = "\n".join(commands)[:_LONGEST_SHOWN_CHARACTERS]
        words = [
            *(self._python, "-s", "-S", f"{self.directory}/_aca_remote/starter.py"),
            *(ahead.path_of(self.directory, msg_id), "ahead", shown),
        ]
        try:
            await self._run(f"exec {shlex.join(words)}")
        except AcaKernelError as error:
            self._log.info("no starter ahead: %s", error.reason)
            if isinstance(error, ToolFailed):
                self._exchange.windows.takes_starters = False

    async def kill(self) -> None:
        """End the remote kernel and what it has started, if the pool answers at once."""
        if self._exchange.remote_pid:
            try:
                await self._environment.run_shell(
                    f"kill -TERM -{self._exchange.remote_pid}", timeout_seconds=1.0
                )
            except AcaKernelError as error:
                self._log.info("could not end the remote kernel: %s", error.reason)

    async def _run(self, command: str) -> None:
        number, started = self._exchange.pending_number, time.monotonic()
        result = await self._environment.run_shell(command)
        if result.exit_code:
            raise ToolFailed("The shell tool could not do it.", detail=result.stderr[-500:])
        self._exchange.went_round(number, time.monotonic() - started)
