"""Errors are shown without what of their tracebacks is ours: as ipykernel would show them."""

from __future__ import annotations

import os
import threading
from typing import Any

_PACKAGE = os.path.dirname(os.path.abspath(__file__)) + os.sep


def trim_shown(ip: Any) -> None:
    """Let IPython's shell show errors so.

    IPython hides frames that ask for it, but not the last one, and says how many it has hidden; a
    handler of `set_custom_exc` would stand in the traceback of what goes wrong in showing, and in
    the way of the user's.
    """
    original = ip._get_exc_info  # noqa: SLF001 - by which all that shows errors gets them

    def get_exc_info(exc_tuple: Any = None) -> Any:
        found = original(exc_tuple)
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


def _drop(place: Any) -> None:
    """Take the frames of ours out of a traceback; those before and after them remain."""
    while place is not None:
        while place.tb_next is not None and _is_ours(place.tb_next.tb_frame.f_code):
            place.tb_next = place.tb_next.tb_next
        place = place.tb_next


def _is_ours(code: Any) -> bool:
    return str(code.co_filename).startswith(_PACKAGE)
