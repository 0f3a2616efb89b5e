"""The error of whoever opens a file that is missing here and is on the user's machine."""

from __future__ import annotations

import errno
import os
from typing import Any

from ..files import FileProblem
from . import quiet
from .mirror import Mirror, Refused


class MissingFile(FileNotFoundError):
    """With one sentence more than code would get elsewhere."""

    sentence = ""

    def __str__(self) -> str:
        return f"{super().__str__()}. {self.sentence}"

    def __reduce__(self) -> Any:
        return FileNotFoundError, self.args


# Whatever else code sees of it is what it would get elsewhere.
MissingFile.__name__ = MissingFile.__qualname__ = "FileNotFoundError"
MissingFile.__module__ = "builtins"


def missing(path: Any, sentence: str) -> MissingFile:
    """Return the error for a path, as the code has written it."""
    error = MissingFile(errno.ENOENT, os.strerror(errno.ENOENT), path)
    error.sentence = sentence
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
