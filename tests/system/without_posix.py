"""A plugin for pytest that hides from the local half what only Linux and macOS have.

The room `system` believes to be on Windows, with stand-ins for the modules that only Windows has,
and no module of the local half can import what Windows lacks. Not hidden: from the room `remote`,
which the tests of the core run as an environment would, and from other packages.
"""

from __future__ import annotations

import builtins
import ctypes
import importlib
import pkgutil
import signal
import sys
from types import ModuleType
from typing import Any
from unittest import mock

POSIX_ONLY = frozenset(
    ("fcntl", "grp", "posix", "pty", "pwd", "readline", "resource", "syslog", "termios", "tty")
)
_ELSEWHERE = ("aca_kernel.remote", "aca_kernel.localpool")

_import = builtins.__import__


def _import_as_on_windows(name: str, within: Any = None, *args: Any, **more: Any) -> ModuleType:
    importer = str((within or {}).get("__name__", ""))
    if name in POSIX_ONLY and importer.startswith("aca_kernel") and not _is_elsewhere(importer):
        raise ModuleNotFoundError(f"No module named {name!r}", name=name)
    return _import(name, within, *args, **more)


def _is_elsewhere(module: str) -> bool:
    return module.startswith(_ELSEWHERE)


def hide() -> None:
    """Hide it, for good: before anything of the package is imported."""
    assert not [name for name in sys.modules if name.startswith("aca_kernel.")]
    builtins.__import__ = _import_as_on_windows
    for name in ("_winapi", "msvcrt"):
        sys.modules[name] = ModuleType(name)
    with (
        mock.patch.object(sys, "platform", "win32"),
        mock.patch.object(ctypes, "WinDLL", mock.MagicMock(), create=True),
        mock.patch.object(signal, "SIGBREAK", signal.SIGTERM, create=True),
    ):
        importlib.import_module("aca_kernel.system")


def import_all() -> list[str]:
    """Import the whole local half, and return the modules of it."""
    import aca_kernel

    found = [
        one.name
        for one in pkgutil.walk_packages(aca_kernel.__path__, "aca_kernel.")
        if not _is_elsewhere(one.name)
        and one.name not in ("aca_kernel.__main__", "aca_kernel.system.on_posix")
    ]
    for name in found:
        importlib.import_module(name)
    return found


hide()
