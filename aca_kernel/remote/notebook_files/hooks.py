"""Notices that code opens, looks for or lists a file of the working directory.

What opens something raises an audit event before it does, whoever calls it and however it came
by the function: `open`, `os.open`, pathlib, sqlite3, zipfile, numpy, pandas, PIL. Fetched then, the
file is there when the act happens. What only looks raises none, or cannot be told apart from
Python's own looks: `os.stat`, `os.lstat`, `os.access`, `os.listdir` and `os.scandir` are replaced
in the module `os`, where pathlib, glob and os.path find them.

Placeholders of the right size were the alternative. They need none of this, but whoever gets past
it reads zeros, and half a file must never look whole.
"""

from __future__ import annotations

import contextlib
import os
import pathlib
import sys
from collections.abc import Callable
from typing import Any

from . import importing, is_quiet, quiet
from .fetching import Fetching
from .hinting import Hinting
from .mirror import Mirror
from .missing_errors import MissingFile


def install(ip: Any, mirror: Mirror) -> None:
    """Begin to notice. ip: the InteractiveShell."""
    ip.events.register("pre_execute", mirror.begin_cell)
    ip.events.register("post_execute", mirror.end_cell)
    noticing = Hinting(mirror) if mirror.is_hinting else Fetching(mirror)
    _prepare_shown(ip, noticing.prepare)
    _replace_os(noticing.functions())
    importing.install(mirror)
    get = noticing.handlers().get

    def audit(event: str, arguments: tuple[Any, ...]) -> None:
        __tracebackhide__ = True
        handler = get(event)
        if handler is None or is_quiet():
            return
        refusal = None
        try:
            refusal = handler(*arguments)
        except MissingFile:
            raise
        except Exception as error:  # noqa: BLE001 - what the code does must not fail of us
            mirror.tell_once(
                f"{event} failed",
                f"Files beside the notebook may be missing: {error or type(error).__name__}",
            )
        if refusal is not None:
            raise refusal

    # It cannot be removed again, and need not be: it lives as long as the notebook's process.
    sys.addaudithook(audit)


def _prepare_shown(ip: Any, prepare: Callable[[Any], None]) -> None:
    """Have each error prepared before IPython's shell shows it."""
    original = ip._get_exc_info  # noqa: SLF001 - see trimming.py

    def get_exc_info(exc_tuple: Any = None) -> Any:
        found = original(exc_tuple)
        # Whatever goes wrong here, the error must be shown.
        with contextlib.suppress(Exception), quiet():
            prepare(found[1])
        return found

    ip._get_exc_info = get_exc_info  # noqa: SLF001


def _replace_os(functions: dict[str, Callable[..., Any]]) -> None:
    accessor: Any = getattr(pathlib, "_NormalAccessor", None)  # up to Python 3.10
    for name, function in functions.items():
        original = getattr(os, name)
        # By this name it is pickled; `posix` still has the original.
        function.__module__ = "os"
        setattr(os, name, function)
        # shutil and others ask by these what a function can do.
        for can in (os.supports_fd, os.supports_dir_fd, os.supports_follow_symlinks):
            if original in can:
                can.add(function)
        if accessor is not None and getattr(accessor, name, None) is original:
            setattr(accessor, name, staticmethod(function))
