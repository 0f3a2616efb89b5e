"""`!` commands: what the extension in the remote kernel asks for, done with the shell tool."""

from __future__ import annotations

import shlex
import time

from ..environment.relay import Relay
from ..errors import ToolFailed
from ..pool.tool_result import ToolResult

# The command's text is only for who reads the pool's records: the script has it too, and
# no argument may be longer than 128 KiB.
_LONGEST_SHOWN_CHARACTERS = 10_000


async def start_command(relay: Relay, script: str, command: str) -> None:
    """Start a command that remote/shell.py has prepared.

    script: path of what starts the command detached, and only once however often it is
    run, so that a lost answer may be asked for again; output and end come back through
    the remote kernel. command: its text, for the pool's records.
    Raises EnvironmentGone and the errors of Environment.persist.
    Raises ToolFailed: the shell tool did not start it, and says why.
    """
    shown = f" {shlex.quote(command)}" if len(command) < _LONGEST_SHOWN_CHARACTERS else ""
    line = f"sh {shlex.quote(script)}{shown}"
    environment, started = relay.environment, 0.0

    async def run() -> ToolResult:
        nonlocal started
        started = time.monotonic()  # of the attempt that is answered
        return await environment.run_shell(line)

    number = relay.exchange.last_number + 1
    result = await environment.persist(run)
    relay.exchange.went_round(number, time.monotonic() - started)
    if result.is_failed or result.exit_code:
        reason = (result.stderr or result.error_text).strip() or "no reason was given"
        raise ToolFailed(f"The shell tool could not run it: {reason}")
