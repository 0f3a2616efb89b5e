"""Removal of a generation's processes and files.

Installed packages, files outside the working directory, and changes to files that were there
before, stay.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal


def end_processes(nonce: str) -> None:
    """Kill every process of a generation, daemons included, by a variable in its environment."""
    mark = f"ACA_KERNEL_NONCE={nonce}".encode()
    for name in os.listdir("/proc") if os.path.isdir("/proc") else []:
        if not name.isdigit() or int(name) == os.getpid():
            continue
        # Another user's, or gone by now.
        with contextlib.suppress(OSError):
            with open(f"/proc/{name}/environ", "rb") as file:
                is_marked = mark in file.read().split(b"\0")
            if is_marked:
                os.kill(int(name), signal.SIGKILL)


def remove_all_but(kept: set[str], directory: str) -> None:
    """Empty a directory except for the names to be kept."""
    for name in set(os.listdir(directory)) - kept:
        path = os.path.join(directory, name)
        if os.path.isdir(path) and not os.path.islink(path):
            _make_writable(path)
            shutil.rmtree(path, ignore_errors=True)
        else:
            with contextlib.suppress(OSError):
                os.unlink(path)


def _make_writable(directory: str) -> None:
    for folder, names, _ in os.walk(directory):
        for name in (".", *names):
            path = os.path.join(folder, name)
            if not os.path.islink(path):
                with contextlib.suppress(OSError):
                    os.chmod(path, 0o700)
