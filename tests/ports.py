"""Ports for the tests' kernels that nothing else on the machine is given.

jupyter_client asks the system for free ports, and lets go of them before the kernel is there to
bind them. With four workers another one's server or connection gets one of them now and then,
and the kernel ends with "Address already in use". What the system gives to whoever names no
port (`ip_local_port_range`) begins above the ports here, of which each worker has a part.
"""

from __future__ import annotations

import itertools
import os
import socket
from pathlib import Path

from jupyter_client.connect import LocalPortCache

_FIRST = 16_384
_PER_WORKER = 2_048
_GIVEN_BY_THE_SYSTEM = Path("/proc/sys/net/ipv4/ip_local_port_range")


class PortsOfAWorker(LocalPortCache):
    """jupyter_client's choice of ports for the kernels of this process, within a range."""

    def __init__(self) -> None:
        super().__init__()
        number = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
        first = _FIRST + number * _PER_WORKER
        self._candidates = itertools.cycle(range(first, first + _PER_WORKER))

    def find_available_port(self, ip: str) -> int:
        """Choose the next port that is free and that no kernel of this process has."""
        for _ in range(_PER_WORKER):
            port = next(self._candidates)
            if port not in self.currently_used_ports and _is_free(ip, port):
                self.currently_used_ports.add(port)
                return port
        raise OSError(f"no port is free among the {_PER_WORKER} of this worker")


def _is_free(ip: str, port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind((ip, port))
        except OSError:
            return False
        return True


def give_kernels_ports_of_their_own() -> None:
    """Have kernels that this process starts bind ports of its worker, where there is room."""
    try:
        lowest = int(_GIVEN_BY_THE_SYSTEM.read_text().split()[0])
    except OSError:
        return
    workers = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    if lowest >= _FIRST + workers * _PER_WORKER:
        PortsOfAWorker.instance()
