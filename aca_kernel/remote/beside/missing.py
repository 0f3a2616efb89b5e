"""The errors of code that opens or imports what is missing here and is on the user's machine."""

from __future__ import annotations

import contextlib
import errno
import os
import threading
from collections.abc import Callable
from typing import Any

from ..files import FileProblem
from . import quiet
from .mirror import Mirror, Refused

_HERE = os.path.dirname(os.path.abspath(__file__))


class MissingFile(FileNotFoundError):
    """With one sentence more than code would get elsewhere."""

    sentence = ""

    def __str__(self) -> str:
        return f"{super().__str__()}. {self.sentence}"

    def __reduce__(self) -> Any:
        return FileNotFoundError, (self.errno, self.strerror, self.filename)


class MissingModule(ModuleNotFoundError):
    """By its own type, so that its traceback can be told."""

    def __reduce__(self) -> Any:
        return ModuleNotFoundError, self.args


# Whatever else code sees of them is what it would get elsewhere.
for _own in (MissingFile, MissingModule):
    _own.__name__ = _own.__qualname__ = _own.__base__.__name__  # type: ignore[union-attr]
    _own.__module__ = "builtins"


def trim_shown(ip: Any, prepare: Callable[[Any], None]) -> None:
    """Let IPython's shell show errors without what of their tracebacks is ours.

    prepare: is given each error before that. IPython hides frames that ask for it, but not the last
    one, and says how many it has hidden; a handler of `set_custom_exc` would stand in the traceback
    of what goes wrong in showing, and in the way of the user's.
    """
    original = ip._get_exc_info  # noqa: SLF001 - by which all that shows errors gets them

    def get_exc_info(exc_tuple: Any = None) -> Any:
        found = original(exc_tuple)
        # Whatever goes wrong here, the error must be shown.
        with contextlib.suppress(Exception), quiet():
            prepare(found[1])
        _trim(found[1], found[2])
        return found

    ip._get_exc_info = get_exc_info  # noqa: SLF001


def trim_threads() -> None:
    """Let an error that ends a thread be shown in the same way."""
    original = threading.excepthook

    def show_thread(args: Any) -> None:
        _trim(args.exc_value, args.exc_traceback)
        original(args)

    threading.excepthook = show_thread


def _trim(error: Any, traceback: Any) -> None:
    _drop(traceback)
    seen: set[int] = set()
    chained = error
    while chained is not None and id(chained) not in seen:
        seen.add(id(chained))
        _drop(chained.__traceback__)
        chained = chained.__cause__ or chained.__context__


def is_ours(code: Any) -> bool:
    """Tell whether code is of this package."""
    return os.path.dirname(str(code.co_filename)) == _HERE


def _drop(place: Any) -> None:
    """Take the frames of ours out of a traceback; those before and after them remain."""
    while place is not None:
        while place.tb_next is not None and is_ours(place.tb_next.tb_frame.f_code):
            place.tb_next = place.tb_next.tb_next
        place = place.tb_next


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
