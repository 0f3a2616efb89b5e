"""Servers in the environment that outputs name by an address of the user's own machine.

Dash, Gradio, Panel and others print such an address, or show a frame of it, for a browser on the
machine where they run. The agent looks at the text of outputs; the kernel tells the user, if the
environment is not on the network of the user's machine.
"""

from __future__ import annotations

import contextlib
import os
import re

# JSON writes it as it is.
_ADDRESS = re.compile(rb"(?:127\.0\.0\.1|localhost|0\.0\.0\.0|\[::1?\]):([1-9][0-9]{1,4})\b")

# In a larger output an address is not for the user to open.
_MOST_BYTES = 100_000

# Linux tells what listens here, and how a socket is that does.
_TABLES = ("/proc/net/tcp", "/proc/net/tcp6")
_LISTENS = "0A"


class Servers:
    """What the outputs of an environment have named; each port is told once."""

    def __init__(self) -> None:
        self._told: set[int] = set()

    def named_in(self, content: bytes) -> list[int]:
        """Return the ports in an output's content at which something listens, if they are new."""
        if len(content) > _MOST_BYTES:
            return []
        named = {int(one) for one in _ADDRESS.findall(content)} - self._told
        found = sorted(named & _listening()) if named else []
        self._told.update(found)
        return found


def _listening() -> set[int]:
    found = set()
    for table in _TABLES:
        with contextlib.suppress(OSError), open(table, encoding="ascii") as file:
            for line in list(file)[1:]:
                _, local, _, state, *_ = line.split()
                if state == _LISTENS:
                    found.add(int(local.rpartition(":")[2], 16))
    return found


def network() -> str:
    """Return what is the same for all processes on one network of one machine; "" if unknown."""
    try:
        with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
            return f"{file.read().strip()} {os.stat('/proc/self/ns/net').st_ino}"
    except OSError:  # not Linux, or a sandbox that shows less
        return ""
