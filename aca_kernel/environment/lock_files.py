"""Files that a process holds for as long as it lives; one that nobody holds has been left.

The lock (system/) is given up by the operating system with the process, also with one that is
killed. Others see a file only once it is locked and written, so that no new one is taken for one
that was left.

Not the package `filelock`. Whoever looks whether somebody holds a file takes its lock there, and
taking makes the file if its holder has just removed it. On Python 3.10 it also empties the file,
which says here what was left. Importing it takes a kernel's start 25 ms, and this nothing.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import time
from pathlib import Path

from jupyter_core.paths import jupyter_runtime_dir

from ..system import lock, open_shared

# What such files are of, and the folders that they lie in.
ENVIRONMENTS = "aca-kernel"
WAITING = "aca-kernel-waiting"

# Of two processes that look at one file at the same time, one finds it locked for an instant.
_PAUSE_SECONDS = 0.002


def folder_of(kind: str, pool: str) -> Path:
    """Return the folder of a pool's files; what identifies the pool is not written anywhere."""
    return Path(jupyter_runtime_dir()) / kind / digest(pool)


def forget_pool(pool: str) -> None:
    """Remove the files of a pool that has ended, with all of its environments."""
    for kind in (ENVIRONMENTS, WAITING):
        shutil.rmtree(folder_of(kind, pool), ignore_errors=True)


def digest(text: str) -> str:
    """Return a name for something that is not to be written."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:24]


class LockFile:
    """A file that this process holds, until `release` or its own end.

    descriptor: of the open file; -1 after `release`.
    """

    def __init__(self, path: Path, descriptor: int) -> None:
        self.path = path
        self.descriptor = descriptor

    @classmethod
    def create(cls, path: Path, content: bytes = b"") -> LockFile:
        """Make a file, the owner's only, in a folder that is made if need be.

        Raises OSError: the disk is full, or the file system has no locks.
        """
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        hidden = path.with_name(f".{path.name}.new")
        made = cls(hidden, open_shared(hidden, create=True))
        try:
            lock(made.descriptor)
            made.write(content)
            hidden.rename(path)
        except BaseException:  # Ctrl-C too: a half-made file would stay
            made.release(remove=True)
            raise
        made.path = path
        return made

    @classmethod
    def take(cls, path: Path, attempts: int = 1) -> LockFile:
        """Hold a file that nobody holds any more.

        attempts: more than one where only somebody who looks is likely to be in the way.
        Raises FileNotFoundError: it is gone. Raises OSError: somebody holds it.
        """
        found = cls(path, open_shared(path))
        try:
            _lock(found.descriptor, attempts)
            _check_name(found)
        except BaseException:  # Ctrl-C too: nobody else could take it
            found.release(remove=False)
            raise
        return found

    def write(self, content: bytes) -> None:
        """Replace what is in it; the file's time stays. Raises OSError."""
        changed = os.fstat(self.descriptor).st_mtime_ns
        os.truncate(self.descriptor, 0)
        os.lseek(self.descriptor, 0, os.SEEK_SET)
        os.write(self.descriptor, content)
        # Windows sets a time by a name only.
        file = self.descriptor if os.utime in os.supports_fd else self.path
        os.utime(file, ns=(changed, changed))

    def release(self, *, remove: bool) -> None:
        """Let go of it; more than once is harmless. remove: nobody is to find it any more."""
        if self.descriptor < 0:
            return
        if remove:
            with contextlib.suppress(OSError):  # somebody has emptied the folder
                self.path.unlink()
        os.close(self.descriptor)
        self.descriptor = -1


def _lock(descriptor: int, attempts: int) -> None:
    for _ in range(attempts - 1):
        with contextlib.suppress(BlockingIOError):
            lock(descriptor)
            return
        time.sleep(_PAUSE_SECONDS)
    lock(descriptor)


def _check_name(found: LockFile) -> None:
    """Raises FileNotFoundError: between opening and locking, another process has removed it."""
    if os.fstat(found.descriptor).st_ino != os.stat(found.path).st_ino:
        raise FileNotFoundError(found.path)
