"""Servers in the environment that outputs name by an address of the user's own machine.

Dash, Gradio, Panel and others print such an address, or show a frame of it, for a browser on the
machine where they run. The agent looks at the text of outputs; the kernel tells the user, if the
environment is not on the network of the user's machine.
"""

from __future__ import annotations

import contextlib
import os
import re
import time

# JSON writes it as it is. What is searched for first is rare in large outputs.
_ADDRESS = re.compile(
    rb":(?=[1-9][0-9])"
    rb"(?:(?<=127\.0\.0\.1:)|(?<=localhost:)|(?<=0\.0\.0\.0:)|(?<=\[::1\]:)|(?<=\[::\]:))"
    rb"([0-9]{2,5})\b"
)

# In a larger output an address is not for the user to open.
_MOST_BYTES = 100_000

# Of the time between two looks for a port, so much may be spent on looking: there can be thousands
# of sockets, and what tries to connect to an address may print it as often.
_MOST_OF_TIME = 0.05

# Linux tells what listens here, and how a socket is that does.
_TABLES = ("/proc/net/tcp", "/proc/net/tcp6")
_LISTENS = "0A"


class Servers:
    """The ports that the outputs of an environment name."""

    def __init__(self) -> None:
        self._look_again_at: dict[int, float] = {}

    def named_in(self, content: bytes) -> list[int]:
        """Return the ports in an output's content at which something listens.

        Not those that were looked for just before.
        """
        if len(content) > _MOST_BYTES:
            return []
        began = time.monotonic()
        named = {
            port
            for port in map(int, _ADDRESS.findall(content))
            if began >= self._look_again_at.get(port, 0.0)
        }
        if not named:
            return []
        found = sorted(named & _listening())
        ended = time.monotonic()
        again_at = ended + (ended - began) / _MOST_OF_TIME
        self._look_again_at |= dict.fromkeys(named, again_at)
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
