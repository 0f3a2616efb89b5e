"""Temporary files of the tests in memory, where the system offers that.

An environment is two hundred small files, which go with it. On an ext4 without a journal these
cost a sixth of the processor time of the tests: before it uses an inode, it looks at each that was
freed in the last minutes.
"""

from __future__ import annotations

import os
import tempfile

_MEMORY = "/dev/shm"
_ENOUGH_BYTES = 4 << 30  # far more than four workers have at a time


def keep_in_memory() -> None:
    """Let what this process and its children call temporary be in memory, unless TMPDIR is set.

    The folders of pytest's own stay on the disk: notebooks lie there, and a sandbox has a `/dev`
    of its own, so that it cannot show a notebook's folder by the path that it has here.
    """
    if "TMPDIR" in os.environ or not _is_usable():
        return
    os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", tempfile.gettempdir())
    folder = f"{_MEMORY}/aca-tests-{os.getuid()}"
    os.makedirs(folder, mode=0o700, exist_ok=True)
    os.environ["TMPDIR"] = tempfile.tempdir = folder


def _is_usable() -> bool:
    if not os.path.isdir(_MEMORY):
        return False
    found = os.statvfs(_MEMORY)
    # Programs of environments are started from there.
    return found.f_bavail * found.f_frsize >= _ENOUGH_BYTES and not found.f_flag & os.ST_NOEXEC
