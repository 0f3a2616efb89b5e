"""Errors of code that opens or imports a file that is only on the user's machine."""

from __future__ import annotations

import errno
import os
from typing import Any

from ..paged_files import FileProblem
from ..wrapping import wrapped
from . import quiet
from .mirror import Mirror, Refused

_HERE = os.path.dirname(os.path.abspath(__file__))


class MissingFile(FileNotFoundError):
    """A FileNotFoundError with one sentence more."""

    sentence = ""

    def __str__(self) -> str:
        return f"{super().__str__()}.\n{self.sentence}"

    def __reduce__(self) -> Any:
        return FileNotFoundError, (self.errno, self.strerror, self.filename)


class MissingModule(ModuleNotFoundError):
    """A ModuleNotFoundError that can be told from others."""

    def __reduce__(self) -> Any:
        return ModuleNotFoundError, self.args


# Code cannot tell them from the plain ones.
for _own in (MissingFile, MissingModule):
    _own.__name__ = _own.__qualname__ = _own.__base__.__name__  # type: ignore[union-attr]
    _own.__module__ = "builtins"


def is_ours(code: Any) -> bool:
    """Tell whether code is of this package."""
    return os.path.dirname(str(code.co_filename)) == _HERE


def missing(path: Any, sentence: str) -> MissingFile:
    """Return the error for a path, as the code has written it."""
    error = MissingFile(errno.ENOENT, os.strerror(errno.ENOENT), path)
    error.sentence = wrapped(sentence)
    return error


def bring(mirror: Mirror, path: Any, relative: str) -> None:
    """Fetch a file if it is on the user's machine.

    path: as the code has written it. Raises MissingFile: it cannot come, and none is here.
    """
    __tracebackhide__ = True
    try:
        mirror.bring(relative)
    except (FileProblem, Refused) as error:
        with quiet():
            is_here = os.path.lexists(mirror.path_of(relative))
        if not is_here:
            raise missing(path, str(error)) from None
        mirror.tell_once(relative, f"{relative} is used as it was before: {error}")
