"""Atomic replacement of a file."""

from __future__ import annotations

import contextlib
import os
import stat
from pathlib import Path

from ..system import restrict_to_owner


def write_whole(
    path: str | os.PathLike[str], text: str, *, mode: int | None = None, is_final: bool = True
) -> None:
    """Replace a file atomically: a reader or a crash finds the old one or the new one.

    text: lone surrogates, which UTF-8 cannot say, become escapes as in JSON.
    mode: of the file, set before anything is in it; None: as it was, or as the umask has it. One
    that is for the owner alone restricts the file on Windows, too, where there are no modes.
    is_final: have it on the disk, too, when this returns. Raises OSError.
    """
    content = text.encode("utf-8", "backslashreplace")
    path = os.path.realpath(path)
    folder, name = os.path.split(path)
    # One name for each file: the next run replaces what a killed one leaves behind.
    scratch = os.path.join(folder, f".{name}.tmp")
    with contextlib.suppress(FileNotFoundError):
        os.unlink(scratch)
    is_private = mode is not None and not mode & 0o077
    if mode is None:
        with contextlib.suppress(FileNotFoundError):
            mode = stat.S_IMODE(os.stat(path).st_mode)
    try:
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL
        number = os.open(scratch, flags, 0o666 if mode is None else mode)
        with open(number, "wb") as file:
            if is_private:
                restrict_to_owner(Path(scratch))
            file.write(content)
            if is_final:
                file.flush()
                os.fsync(file.fileno())
        if mode is not None:
            os.chmod(scratch, mode)  # what the umask has taken
        os.replace(scratch, path)
    except BaseException:  # Ctrl-C too: nobody would remove it
        with contextlib.suppress(OSError):
            os.unlink(scratch)
        raise
