"""`!` commands: what the extension in the remote kernel asks for, done with the shell tool."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, Any

from .errors import AcaKernelError, EnvironmentGone
from .remote.wire import Record

if TYPE_CHECKING:
    from .environment import Environment, Tell

# The command's text is only for who reads the pool's records: the script has it too, and
# no argument may be longer than 128 KiB.
_LONGEST_SHOWN_CHARACTERS = 10_000


async def start_command(
    environment: Environment, call: dict[str, Any], tell: Tell
) -> Record | None:
    """Start a command that remote/shell.py has prepared.

    call: {"id", "op": "shell", "script", "command"}. The script starts the command
    detached, and only once however often it is run, so that a lost answer may be asked for
    again; output and end come back through the remote kernel.
    Returns the record that tells the extension what went wrong, None if nothing did.
    Raises EnvironmentGone.
    """
    answer: dict[str, Any] = {"kind": "answer", "id": call.get("id")}
    if call.get("op") != "shell":
        return Record({**answer, "error": "The kernel does not know this request."})
    text, script = str(call.get("command", "")), shlex.quote(str(call.get("script", "")))
    shown = f" {shlex.quote(text)}" if len(text) < _LONGEST_SHOWN_CHARACTERS else ""
    try:
        result = await environment.persist(
            lambda: environment.run_shell(f"sh {script}{shown}"), tell=tell
        )
    except EnvironmentGone:
        raise
    except AcaKernelError as error:
        return Record({**answer, "error": error.message})
    if result.is_failed or result.exit_code:
        reason = (result.stderr or result.error_text).strip() or "no reason was given"
        return Record({**answer, "error": f"The shell tool could not run it: {reason}"})
    return None
