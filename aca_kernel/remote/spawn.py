"""The start of a remote kernel's process.

Standard library only: the process comes up while this one imports zmq.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from typing import Any, NamedTuple

TUNABLES_VARIABLE = "GLIBC_TUNABLES"
SEED_VARIABLE = "PYTHONHASHSEED"
NONCE_VARIABLE = "ACA_KERNEL_NONCE"

_SOCKETS = ("shell", "control", "stdin", "iopub", "hb")


class Spawned(NamedTuple):
    """A process that will be a kernel.

    addresses: of its sockets, by channel. gate: a descriptor; the process imports our modules when
    it is closed.
    """

    process: subprocess.Popen[bytes]
    addresses: dict[str, str]
    log_path: str
    gate: int


def spawn(directory: str, number: int, config: dict[str, Any]) -> Spawned:
    """Start the remote kernel of this number, with its files in the directory."""
    base = os.path.join(directory, f"k{number}")
    ports = {name: index for index, name in enumerate(_SOCKETS, 1)}
    connection = {
        "transport": "ipc",
        "ip": base,
        # Unsigned: only this user reaches sockets in a private folder.
        "key": "",
        "signature_scheme": "hmac-sha256",
        "kernel_name": "python3",
        **{f"{name}_port": port for name, port in ports.items()},
    }
    # What is set for this kernel, then what must be.
    env_vars = {**os.environ, **config.get("variables", {})}
    # What somebody has set goes before. Otherwise cells are not to see it (launcher.py).
    seed = "" if SEED_VARIABLE in env_vars else str(config.get("hash_seed", ""))
    if seed:
        env_vars[SEED_VARIABLE] = seed
    waited_for, gate = os.pipe()
    connection_file = os.path.join(directory, f"kernel-{number}.json")
    with open(connection_file, "w", encoding="utf-8") as file:
        os.chmod(connection_file, 0o600)
        # ipykernel.connect shows it as it is.
        json.dump(connection, file, indent=2)
    with open(os.path.join(directory, f"config-{number}.json"), "w", encoding="utf-8") as file:
        about = {"number": number, "gate": waited_for, "variables": {}, "hash_seed": seed}
        json.dump({**config, **about}, file)
    launcher = os.path.join(os.path.dirname(__file__), "launcher.py")
    # Large outputs are copied several times, and the first touch of a page costs as much as the
    # copy; huge pages reduce it to a fifth. launcher.py removes the variable.
    env_vars[TUNABLES_VARIABLE] = "glibc.malloc.hugetlb=1"
    # ipykernel ends itself when this process, its parent, has ended.
    env_vars["JPY_PARENT_PID"] = str(os.getpid())
    # Marks all processes that it starts (retirement.py).
    env_vars[NONCE_VARIABLE] = str(config["nonce"])
    if config.get("session_name"):
        env_vars["JPY_SESSION_NAME"] = str(config["session_name"])
    log_path = os.path.join(directory, f"kernel-{number}.log")
    # Its own session: the service may interrupt the session interpreter's group.
    # Not our stdout: what it writes there would end up between our frames.
    with open(log_path, "wb") as log:
        process = subprocess.Popen(
            [sys.executable, launcher, "-f", connection_file],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            env=env_vars,
            pass_fds=(waited_for,),
            start_new_session=True,
        )
    os.close(waited_for)
    addresses = {name: f"ipc://{base}-{port}" for name, port in ports.items()}
    return Spawned(process, addresses, log_path, gate)


def compile_package(installs_packages: bool) -> None:
    """Compile for the remote kernel what it will import of ours, while it imports ipykernel."""
    import compileall

    here = os.path.dirname(__file__)
    # What is seldom needed is compiled when it is.
    seldom = re.compile(rf"{re.escape(os.path.join(here, 'packages'))}/(?!__init__|attach|distrib)")
    compileall.compile_dir(here, quiet=2, rx=None if installs_packages else seldom)
