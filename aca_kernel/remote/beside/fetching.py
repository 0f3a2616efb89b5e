"""Files are sent when code opens them; what only looks sees them in their place.

The environment is asked first, always. A file that is missing in it is shown with the size and
time that it has on the user's machine, and fetched when it is opened; a folder is made when it
is looked at, which costs nothing. A folder's names are those of both.
"""

from __future__ import annotations

import contextlib
import functools
import os
from collections.abc import Callable
from typing import Any

from ..files import FileProblem
from . import is_quiet, quiet, words
from .entries import Scan, status_of
from .mirror import Item, Mirror, Refused
from .missing import bring, show


class Fetching:
    """What is done when code opens, looks for, lists or removes something."""

    def __init__(self, mirror: Mirror) -> None:
        self._mirror = mirror

    show = staticmethod(show)

    # -- audit events --------------------------------------------------------------

    def handlers(self) -> dict[str, Callable[..., None]]:
        """Return what handles audit events, by their names. They run before the act."""
        return {
            "open": self._on_open,
            "sqlite3.connect": self._on_connect,
            "os.chdir": self._bring_folder,
            "os.mkdir": self._bring_parent,
            "os.remove": self._on_remove,
            "os.rmdir": self._on_remove,
            "shutil.rmtree": self._on_remove,
            "os.rename": self._on_rename,
            "os.truncate": self._bring,
            "os.chmod": self._bring,
            "os.utime": self._bring,
            "os.link": self._bring,
            "ctypes.dlopen": self._bring,
            "subprocess.Popen": self._on_process,
            "os.system": self._on_process,
            "os.exec": self._on_process,
            "os.posix_spawn": self._on_process,
        }

    def _bring(self, path: Any, *_: Any) -> None:
        __tracebackhide__ = True
        relative = self._mirror.inside(path)
        if relative:
            bring(self._mirror, path, relative)

    def _bring_folder(self, path: Any, *_: Any) -> None:
        relative = self._mirror.inside(path)
        if relative:
            with contextlib.suppress(FileProblem), quiet():
                self._mirror.bring_folder(relative)

    def _bring_parent(self, path: Any, *_: Any) -> None:
        relative = self._mirror.inside(path)
        if relative:
            self._bring_folder(os.path.dirname(self._mirror.path_of(relative)))

    def _on_open(self, path: Any, _: Any, flags: int) -> None:
        __tracebackhide__ = True
        is_new = flags & os.O_TRUNC or (flags & os.O_CREAT and flags & os.O_EXCL)
        if not is_new:  # what is in the file matters
            self._bring(path)
        if flags & os.O_CREAT:
            self._bring_parent(path)

    def _on_connect(self, database: Any) -> None:
        __tracebackhide__ = True
        path, log = words.of_database(database)
        self._bring(path)
        relative = self._mirror.inside(log)
        # Its log belongs to it; most have none.
        if relative and self._mirror.look(relative) is not None:
            self._bring(log)

    def _on_remove(self, path: Any, dir_fd: int = -1) -> None:
        mirror = self._mirror
        relative = mirror.inside(path) if dir_fd in (-1, None) else None
        if not relative:
            return
        whole = mirror.path_of(relative)
        with contextlib.suppress(FileProblem, OSError), quiet():
            found = mirror.look(relative)
            if found is not None and not os.path.lexists(whole):
                # It must be here to be removed; what is in it does not matter.
                os.makedirs(whole if found.is_folder else os.path.dirname(whole), exist_ok=True)
                if not found.is_folder:
                    open(whole, "xb").close()
            if found is not None or mirror.is_copy(relative):
                mirror.remove(relative)

    def _on_rename(
        self, source: Any, target: Any, source_fd: int = -1, target_fd: int = -1
    ) -> None:
        __tracebackhide__ = True
        if source_fd == -1:
            self._bring(source)
            self._on_remove(source)
        if target_fd == -1:
            self._bring_parent(target)

    def _on_process(self, *arguments: Any) -> None:
        words.bring_named(self._mirror, arguments)

    # -- functions of os -------------------------------------------------------------

    def functions(self) -> dict[str, Callable[..., Any]]:
        """Return what replaces functions of `os`, by their names."""
        look = self._looking(os.stat)
        return {
            "stat": look,
            "lstat": self._looking(os.lstat),
            "access": self._access(look),
            "listdir": self._listdir(),
            "scandir": self._scandir(),
        }

    def _looking(self, original: Callable[..., Any]) -> Callable[..., Any]:
        mirror = self._mirror

        @functools.wraps(original)
        def look(path: Any, *, dir_fd: Any = None, **options: Any) -> Any:
            __tracebackhide__ = True
            relative = None if dir_fd is not None or is_quiet() else mirror.inside(path)
            if not relative:
                return original(path, dir_fd=dir_fd, **options)
            if mirror.is_copy(relative):
                with contextlib.suppress(FileProblem, Refused):
                    mirror.bring(relative)
            try:
                return original(path, **options)
            except FileNotFoundError:
                found = self._find(relative)
                if found is None:
                    raise
            # A folder has been made by now.
            return original(path, **options) if found.is_folder else status_of(found)

        return look

    def _find(self, relative: str) -> Item | None:
        try:
            with quiet():
                found = self._mirror.look(relative)
                if found is not None and found.is_folder:
                    self._mirror.bring_folder(relative)
        except FileProblem:  # it cannot be asked: as if it were not there
            return None
        return found

    def _access(self, look: Callable[..., Any]) -> Callable[..., Any]:
        original = os.access

        @functools.wraps(original)
        def access(path: Any, mode: int, **options: Any) -> bool:
            if original(path, mode, **options):
                return True
            if is_quiet() or options or mode & ~os.R_OK or not self._mirror.inside(path):
                return False
            try:
                look(path)
            except OSError:
                return False
            return True

        return access

    def _listdir(self) -> Callable[..., Any]:
        original = os.listdir

        @functools.wraps(original)
        def listdir(path: Any = ".") -> Any:
            __tracebackhide__ = True
            there = self._names("." if path is None else path)
            names = original(path)
            return [*names, *sorted(set(there).difference(names))] if there else names

        return listdir

    def _scandir(self) -> Callable[..., Any]:
        original = os.scandir

        @functools.wraps(original)
        def scandir(path: Any = ".") -> Any:
            __tracebackhide__ = True
            path = "." if path is None else path
            there = self._names(path)
            here = original(path)
            return Scan(here, os.fspath(path), there) if there else here

        return scandir

    def _names(self, path: Any) -> dict[str, Item]:
        """Return what is in a folder there; a folder that is only there is made."""
        relative = None
        if isinstance(path, (str, os.PathLike)) and not is_quiet():
            relative = self._mirror.inside(path)
        if relative is None:
            return {}
        try:
            with quiet():
                names = self._mirror.names(relative)
                if names is None or not self._mirror.bring_folder(relative):
                    return {}
        except FileProblem:
            return {}
        return {name: item for name, item in names.items() if name != "__pycache__"}
