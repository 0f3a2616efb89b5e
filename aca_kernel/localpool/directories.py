"""Where pools keep their sessions' files, and how those of dead pools are removed.

All pools of a user live in one private directory, which goes with the last of them: in one
that is old, an ext4 file system may have no room left nearby, and then each new file costs it
ten times as much. Each pool holds a lock on a file in its own directory for as long as it
lives, which even SIGKILL releases: what is not locked may be removed by whoever starts next.
Paths stay short, because the path of a unix socket in a session may have 107 bytes at most,
103 on macOS; where TMPDIR is long, a link leads there.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import stat
from typing import TYPE_CHECKING

from ..errors import SettingInvalid
from . import cgroup
from .sandbox import GROUPS, remove_tree

if TYPE_CHECKING:
    from collections.abc import Iterator

_LOCK = "lock"
_DEAD = ".dead-"
_COMMON_LOCK = ".lock"

# Programs of a session may add some forty to it, for a temporary folder and a socket in that.
_LONGEST_PATH = 59
_SHORT = "/tmp/aca-pool-{user}-{name}"  # noqa: S108  a link, with a name of its own


class PoolDirectory:
    """The directory of a running pool, `path`, by whatever way is short. `close` removes it."""

    def __init__(self) -> None:
        while not self._make():  # the last pool before this one just ends
            pass
        self._count = 0
        self.short = self.path
        if len(os.fsencode(self.path)) > _LONGEST_PATH:
            link = _link_to(self.path)
            with contextlib.suppress(FileExistsError):  # somebody else's
                os.symlink(self.path, link)
                self.short = link

    def _make(self) -> bool:
        """Make the directory, and own it; False: its parent has gone meanwhile."""
        try:
            self._parent = _make_parent()
            with _locked(os.path.join(self._parent, _COMMON_LOCK)):
                while True:
                    self.path = os.path.join(self._parent, os.urandom(3).hex())
                    with contextlib.suppress(FileExistsError):
                        os.mkdir(self.path, 0o700)
                        break
                self._lock = os.open(os.path.join(self.path, _LOCK), os.O_CREAT | os.O_RDWR, 0o600)
                fcntl.flock(self._lock, fcntl.LOCK_EX)
        except FileNotFoundError:
            return False
        return True

    def new_session(self) -> str:
        """Return a path, not yet made, for one more session."""
        self._count += 1
        return os.path.join(self.path, f"s{self._count}")

    def sweep(self) -> None:
        """Remove what pools left that were killed."""
        # Claimed by renaming under the common lock, so that two sweepers, or a pool
        # that is just being made, do not meet.
        with _locked(os.path.join(self._parent, _COMMON_LOCK)):
            for name in os.listdir(self._parent):
                path = os.path.join(self._parent, name)
                if not name.startswith(".") and os.path.isdir(path) and not _is_owned(path):
                    with contextlib.suppress(FileNotFoundError):  # its pool just ends
                        os.rename(path, os.path.join(self._parent, _DEAD + name))
        for name in os.listdir(self._parent):
            if name.startswith(_DEAD):
                path = os.path.join(self._parent, name)
                with contextlib.suppress(OSError):  # another sweeper is faster
                    for session in os.listdir(path):
                        cgroup.remove_left(os.path.join(path, session, GROUPS))
                remove_tree(path)
                _unlink(_link_to(os.path.join(self._parent, name.removeprefix(_DEAD))))

    def close(self) -> None:
        """Remove the directory and all in it, and the parent of the last one."""
        if self.short != self.path:
            _unlink(self.short)
        remove_tree(self.path)
        os.close(self._lock)
        common = os.path.join(self._parent, _COMMON_LOCK)
        # Another one goes as well, or comes: the parent, with a new lock, is that one's.
        with contextlib.suppress(OSError), _locked(common):
            if os.listdir(self._parent) == [_COMMON_LOCK]:
                os.unlink(common)
                os.rmdir(self._parent)


def _make_parent() -> str:
    # As tempfile.gettempdir() would say in all but strange cases, without its 10 ms.
    base = os.environ.get("TMPDIR", "")
    if not os.path.isabs(base) or not os.access(base, os.W_OK):
        base = "/tmp"  # noqa: S108  what is made there is private
    path = os.path.join(base, f"aca-pool-{os.getuid()}")
    with contextlib.suppress(FileExistsError):
        os.mkdir(path, 0o700)
    found = os.lstat(path)
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid() or found.st_mode & 0o077:
        raise SettingInvalid(
            f"The directory {path} is not private to you, so sessions cannot live there. "
            "Remove it, or set TMPDIR to another directory."
        )
    return path


def _link_to(path: str) -> str:
    return _SHORT.format(user=os.getuid(), name=os.path.basename(path))


def _unlink(link: str) -> None:
    with contextlib.suppress(OSError):  # there was none
        if os.path.islink(link):
            os.unlink(link)


def _is_owned(path: str) -> bool:
    try:
        fd = os.open(os.path.join(path, _LOCK), os.O_RDWR)
    except OSError:
        return False
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    else:
        return False
    finally:
        os.close(fd)


@contextlib.contextmanager
def _locked(path: str) -> Iterator[None]:
    """Hold the lock of a parent. Raises FileNotFoundError: that has gone, or the lock has."""
    fd = os.open(path, os.O_CREAT | os.O_RDWR, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        if not os.fstat(fd).st_nlink:
            raise FileNotFoundError(path)
        yield
    finally:
        os.close(fd)
