"""What macOS lacks is hidden from every Python that has this folder in PYTHONPATH.

Files below /proc and /sys, prctl, memfd, abstract sockets, and what the modules `os`, `select`,
`signal`, `socket`, `resource` and `fcntl` have on Linux only; paths of sockets have the length of
macOS. Not hidden: the name of the system, which other packages act upon, and psutil's /proc.
"""

from __future__ import annotations

import builtins
import ctypes
import errno
import fcntl
import io
import os
import resource
import select
import signal
import socket
import sys
from typing import Any

LACKING = {
    os: (
        "O_PATH O_TMPFILE copy_file_range eventfd fdatasync getresuid getxattr listxattr"
        " memfd_create pidfd_open pipe2 posix_fadvise posix_fallocate removexattr"
        " sched_getaffinity sched_setaffinity setns setresuid setxattr splice unshare waitid"
    ),
    select: "epoll",
    signal: "pidfd_send_signal sigtimedwait sigwaitinfo",
    socket: "MSG_CMSG_CLOEXEC MSG_NOSIGNAL SOCK_CLOEXEC SOCK_NONBLOCK SO_PEERCRED",
    resource: "RLIMIT_MSGQUEUE RLIMIT_NICE RLIMIT_RTPRIO RLIMIT_RTTIME RLIMIT_SIGPENDING prlimit",
    fcntl: "F_GETPIPE_SZ F_SETPIPE_SZ",
}

# Of functions that take a path, by module.
READERS = {
    builtins: "open",
    io: "open",
    os: "access listdir lstat open readlink scandir stat",
}

# Bytes of sun_path less the one that ends it.
LONGEST_SOCKET_PATH = 103


def hide() -> None:
    for module, names in LACKING.items():
        for name in names.split():
            if hasattr(module, name):
                delattr(module, name)
    if hasattr(os, "process_cpu_count"):  # since 3.13, as os.py has it there
        os.process_cpu_count = os.cpu_count
    for module, names in READERS.items():
        for name in names.split():
            setattr(module, name, _without_linux(getattr(module, name)))
    ctypes.CDLL.__getattr__ = _symbol_of_macos  # type: ignore[method-assign]
    socket.socket = _SocketOfMacos  # type: ignore[misc]


def _without_linux(function: Any) -> Any:
    def read(path: Any = ".", *args: Any, **more: Any) -> Any:
        text = os.fsdecode(path) if isinstance(path, (str, bytes)) else ""
        if text.startswith(("/proc", "/sys/")) and not _is_psutil(sys._getframe(1)):
            if function.__name__ == "access":
                return False
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), text)
        return function(path, *args, **more)

    # Up to Python 3.10, a class of pathlib has the functions of `os`, which are no methods.
    return staticmethod(read)


def _is_psutil(frame: Any) -> bool:
    while frame is not None:
        if str(frame.f_globals.get("__name__", "")).partition(".")[0] == "psutil":
            return True
        frame = frame.f_back
    return False


_symbol = ctypes.CDLL.__getattr__


def _symbol_of_macos(library: Any, name: str) -> Any:
    if name in ("prctl", "memfd_create", "syscall", "malloc_trim", "mallopt"):
        raise AttributeError(f"no symbol {name}")
    return _symbol(library, name)


class _SocketOfMacos(socket.socket):
    __slots__ = ()

    def bind(self, address: Any) -> None:
        super().bind(_checked(self, address))

    def connect(self, address: Any) -> None:
        super().connect(_checked(self, address))


def _checked(one: socket.socket, address: Any) -> Any:
    if one.family == socket.AF_UNIX:
        path = os.fsencode(address)
        if path.startswith(b"\0"):
            raise FileNotFoundError(errno.ENOENT, "there are no abstract sockets")
        if len(path) > LONGEST_SOCKET_PATH:
            raise OSError("AF_UNIX path too long")
    return address


hide()

# These hold the functions themselves.
for _supporting in (os.supports_dir_fd, os.supports_fd, os.supports_follow_symlinks):
    _names = {one.__name__ for one in _supporting}
    _supporting.update(getattr(os, one) for one in READERS[os].split() if one in _names)
