"""Sources of what runs in the environment, as this kernel found them when it read them first.

What is sent is what lies in `aca_kernel/remote/`: a module that is added or moved there is sent
without being named here. Read once, since an update of the package while a kernel runs would
otherwise give its next environment another half of the relay than its own.
"""

from __future__ import annotations

import os
from functools import cache

from .. import remote

# Sent apart, with the first checkpoint.
_CHECKPOINT = "checkpoint"


def read() -> None:
    """Read all of it, so that it is kept as it is now: half a millisecond, by a fast disk."""
    relay_half()
    checkpoint_half()


def folder() -> str:
    """Return the folder that the sources lie in."""
    return os.path.dirname(os.path.abspath(remote.__file__))


@cache
def relay_half() -> dict[str, str]:
    """Return what is sent with the agent: sources by their paths below the folder."""
    return _sources(folder(), leave_out=_CHECKPOINT)


@cache
def checkpoint_half() -> dict[str, str]:
    """Return what is sent with the first checkpoint, by the same paths."""
    return {
        f"{_CHECKPOINT}/{name}": source
        for name, source in _sources(os.path.join(folder(), _CHECKPOINT)).items()
    }


def _sources(top: str, *, leave_out: str = "") -> dict[str, str]:
    """Read all Python files below a folder, but for one folder in it."""
    found = {}
    for entry in sorted(os.scandir(top), key=lambda entry: entry.name):
        if entry.name.endswith(".py"):
            with open(entry.path, encoding="utf-8") as file:
                found[entry.name] = file.read()
        elif entry.is_dir() and entry.name not in ("__pycache__", leave_out):
            below = _sources(entry.path)
            found |= {f"{entry.name}/{name}": source for name, source in below.items()}
    return found
