"""A control group per session, where the host lets us: memory and process limits.

Resource limits count per process; a control group counts a session. Both versions
of the interface are used as they are found writable, and it is no error if none is.
Source: Linux kernel documentation, admin-guide/cgroup-v1 and cgroup-v2.
"""

from __future__ import annotations

import contextlib
import os
import time

# So much above the per-process limit that one greedy process gets a MemoryError
# before the kernel kills anything.
_SLACK_BYTES = 64 << 20
_ROOT = "/sys/fs/cgroup"
_REMOVE_SECONDS = 1.0


class ControlGroup:
    """The directories of one session's group; may be empty."""

    def __init__(self, directories: list[str]) -> None:
        self.directories = directories

    def record(self, path: str) -> None:
        """Write down what to remove, for the case that the pool is killed."""
        if self.directories:
            with open(path, "w", encoding="utf-8") as file:
                file.write("\n".join(self.directories) + "\n")

    def kill(self) -> bool:
        """Send SIGKILL to every process in the group; False when it was empty."""
        pids: set[int] = set()
        for directory in self.directories:
            path = os.path.join(directory, "cgroup.procs")
            with contextlib.suppress(OSError), open(path, encoding="ascii") as file:
                pids.update(int(line) for line in file)
        for pid in pids:
            with contextlib.suppress(OSError):
                os.kill(pid, 9)
        return bool(pids)

    def remove(self) -> None:
        """Remove the group; its processes are dead, or die within moments."""
        deadline = time.monotonic() + _REMOVE_SECONDS
        for directory in self.directories:
            while True:
                try:
                    os.rmdir(directory)
                except FileNotFoundError:
                    break
                except OSError:
                    if time.monotonic() > deadline:
                        break
                    time.sleep(0.005)
                else:
                    break


def create(name: str, memory_bytes: int, max_processes: int) -> ControlGroup:
    """Make a group of this name with these limits; 0 means no limit."""
    memory = str(memory_bytes + _SLACK_BYTES) if memory_bytes else ""
    processes = str(max_processes) if max_processes else ""
    limits = {
        "memory": {"memory.limit_in_bytes": memory},
        "pids": {"pids.max": processes},
        "": {"memory.max": memory, "pids.max": processes, "memory.swap.max": "0" if memory else ""},
    }
    group = ControlGroup([])
    for controller, parents in _parents().items():
        files = {file: value for file, value in limits[controller].items() if value}
        if not files:
            continue
        for parent in parents:
            directory = os.path.join(parent, name)
            if _make(directory, files):
                group.directories.append(directory)
                break
    return group


def remove_left(record: str) -> None:
    """Remove the groups that a session of a killed pool recorded; they are empty."""
    with contextlib.suppress(OSError, UnicodeDecodeError), open(record, encoding="utf-8") as file:
        for directory in file.read().splitlines():
            # Without a sandbox the session's code could have written this file.
            if directory.startswith(_ROOT + os.sep):
                with contextlib.suppress(OSError):
                    os.rmdir(directory)


def _make(directory: str, files: dict[str, str]) -> bool:
    try:
        os.mkdir(directory)
    except OSError:
        return False
    is_limited = False
    for file, value in files.items():
        # Absent when the controller was not delegated to us.
        with contextlib.suppress(OSError):
            fd = os.open(os.path.join(directory, file), os.O_WRONLY)
            try:
                os.write(fd, value.encode())
                is_limited = True
            finally:
                os.close(fd)
    if not is_limited:
        with contextlib.suppress(OSError):
            os.rmdir(directory)
    return is_limited


def _parents() -> dict[str, list[str]]:
    """Return, by controller ("" for version 2), where a group could be made."""
    found: dict[str, list[str]] = {}
    try:
        with open("/proc/self/cgroup", encoding="utf-8") as file:
            lines = file.read().splitlines()
    except OSError:
        return found
    for line in lines:
        _, controllers, path = line.split(":", 2)
        path = path.lstrip("/")
        for controller in ("memory", "pids"):
            if controller in controllers.split(","):
                found[controller] = [os.path.join(_ROOT, controller, path)]
        if not controllers:
            # Version 2 allows no processes beside groups with limits, so the
            # place for a new group is next to ours.
            own = os.path.join(_ROOT, path)
            found[""] = [os.path.dirname(own) if path else own]
    return {
        name: [path for path in paths if os.access(path, os.W_OK)] for name, paths in found.items()
    }
