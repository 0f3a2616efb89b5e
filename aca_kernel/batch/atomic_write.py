"""Atomic replacement of a file."""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import os
import stat
import time
from pathlib import Path

from ..system import create_shared, lock, open_shared, restrict_to_owner

# Names of scratch files that are searched for what killed writers have left. Of writers at the same
# time each has its own, also if there are more.
_SEARCHED = 4

# In bytes: what makes a scratch file's name of a file's must fit into the 255 that systems take.
_LONGEST_NAME = 240

# Where the file system has no locks, what nobody has written to for so long was left.
_OLD_SECONDS = 3600.0


def write_whole(
    path: str | os.PathLike[str], text: str, *, mode: int | None = None, is_final: bool = True
) -> None:
    """Replace a file atomically: a reader or a crash finds the old one or the new one.

    Of several writers at the same time, the last one's text stays, whole.
    text: lone surrogates, which UTF-8 cannot say, become escapes as in JSON.
    mode: of the file, set before anything is in it; None: as it was, or as the umask has it. One
    that is for the owner alone restricts the file on Windows, too, where there are no modes.
    is_final: have it on the disk, too, when this returns. Raises OSError.
    """
    content = text.encode("utf-8", "backslashreplace")
    path = os.path.realpath(path)
    is_private = mode is not None and not mode & 0o077
    if mode is None:
        with contextlib.suppress(FileNotFoundError):
            mode = stat.S_IMODE(os.stat(path).st_mode)
    scratch, number = _make_scratch(path, 0o666 if mode is None else mode)
    # It is locked until it has its name: nobody takes it for a leftover.
    with open(number, "wb") as file:
        try:
            if is_private:
                restrict_to_owner(Path(scratch))
            file.write(content)
            file.flush()
            if is_final:
                os.fsync(file.fileno())
            if mode is not None:
                os.chmod(scratch, mode)  # what the umask has taken
            os.replace(scratch, path)
        except BaseException:  # Ctrl-C too: nobody would remove it
            with contextlib.suppress(OSError):
                os.unlink(scratch)
            raise


def _make_scratch(path: str, mode: int) -> tuple[str, int]:
    """Make a file beside another one that is this writer's, and remove those of killed ones.

    Returns its name and its locked descriptor. Raises OSError.
    """
    folder, name = os.path.split(path)
    if len(os.fsencode(name)) > _LONGEST_NAME:
        name = hashlib.sha256(os.fsencode(name)).hexdigest()
    for number in range(_SEARCHED):
        _remove_leftover(_scratch_name(folder, name, number))
    for number in itertools.count():
        scratch = _scratch_name(folder, name, number)
        descriptor = _create(scratch, mode)
        if descriptor is not None:
            return scratch, descriptor
    raise AssertionError("the numbers have ended")


def _scratch_name(folder: str, name: str, number: int) -> str:
    return os.path.join(folder, f".{name}.{number}.tmp" if number else f".{name}.tmp")


def _create(scratch: str, mode: int) -> int | None:
    """Make and lock a file; None if another writer has it. Raises OSError."""
    try:
        # Its owner can open it: a leftover that cannot be opened could not be removed.
        descriptor = create_shared(Path(scratch), mode | 0o600)
    except FileExistsError:
        return None
    try:
        is_ours = _is_locked(descriptor) and _has_name(descriptor, scratch)
    except BaseException:  # Ctrl-C too: nobody else would close it
        os.close(descriptor)
        raise
    if not is_ours:
        os.close(descriptor)
    return descriptor if is_ours else None


def _is_locked(descriptor: int) -> bool:
    """Lock a new file; False if who looks for leftovers was faster, and removes it."""
    try:
        lock(descriptor)
    except BlockingIOError:
        return False
    except OSError:  # there are no locks, see _is_left
        pass
    return True


def _remove_leftover(scratch: str) -> None:
    """Remove a scratch file that no writer holds any more, if there is one."""
    with contextlib.suppress(OSError):  # none is there, mostly; what cannot be removed is passed by
        if os.path.islink(scratch):
            os.unlink(scratch)  # nothing that a writer has made
        descriptor = open_shared(Path(scratch))
        try:
            if _is_left(descriptor) and _has_name(descriptor, scratch):
                os.unlink(scratch)
        finally:
            os.close(descriptor)


def _is_left(descriptor: int) -> bool:
    try:
        lock(descriptor)
    except BlockingIOError:
        return False
    except OSError:  # there are no locks
        return time.time() - os.fstat(descriptor).st_mtime > _OLD_SECONDS
    return True


def _has_name(descriptor: int, path: str) -> bool:
    """Tell whether an open file still has a name: others may have renamed or removed it."""
    try:
        named = os.lstat(path)
    except FileNotFoundError:
        return False
    return os.fstat(descriptor).st_ino == named.st_ino
