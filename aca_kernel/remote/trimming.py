"""Tracebacks without our own frames: as ipykernel would show them."""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Callable
from typing import Any

_PACKAGE = os.path.dirname(os.path.abspath(__file__)) + os.sep


def trim_shown(ip: Any) -> None:
    """Trim the errors that IPython's shell shows, and those that end a thread.

    IPython hides frames that ask for it, but not the last one, and says how many it has hidden; a
    handler of `set_custom_exc` would appear in tracebacks of failures to show, and replace the
    user's.
    """
    before_shown(ip, _trim)
    original = threading.excepthook

    def show_thread(args: Any) -> None:
        _trim(args.exc_value, args.exc_traceback)
        original(args)

    threading.excepthook = show_thread


def before_shown(ip: Any, change: Callable[[Any, Any], None]) -> None:
    """Have each error and its traceback changed before IPython's shell shows it."""
    original = ip._get_exc_info  # noqa: SLF001 - IPython gets all errors to show by it

    def get_exc_info(exc_tuple: Any = None) -> Any:
        found = original(exc_tuple)
        # Whatever goes wrong here, the error must be shown.
        with contextlib.suppress(Exception):
            change(found[1], found[2])
        return found

    ip._get_exc_info = get_exc_info  # noqa: SLF001


def _trim(error: Any, traceback: Any) -> None:
    _drop(traceback)
    seen: set[int] = set()
    chained = error
    while chained is not None and id(chained) not in seen:
        seen.add(id(chained))
        _drop(chained.__traceback__)
        chained = chained.__cause__ or chained.__context__


def _drop(place: Any) -> None:
    """Remove our frames from a traceback; those before and after them remain."""
    while place is not None:
        while place.tb_next is not None and _is_ours(place.tb_next.tb_frame.f_code):
            place.tb_next = place.tb_next.tb_next
        place = place.tb_next


def _is_ours(code: Any) -> bool:
    return str(code.co_filename).startswith(_PACKAGE)
