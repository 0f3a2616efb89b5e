"""Writes a file whole, whatever happens meanwhile."""

from __future__ import annotations

import contextlib
import os
import stat


def write_whole(path: str, text: str, *, is_final: bool = True) -> None:
    """Replace a file at once, so that a reader or a crash finds the old one or the new one.

    text: lone surrogates, which UTF-8 cannot say, become escapes as in JSON.
    is_final: have it on the disk, too, when this returns. Raises OSError.
    """
    content = text.encode("utf-8", "backslashreplace")
    path = os.path.realpath(path)
    folder, name = os.path.split(path)
    # One name for each file: what a killed run leaves behind, the next one replaces.
    scratch = os.path.join(folder, f".{name}.tmp")
    try:
        with open(scratch, "wb") as file:
            file.write(content)
            if is_final:
                file.flush()
                os.fsync(file.fileno())
        with contextlib.suppress(FileNotFoundError):  # it is new: as the umask has it
            os.chmod(scratch, stat.S_IMODE(os.stat(path).st_mode))
        os.replace(scratch, path)
    except BaseException:  # Ctrl-C too: nobody would remove it
        with contextlib.suppress(OSError):
            os.unlink(scratch)
        raise
