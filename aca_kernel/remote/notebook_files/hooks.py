"""Hooks for code that opens, looks for or lists files of the working directory.

An open raises an audit event before it happens, whoever calls it: `open`, `os.open`, pathlib,
sqlite3, zipfile, numpy, pandas, PIL. The file is fetched in the event. A look raises none, or one
that Python's own looks raise, too: `os.stat`, `os.lstat`, `os.access`, `os.listdir` and
`os.scandir` are replaced in the module `os`, where pathlib, glob and os.path find them.

Placeholders of the right size would need none of this. Code that bypasses the hooks would read
zeros from them, and half a file must never look whole.
"""

from __future__ import annotations

import os
import pathlib
import sys
from collections.abc import Callable
from typing import Any

from .. import trimming
from . import importing, is_quiet, new_processes
from .cell_text import CellText
from .fetching import Fetching
from .hinting import Hinting
from .mirror import Mirror
from .missing_errors import MissingFile
from .outside import Outside


def install(ip: Any, mirror: Mirror, outside: Outside, about: dict[str, Any]) -> None:
    """Install the hooks. ip: the InteractiveShell. about: for new processes, which get them too."""
    trimming.before_shown(ip, outside.prepare)
    ip.events.register("pre_execute", mirror.begin_cell)
    ip.events.register("post_execute", mirror.end_cell)
    if mirror.is_hinting:
        hinting = Hinting(mirror)
        trimming.before_shown(ip, hinting.prepare)
        ip.events.register("post_run_cell", hinting.tell_of_run)
        importing.install(mirror, outside, {})
        _add_audit_hook(mirror, hinting.handlers())
    else:
        CellText(mirror).register(ip)
        install_fetching(mirror, outside, about)


def install_fetching(mirror: Mirror, outside: Outside, about: dict[str, Any]) -> None:
    """Install the hooks of a process in which files are sent when code opens them."""
    fetching = Fetching(mirror)
    _replace_os(fetching.functions())
    importing.install(mirror, outside, new_processes.patches(about))
    _add_audit_hook(mirror, fetching.handlers())


def _add_audit_hook(mirror: Mirror, handlers: dict[str, Callable[..., Any]]) -> None:
    def audit(event: str, arguments: tuple[Any, ...]) -> None:
        __tracebackhide__ = True
        handler = handlers.get(event)
        if handler is None or is_quiet():
            return
        refusal = None
        try:
            refusal = handler(*arguments)
        except MissingFile:
            raise
        except Exception as error:  # noqa: BLE001 - whatever it is
            mirror.tell_failure(f"{event} failed", error)
        if refusal is not None:
            raise refusal

    # It cannot be removed: it lives as long as the notebook's process.
    sys.addaudithook(audit)


def _replace_os(functions: dict[str, Callable[..., Any]]) -> None:
    accessor: Any = getattr(pathlib, "_NormalAccessor", None)  # up to Python 3.10
    for name, function in functions.items():
        original = getattr(os, name)
        # Pickled by this name; `posix` still has the original.
        function.__module__ = "os"
        setattr(os, name, function)
        # shutil and others look up capabilities in these.
        for can in (os.supports_fd, os.supports_dir_fd, os.supports_follow_symlinks):
            if original in can:
                can.add(function)
        if accessor is not None and getattr(accessor, name, None) is original:
            setattr(accessor, name, staticmethod(function))
