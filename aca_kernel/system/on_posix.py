"""Linux and macOS."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import select
import signal
import stat
import sys
import time
from collections.abc import Callable, Coroutine, Iterator, Sequence
from pathlib import Path
from typing import IO, Any, TypeVar

# For mypy, which looks at both modules on every system.
assert sys.platform != "win32"  # noqa: S101

T = TypeVar("T")

# Signals that ask a command to end, besides SIGINT; the kernel heeds the first.
END_SIGNALS: tuple[signal.Signals, ...] = (signal.SIGTERM, signal.SIGHUP)

# The signal that ends a process at once.
KILL_SIGNAL = signal.SIGKILL

_FOLDER_FLAGS = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW


def run_loop(main: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine in an event loop that ZMQ sockets can be watched by."""
    return asyncio.run(main)


def on_signal(
    loop: asyncio.AbstractEventLoop, number: int, callback: Callable[..., object], *args: Any
) -> None:
    """Call a function in the event loop whenever a signal comes."""
    loop.add_signal_handler(number, callback, *args)


def wait_for_end_of(output: IO[bytes], seconds: float) -> None:
    """Wait until a process has closed its output, as its end does, if that can be seen here."""
    poll = select.poll()
    poll.register(output, select.POLLIN)
    deadline = time.monotonic() + seconds
    # What is in the pipe is of no use.
    while (left := deadline - time.monotonic()) > 0 and poll.poll(1000 * left):
        if not os.read(output.fileno(), 1 << 16):
            return


class Parent:
    """The process that has started this one. There is no event of its end: it is looked after."""

    def __init__(self) -> None:
        self._pid = os.getppid()
        self._has_ended = self._has_ended_already()

    def has_ended(self) -> bool:
        """Tell whether the front end has ended; False for a kernel that nobody looks after."""
        return self._has_ended or (self._pid != 1 and os.getppid() != self._pid)

    def _has_ended_already(self) -> bool:
        """Tell whether the front end was killed before this process looked at it.

        jupyter_client gives every kernel its process id.
        """
        told = os.environ.get("JPY_PARENT_PID", "")
        if not told.isdecimal() or int(told) in (0, self._pid):
            return False
        return not is_running(int(told))


def is_running(pid: int) -> bool:
    """Tell whether there is a process of this number, also of another user."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:  # another user's
        pass
    return True


def open_shared(path: Path, *, create: bool = False) -> int:
    """Open a file to read and write, so that others may rename or remove it meanwhile.

    create: make it, the owner's only, if it is missing. Raises OSError.
    """
    return os.open(path, os.O_RDWR | (os.O_CREAT if create else 0), 0o600)


def create_shared(path: Path, mode: int) -> int:
    """Make a file to write, so that others may rename or remove it meanwhile.

    mode: of the file, where there are modes. Raises FileExistsError, OSError.
    """
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, mode)


def lock(descriptor: int) -> None:
    """Lock an open file for as long as it is open, at the most until this process ends.

    Its content can be read by others all the same.
    Raises BlockingIOError: another descriptor has the lock. Raises OSError: there are no locks.
    """
    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)


def restrict_to_owner(path: Path) -> None:
    """Let nobody but its owner read or write a file. Raises OSError."""
    os.chmod(path, 0o600)


def programs_folder() -> Path:
    """Return the folder in which programs keep what their user has set in them."""
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Application Support"
    # Source: XDG Base Directory Specification; a relative path is no valid one.
    told = Path(os.environ.get("XDG_CONFIG_HOME", ""))
    return told if told.is_absolute() else Path.home() / ".config"


def is_link(status: os.stat_result) -> bool:
    """Tell whether a name leads to another place, by what `lstat` says of it."""
    return stat.S_ISLNK(status.st_mode)


def is_plain_name(name: str) -> bool:  # noqa: ARG001 - all names are, here
    """Tell whether the system takes a name for that of a file, and for no other file's."""
    return True


def is_plain_path(path: str) -> bool:  # noqa: ARG001 - see above
    """Tell whether a path, as a user writes it, is that of a file and not of a device or stream."""
    return True


def open_inside(root: str, names: Sequence[str], flags: int) -> int:
    """Open a file below a folder, by names none of which is followed if it is a link.

    root: without links itself. flags: of os.open. Raises OSError.
    """
    with _folder_inside(root, names[:-1]) as descriptor:
        return os.open(names[-1], flags | os.O_NOFOLLOW, dir_fd=descriptor)


def create_inside(root: str, names: Sequence[str]) -> int:
    """Make a file that only its user can read, in the place of another one, to write to it.

    As by `open_inside`. Raises OSError: it cannot be made, or the system has no way to do it.
    """
    with _folder_inside(root, names[:-1]) as descriptor:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(names[-1], dir_fd=descriptor)
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
        return os.open(names[-1], flags, 0o600, dir_fd=descriptor)


@contextlib.contextmanager
def _folder_inside(root: str, names: Sequence[str]) -> Iterator[int]:
    descriptor = os.open(root, _FOLDER_FLAGS)
    try:
        for name in names:
            following = os.open(name, _FOLDER_FLAGS, dir_fd=descriptor)
            os.close(descriptor)
            descriptor = following
        yield descriptor
    finally:
        os.close(descriptor)
