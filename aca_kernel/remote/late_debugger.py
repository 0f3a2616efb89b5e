"""ipykernel's debugger, imported when it is asked for.

With debugpy it takes a fifth of the time in which a remote kernel starts, and few notebooks are
debugged. Until then a module without it stands in its place, and an object in that of the kernel's
`debugger`: any use of what they have not makes the real ones. `breakpoint()` does nothing, as
debugpy has it do without a debugger.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import importlib.util
import os
import sys
import threading
import types
from collections.abc import Iterator
from concurrent.futures import Future
from typing import Any

_NAME = "ipykernel.debugger"


def import_late() -> None:
    """Put the stand-in in the place of ipykernel's module, unless that is imported already.

    ipykernel before 6.28 imports it with the kernel's class.
    """
    if _NAME not in sys.modules and importlib.util.find_spec("debugpy") is not None:
        sys.modules[_NAME] = _Module(_NAME)
        sys.breakpointhook = _ignored_breakpoint


def _ignored_breakpoint(*_: Any, **__: Any) -> None:
    """Stand in the place of debugpy's hook, which stops in a debugger if there is one."""


class _Module(types.ModuleType):
    """The part of the module that a kernel needs that is not debugged."""

    _is_debugpy_available = True

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.Debugger = LateDebugger

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):  # the import system asks, for one, whether it is a package
            raise AttributeError(name)
        return getattr(_real_module(), name)


_importing = threading.RLock()


def _real_module() -> Any:
    with _importing:
        if not isinstance(sys.modules.get(_NAME), _Module):
            return importlib.import_module(_NAME)
        del sys.modules[_NAME]
        hook = sys.breakpointhook
        with _without_warnings():
            module = importlib.import_module(_NAME)
        if hook is not _ignored_breakpoint:  # a cell's, which debugpy has replaced now
            sys.breakpointhook = hook
        return module


@contextlib.contextmanager
def _without_warnings() -> Iterator[None]:
    """Keep what debugpy says about frozen modules out of the last cell.

    ipykernel imports it where its words go to the terminal.
    """
    name = "PYDEVD_DISABLE_FILE_VALIDATION"
    if name in os.environ:
        yield
        return
    os.environ[name] = "1"
    try:
        yield
    finally:
        os.environ.pop(name, None)


class LateDebugger:
    """A kernel's debugger, made at its first use of what ipykernel has called for one with.

    Used in the control thread by ipykernel, and in any by cells.
    """

    def __init__(self, *arguments: Any) -> None:
        self._arguments = arguments
        self._made: Future[Any] = Future()
        self._making = threading.RLock()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._debugger(), name)

    async def process_request(self, message: dict[str, Any]) -> Any:
        """Answer a debug_request; with None, as ipykernel does, if debugpy can't be imported."""
        debugger = self._debugger()
        return None if debugger is None else await debugger.process_request(message)

    async def handle_stopped_event(self) -> None:
        """Wait for the next stop. There is none before the first request."""
        debugger = await asyncio.wrap_future(self._made)
        await debugger.handle_stopped_event()

    def _debugger(self) -> Any:
        with self._making:
            if not self._made.done():
                before = set(sys.modules)
                module = _real_module()
                if not module._is_debugpy_available:  # noqa: SLF001 - ipykernel's own name for it
                    return None
                *first, kernel_modules, just_my_code, filter_frames = self._arguments
                # Steps go over what was imported before the first cell, so over this, and over us.
                kernel_modules = [*kernel_modules, *_files_of_kernel(before)]
                made = module.Debugger(*first, kernel_modules, just_my_code, filter_frames)
                self._made.set_result(made)
        return self._made.result()


def _files_of_kernel(before: set[str]) -> list[str]:
    """List the files of our modules, and of those not in `before` that no cell has imported."""
    kernel = {*sys.stdlib_module_names, "debugpy", "ipykernel"}
    names = {name: name.partition(".")[0] for name in sys.modules}
    modules = [
        sys.modules.get(name)
        for name, top in names.items()
        if top == __package__ or (top in kernel and name not in before)
    ]
    files = [getattr(module, "__file__", None) for module in modules]
    return [file for file in files if file]
