"""Hints in the errors of code that misses a file, where files are not sent by themselves."""

from __future__ import annotations

import contextlib
import errno
import os
import re
import sys
from collections.abc import Callable
from typing import Any

from ..command_line import transfer_line
from ..paged_files import FileProblem
from ..wrapping import wrapped
from . import file_mentions, quiet
from .entries import FileFacts
from .mirror import Mirror
from .missing_errors import MissingFile, is_ours, missing
from .paths import Paths, way_to

# Names in the text of an error that are looked up.
_MOST_NAMES = 10
_LONGEST_NAME = 1000

_NO_FILE = os.strerror(errno.ENOENT)

# Errors of a missing file or module: of open, of imports, of `%load`.
_HINTED_AT = (OSError, ModuleNotFoundError, ValueError)

_QUOTED = re.compile(r"'([^'\n]+)'|\"([^\"\n]+)\"|`([^`\n]+)`")

# Messages of `%run` and `%load` about a file.
_SEARCHED = re.compile(r"^File .* not found\.|was not found in history, as a file")


class Hinting:
    """Handlers for code that opens a missing file."""

    def __init__(self, mirror: Mirror) -> None:
        self._mirror = mirror

    def handlers(self) -> dict[str, Callable[..., OSError | None]]:
        """Return the handlers of audit events, by their names."""
        return {"open": self._on_open, "sqlite3.connect": self._on_connect}

    def _on_open(self, path: Any, mode: Any, flags: int) -> None:
        __tracebackhide__ = True
        # os.open, which has no mode, may have a dir_fd, which this event does not tell.
        if mode is None or flags & os.O_CREAT:
            return
        relative = _missed(self._mirror, path)
        if relative and not _names_opener():
            raise missing(path, hint_of(self._mirror.paths, relative))

    def _on_connect(self, database: Any) -> None:
        # No error: the code gets a new and empty database.
        tell_missed(self._mirror, file_mentions.of_database(database)[0])

    def prepare(self, error: Any, _: Any) -> None:
        """Add a hint to an error of code that looks before it opens, as numpy, or opens in C."""
        is_hinted = isinstance(error, _HINTED_AT) and not isinstance(error, MissingFile)
        if not is_hinted:
            return
        text = str(error)
        with quiet():
            hint = wrapped(self._hint_for(error, text))
        if hint and hint not in text:
            add_sentence(error, text, hint)

    def _hint_for(self, error: Any, text: str) -> str:
        if isinstance(error, ModuleNotFoundError):
            return self._hint_for_module(error.name or "")
        if isinstance(error, OSError):
            if not isinstance(error, FileNotFoundError) and _NO_FILE not in text:
                return ""
            if error.filename is not None:
                return self._hint_for_names([error.filename])
        elif not _SEARCHED.search(text):
            return ""
        return self._hint_for_names(_names_in(text))

    def _hint_for_module(self, name: str) -> str:
        if not name:
            return ""
        folder = name.replace(".", "/")
        paths = [f"{folder}/__init__.py", f"{folder}.py", folder]
        package, module, whole = self._mirror.look_at(paths)
        if whole is not None and whole.is_folder and (package is not None or module is None):
            return self._hint(folder, whole)
        return "" if module is None else self._hint(paths[1], module)

    def _hint_for_names(self, names: list[Any]) -> str:
        """Return the hint for the first name of a file that is only on the user's machine."""
        mirror = self._mirror
        found = [mirror.inside(name) for name in names[:_MOST_NAMES]]
        paths = [
            path
            for path in found
            if path and len(path) < _LONGEST_NAME and not os.path.lexists(mirror.path_of(path))
        ]
        items = zip(paths, mirror.look_at(paths))  # noqa: B905 - not in Python 3.9
        return next((self._hint(path, item) for path, item in items if item is not None), "")

    def _hint(self, path: str, item: FileFacts) -> str:
        paths = self._mirror.paths
        if item.is_folder:
            return (
                f"{paths.shown(path)} is a folder beside the notebook on your machine: with the "
                'setting files = "on-demand" its files are sent when they are opened, and '
                "`%aca upload` sends one."
            )
        return hint_of(paths, path)

    def tell_of_run(self, result: Any) -> None:
        """Show after a cell the hint for `%run`, whose error has no type of its own."""
        error = result.error_in_exec
        if type(error) is Exception and _SEARCHED.search(str(error)):
            with contextlib.suppress(FileProblem), quiet():
                hint = self._hint_for_names(_names_in(str(error)))
                if hint:
                    self._mirror.tell_once(f"{hint} {result.execution_count}", hint)


def _missed(mirror: Mirror, path: Any) -> str:
    """Return the path of a file that is only on the user's machine, "" if it is not."""
    relative = mirror.inside(path)
    found = mirror.is_only_there(relative) if relative else None
    return "" if found is None or found.is_folder else str(relative)


def tell_missed(mirror: Mirror, path: Any) -> None:
    """Say what sends a file that is only on the user's machine."""
    relative = _missed(mirror, path)
    if relative:
        mirror.tell_once(relative, hint_of(mirror.paths, relative))


def add_sentence(error: Any, text: str, sentence: str) -> None:
    """Show a sentence with an error, whose text is known."""
    if isinstance(error, ImportError):
        error.msg = f"{text}.\n{sentence}"
    elif getattr(error, "filename2", None) is not None:
        error.filename2 = _Hinted(error.filename2, sentence)
    elif getattr(error, "filename", None) is not None:
        error.filename = _Hinted(error.filename, sentence)
    elif len(error.args) == 1:
        error.args = (f"{text.rstrip('.')}.\n{sentence}",)
    elif isinstance(error, OSError):
        error.strerror = f"{error.strerror}.\n{sentence}"


def _names_opener() -> bool:
    """Tell whether the code that opens a file names an opener, which may find it elsewhere."""
    frame: Any = sys._getframe(1)  # noqa: SLF001 - the audit event does not tell
    while frame is not None and is_ours(frame.f_code):
        frame = frame.f_back
    if frame is None:
        return False
    if frame.f_code.co_name == "_modified_open":  # IPython's `open` in cells
        return "opener" in frame.f_locals.get("kwargs", ())
    return any(isinstance(one, tuple) and "opener" in one for one in frame.f_code.co_consts)


class _Hinted(str):
    """The name of a file in an error, shown with a hint after it."""

    __slots__ = ("_shown",)
    _shown: str

    def __new__(cls, name: Any, hint: str) -> _Hinted:  # noqa: PYI034 - no Self before 3.11
        self = super().__new__(cls, os.fsdecode(name))
        self._shown = f"{name!r}.\n{hint}"
        return self

    def __repr__(self) -> str:
        return self._shown

    def __reduce__(self) -> Any:
        return str, (str(self),)


def _names_in(text: str) -> list[str]:
    """Return candidates for a file's name: the text, quoted parts, words with a dot or slash."""
    words = [word.strip(".,:;!?()[]{}<>'\"`") for word in text.split()]
    return [
        text,
        *quoted_in(text),
        *(word for word in words if "." in word or "/" in word),
    ]


def quoted_in(text: str) -> list[str]:
    """Return what stands in quotes in an error's text."""
    return [next(filter(None, found)) for found in _QUOTED.findall(text)]


def hint_of(paths: Paths, relative: str) -> str:
    """Return the hint for a missing file, where files are not sent by themselves."""
    shown = paths.shown(relative)
    return (
        f"{shown} exists beside the notebook on your machine: "
        f"`{transfer_line('upload', shown, way_to(paths.home))}` sends it, and with the setting "
        'files = "on-demand" such files are sent when they are opened.'
    )
