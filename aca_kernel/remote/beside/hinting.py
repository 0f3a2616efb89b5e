"""Files are not sent by themselves: the error of code that misses one says what sends it."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable
from typing import Any

from ..files import FileProblem
from . import is_quiet, quiet, words
from .mirror import Mirror, hint_of
from .missing import MissingModule, missing, show


class Hinting:
    """What is done when code opens or looks for something."""

    def __init__(self, mirror: Mirror) -> None:
        self._mirror = mirror

    def handlers(self) -> dict[str, Callable[..., None]]:
        """Return what handles audit events, by their names."""
        return {"open": self._on_open, "sqlite3.connect": self._on_connect}

    def functions(self) -> dict[str, Callable[..., Any]]:
        """Return what replaces functions of `os`, by their names."""
        return {"stat": self._stat()}

    def _on_open(self, path: Any, mode: Any, flags: int) -> None:
        __tracebackhide__ = True
        # os.open, which has no mode, may be told a folder that this event does not tell.
        if mode is None or flags & os.O_CREAT:
            return
        relative = self._missed(path)
        if relative:
            raise missing(path, hint_of(relative))

    def _on_connect(self, database: Any) -> None:
        relative = self._missed(words.of_database(database)[0])
        if relative:
            # It is no error: a new and empty database is what comes of it.
            self._mirror.tell_once(relative, hint_of(relative))

    def _missed(self, path: Any) -> str:
        """Return where a file is on the user's machine that is missing here, or nothing."""
        mirror = self._mirror
        relative = mirror.inside(path)
        if not relative:
            return ""
        with quiet():
            if os.path.lexists(mirror.path_of(relative)):
                return ""
            try:
                found = mirror.look(relative)
            except FileProblem:  # it cannot be asked: as if it were not there
                return ""
            if found is None or found.is_folder:
                return ""
            if os.path.dirname(relative):
                # The upload that the hint names needs its folder.
                os.makedirs(os.path.dirname(mirror.path_of(relative)), exist_ok=True)
        mirror.missed.add(relative)
        return relative

    def _stat(self) -> Callable[..., Any]:
        original: Callable[..., Any] = os.stat

        @functools.wraps(original)
        def look(path: Any, *, dir_fd: Any = None, **options: Any) -> Any:
            __tracebackhide__ = True
            try:
                return original(path, dir_fd=dir_fd, **options)
            except FileNotFoundError:
                if dir_fd is None and not is_quiet():
                    self._missed(path)
                raise

        return look

    def show(self, ip: Any, kind: Any, error: Any, traceback: Any) -> None:
        """Show an error of who has looked before, as numpy does, or opens in C, with its hint."""
        text = str(error)
        is_missing = isinstance(error, (FileNotFoundError, MissingModule))
        for relative in self._mirror.missed if is_missing else ():
            hint = hint_of(relative)
            if relative in text and hint not in text:
                if len(error.args) == 1:
                    error.args = (f"{text.rstrip('.')}. {hint}",)
                else:
                    error.strerror = f"{error.strerror}. {hint}"
                break
        show(ip, kind, error, traceback)
