"""Sentences on the loss of an environment or a remote kernel."""

from __future__ import annotations

import re

# Where a traceback begins; the lines between that and the error are indented.
_TRACEBACK = "Traceback (most recent call last):"

# An error without one, as Python has it that does not even start.
_ERROR = re.compile(r"[\w.]*(Error|Exception): ")

_LONGEST_QUOTE = 300

# Colours first: of them, more than one character is no text.
_CONTROLS = re.compile("\x1b\\[[0-9;]*m|[\x00-\x1f\x7f-\x9f]")


def death_of(code: int) -> str:
    """Return the end of a remote kernel, to follow "The remote kernel"."""
    if code == -9:
        return "was killed (SIGKILL), most likely because memory ran out"
    if code < 0:
        return f"was ended by signal {-code}"
    return f"ended with exit status {code}"


def failed_start(code: int, log: str) -> str:
    """Return why a remote kernel ended before it was ready, without a full stop.

    log: the end of what it has written, of which the last error's line is quoted.
    """
    lines = [line.rstrip() for line in log.splitlines() if line.strip()]
    begins = [n for n, line in enumerate(lines) if line.startswith(_TRACEBACK)]
    if begins:
        # The first line of an error's message, which may have more.
        errors = [line for line in lines[begins[-1] + 1 :] if line[0] != " "]
    else:
        errors = [line for line in lines if _ERROR.match(line)][-1:]
    quoted = (errors or lines[-1:] or [f"it {death_of(code)}"])[0]
    return _CONTROLS.sub("", quoted)[:_LONGEST_QUOTE].strip().rstrip(".")


def loss_of(idle_seconds: float) -> str:
    """Return the start of a sentence on the release of the environment."""
    idle = f"{idle_seconds / 60:.0f} min" if idle_seconds >= 90 else f"{idle_seconds:.0f} s"
    return f"The session environment was released after {idle} without use"


def loss_sentence(loss: str) -> str:
    """Return the sentence on a loss without a restore."""
    return f"{loss}: its variables and files are lost. This cell runs in a new one."
