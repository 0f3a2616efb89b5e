"""Absolute paths of the user's machine, where they lead to the same files in the environment."""

from __future__ import annotations

import contextlib
import os

from . import quiet


class LocalPath:
    """The root's path on the user's machine, "" if paths have another form there.

    root: the directory here. may_link: whether it may be made here, as a symlink. The embedded pool
    shows it by itself.
    """

    def __init__(self, path: str, root: str, *, may_link: bool = False) -> None:
        self.path = path
        self._root = root
        self._may_link = may_link
        self._is_led: bool | None = None

    def is_in(self, path: str) -> bool:
        """Tell whether an absolute path is the root's there, or below it."""
        own = self.path
        return bool(own) and path.startswith(own) and path[len(own) : len(own) + 1] in ("", "/")

    def is_led(self, path: str) -> bool:
        """As `is_in`, where the path leads to the directory here; it is made to, if it can be."""
        if not self.is_in(path):
            return False
        if self._is_led is None:
            with quiet():
                self._is_led = self._lead()
        return self._is_led

    def _lead(self) -> bool:
        above = os.path.dirname(self.path)
        # Where its parent exists, it is no path of another machine.
        if self._may_link and not os.path.lexists(above):
            with contextlib.suppress(OSError):
                os.makedirs(above)
                os.symlink(self._root, self.path)
        try:
            return os.path.samefile(self.path, self._root)
        except OSError:
            return False
