"""`!` commands of the remote kernel, started with the shell tool."""

from __future__ import annotations

import shlex

from ..environment.environment import Environment
from ..environment.retry import Tell
from ..errors import ToolFailed

# The text is for the pool's records only: the script has it, too, and an argument is limited to
# 128 KiB.
_LONGEST_SHOWN_CHARACTERS = 10_000


async def start_command(environment: Environment, script: str, command: str, tell: Tell) -> None:
    """Start a command that remote/shell.py has prepared.

    script: its path; it starts the command detached and at most once, so that the call may be
    repeated. Output and end come back through the remote kernel. command: the text, for the
    pool's records.
    Raises EnvironmentGone and the errors of Environment.persist.
    Raises ToolFailed: the shell tool did not start it, and says why.
    """
    shown = f" {shlex.quote(command)}" if len(command) < _LONGEST_SHOWN_CHARACTERS else ""
    line = f"sh {shlex.quote(script)}{shown}"
    result = await environment.persist(lambda: environment.run_shell(line), tell=tell)
    if result.is_failed or result.exit_code:
        reason = (result.stderr or result.error_text).strip() or "no reason was given"
        raise ToolFailed(f"The shell tool could not run it: {reason}")
