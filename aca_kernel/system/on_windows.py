"""Windows 10 and later. The docstrings of what both systems have are in on_posix.py."""

from __future__ import annotations

import _winapi
import asyncio
import contextlib
import ctypes
import errno
import msvcrt
import os
import signal
import socket
import stat
import sys
from collections.abc import Callable, Coroutine, Sequence
from pathlib import Path
from typing import IO, Any, TypeVar

from . import windows_names

# For mypy, which looks at both modules on every system.
assert sys.platform == "win32"  # noqa: S101

T = TypeVar("T")

# Ctrl-Break, and what a closed console sends. The other comes from this process only.
END_SIGNALS: tuple[signal.Signals, ...] = (signal.SIGBREAK, signal.SIGTERM)

# Any signal but Ctrl-C and Ctrl-Break is TerminateProcess.
KILL_SIGNAL = signal.SIGTERM

# Windows locks bytes, and nobody else may read those: this one is far behind any content, and
# the C library's lock counts in 31 bits.
_LOCKED_BYTE = 0x7FFF0000

_FILE_SHARE_READ, _FILE_SHARE_WRITE, _FILE_SHARE_DELETE = 1, 2, 4
_CREATE_NEW, _OPEN_EXISTING, _OPEN_ALWAYS = 1, 3, 4
_FILE_ATTRIBUTE_NORMAL = 0x80
_SYNCHRONIZE = 0x00100000

# The bit of a reparse tag that says that the name stands for another place: symlinks and junctions
# have it, OneDrive's placeholders do not. Source: "Reparse Point Tags", IsReparseTagNameSurrogate.
_NAME_SURROGATE = 0x20000000

# Longer than any path: 32,767 characters and the prefix.
_LONGEST_PATH = 0x8000 + 8

_kernel32 = ctypes.WinDLL("kernel32")
_kernel32.GetFinalPathNameByHandleW.argtypes = [
    ctypes.c_void_p,
    ctypes.c_wchar_p,
    ctypes.c_uint32,
    ctypes.c_uint32,
]
_kernel32.GetFinalPathNameByHandleW.restype = ctypes.c_uint32


def run_loop(main: Coroutine[Any, Any, T]) -> T:
    # ZMQ's sockets are watched by `add_reader`, which the default loop of Windows, the proactor,
    # does not have. What the selector's loop lacks are subprocesses and pipes, which nothing here
    # uses by asyncio. 512 sockets are its limit; a kernel has some ten.
    if sys.version_info >= (3, 11):
        with asyncio.Runner(loop_factory=asyncio.SelectorEventLoop) as runner:
            return runner.run(main)
    asyncio.set_event_loop_policy(asyncio.WindowsSelectorEventLoopPolicy())
    return asyncio.run(main)


def on_signal(
    loop: asyncio.AbstractEventLoop, number: int, callback: Callable[..., object], *args: Any
) -> None:
    # Python calls handlers between two of its instructions, and the loop's `select` is none: the
    # signal has to wake it by a socket.
    _wake_on_signals(loop)
    signal.signal(number, lambda *_: loop.call_soon_threadsafe(callback, *args))


def _wake_on_signals(loop: asyncio.AbstractEventLoop) -> None:
    before = signal.set_wakeup_fd(-1)
    if before != -1:  # of the signal before this one
        signal.set_wakeup_fd(before, warn_on_full_buffer=False)
        return
    reader, writer = socket.socketpair()
    reader.setblocking(False)
    writer.setblocking(False)
    loop.add_reader(reader, _drain, reader, writer)
    signal.set_wakeup_fd(writer.fileno(), warn_on_full_buffer=False)


def _drain(reader: socket.socket, _writer: socket.socket) -> None:
    """Empty the socket; as an argument, the other end lives as long as the loop reads this one."""
    with contextlib.suppress(BlockingIOError):
        reader.recv(64)


def wait_for_end_of(output: IO[bytes], seconds: float) -> None:
    """Return at once: there is no waiting for a pipe, but for the process, without intervals."""


class Parent:
    """The process that has started this one."""

    def __init__(self) -> None:
        # jupyter_client hands over a handle of its own process, which is inherited.
        told = os.environ.get("JPY_PARENT_PID", "")
        self._handle = int(told) if told.isdecimal() else 0
        if not self._handle:
            with contextlib.suppress(OSError):  # it has ended, or is another user's
                self._handle = _winapi.OpenProcess(_SYNCHRONIZE, False, os.getppid())

    def has_ended(self) -> bool:
        """See on_posix.Parent."""
        if not self._handle:
            return False
        try:
            return _winapi.WaitForSingleObject(self._handle, 0) == _winapi.WAIT_OBJECT_0
        except OSError:  # no handle: whoever has set the variable means something else
            self._handle = 0
            return False


def is_running(pid: int) -> bool:
    # Not `os.kill(pid, 0)`, which sends Ctrl-C here. Imported where it is needed: 10 ms.
    import psutil

    return bool(psutil.pid_exists(pid))


def open_shared(path: Path, *, create: bool = False) -> int:
    access = _winapi.GENERIC_READ | _winapi.GENERIC_WRITE
    return _opened(str(path), access, _OPEN_ALWAYS if create else _OPEN_EXISTING, os.O_RDWR)


def create_shared(path: Path, mode: int) -> int:  # noqa: ARG001 - there are no modes
    access = _winapi.GENERIC_READ | _winapi.GENERIC_WRITE
    return _opened(str(path), access, _CREATE_NEW, os.O_RDWR)


def _opened(path: str, access: int, disposition: int, flags: int) -> int:
    """Open a file that others may read, write, rename and remove meanwhile, which `open` forbids.

    flags: of os.open, for the descriptor.
    """
    shares = _FILE_SHARE_READ | _FILE_SHARE_WRITE | _FILE_SHARE_DELETE
    handle = _winapi.CreateFile(path, access, shares, 0, disposition, _FILE_ATTRIBUTE_NORMAL, 0)
    try:
        return msvcrt.open_osfhandle(handle, flags | os.O_BINARY | os.O_NOINHERIT)
    except OSError:
        _winapi.CloseHandle(handle)
        raise


def lock(descriptor: int) -> None:
    before = os.lseek(descriptor, 0, os.SEEK_CUR)
    try:
        os.lseek(descriptor, _LOCKED_BYTE, os.SEEK_SET)
        msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
    except OSError as error:
        if error.errno in (errno.EACCES, errno.EDEADLK):
            raise BlockingIOError(error.errno, error.strerror) from error
        raise
    finally:
        os.lseek(descriptor, before, os.SEEK_SET)


def restrict_to_owner(path: Path) -> None:
    # The folders of Jupyter lie in the profile, which is its user's; this is for all other places.
    from jupyter_core.paths import win32_restrict_file_to_user

    win32_restrict_file_to_user(str(path))


def programs_folder() -> Path:
    told = os.environ.get("APPDATA")
    return Path(told) if told else Path.home() / "AppData" / "Roaming"


def is_link(status: os.stat_result) -> bool:
    return bool(
        stat.S_ISLNK(status.st_mode)
        or (
            status.st_file_attributes & stat.FILE_ATTRIBUTE_REPARSE_POINT
            and status.st_reparse_tag & _NAME_SURROGATE
        )
    )


is_plain_name = windows_names.is_plain
is_plain_path = windows_names.is_plain_path


def open_inside(root: str, names: Sequence[str], flags: int) -> int:
    # There is no folder's descriptor to go on from. The path is opened as a whole, and then the
    # system says where the open file is: elsewhere if a name has become a link meanwhile.
    path = os.path.join(root, *names)
    descriptor = _opened(path, _winapi.GENERIC_READ, _OPEN_EXISTING, flags)
    if windows_names.same_path(_final_path(msvcrt.get_osfhandle(descriptor)), path):
        return descriptor
    os.close(descriptor)
    raise FileNotFoundError(errno.ENOENT, "A link leads elsewhere", path)


def create_inside(root: str, names: Sequence[str]) -> int:
    raise OSError(
        errno.ENOTSUP, "There are no session pools on Windows", os.path.join(root, *names)
    )


def _final_path(handle: int) -> str:
    """Return the path of an open file with neither links nor short names in it, "" if unknown."""
    text = ctypes.create_unicode_buffer(_LONGEST_PATH)
    length = _kernel32.GetFinalPathNameByHandleW(handle, text, _LONGEST_PATH, 0)
    return text.value if 0 < length < _LONGEST_PATH else ""
