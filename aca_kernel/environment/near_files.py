"""Files of an agent's folder, beside the calls: where its pool is on this machine.

The environment owns that folder, and may exchange what is in it at any moment. So no link is
followed below the pool's folder; only plain files are read, and no more of them than was asked for;
and what is written is a new file. What has been read is worth as much as what a call brings:
whoever asks for it compares hashes.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Callable
from typing import BinaryIO

from ..pool.backend import NearFolder
from ..system import create_inside, open_inside

# As the loader in the environment has them made (remote/loader.py).
_FOLDER_NAME = re.compile(r"aca-\w+")

# A pipe in the place of a file is not waited for.
_FLAGS = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0)


class NearFiles:
    """The files of an agent's folder. near: None where this machine does not see them.

    folder: its path in the environment, which says so itself; only its name counts.
    """

    def __init__(self, near: NearFolder | None, folder: str) -> None:
        name = folder.rpartition("/")[2]
        self._sessions = near.sessions if near and _FOLDER_NAME.fullmatch(name) else ""
        self._name = name

    def read(self, name: str, ranges: list[tuple[int, int]]) -> list[bytes] | None:
        """Return parts of a file; None: they cannot be had."""
        descriptor = self._find(name, lambda root, names: open_inside(root, names, _FLAGS))
        if descriptor is None:
            return None
        found = []
        try:
            if stat.S_ISREG(os.fstat(descriptor).st_mode):
                for start, length in ranges:
                    os.lseek(descriptor, start, os.SEEK_SET)
                    found.append(os.read(descriptor, length))
        except (OSError, OverflowError):
            return None
        finally:
            os.close(descriptor)
        return found if [len(one) for one in found] == [size for _, size in ranges] else None

    def create(self, name: str) -> BinaryIO | None:
        """Make a file, in the place of another one; None: it cannot be made."""
        descriptor = self._find(name, create_inside)
        return None if descriptor is None else open(descriptor, "wb")

    def _find(self, name: str, open_in: Callable[[str, list[str]], int]) -> int | None:
        try:
            sessions = os.listdir(self._sessions) if self._sessions else []
        except OSError:  # the pool has ended
            return None
        for session in sessions:
            try:
                return open_in(self._sessions, [session, "tmp", self._name, *name.split("/")])
            except OSError:  # another session
                continue
        return None
