"""Sentences on the loss of an environment or a remote kernel."""

from __future__ import annotations


def death_of(code: int) -> str:
    """Return the end of a remote kernel, to follow "The remote kernel"."""
    if code == -9:
        return "was killed (SIGKILL), most likely because memory ran out"
    if code < 0:
        return f"was ended by signal {-code}"
    return f"ended with exit status {code}"


def loss_of(idle_seconds: float) -> str:
    """Return the start of a sentence on the release of the environment."""
    idle = f"{idle_seconds / 60:.0f} min" if idle_seconds >= 90 else f"{idle_seconds:.0f} s"
    return f"The session environment was released after {idle} without use"


def loss_sentence(loss: str) -> str:
    """Return the sentence on a loss without a restore."""
    return f"{loss}: its variables and files are lost. This cell runs in a new one."
