"""Processes of multiprocessing that begin anew: they find files as the notebook's own does.

With `spawn` and `forkserver`, and in loky, a new process is sent what it prepares itself by, ahead
of what it runs. It is told of the mirror there, and of nothing in its environment: what else the
notebook starts is as ever. Workers of concurrent.futures, joblib and dask are such processes.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Callable
from typing import Any

# What makes the text that is sent; loky has the same function.
_MODULES = ("multiprocessing.spawn", "loky.backend.spawn", "joblib.externals.loky.backend.spawn")

_FOLDER = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))

# Run by the new process as it reads that; `folder` and `about` are given. Without it the process
# runs all the same, and misses files.
_BEGIN = """
import importlib, os, runpy, sys
try:
    name = os.path.basename(folder)
    if name not in sys.modules:
        runpy.run_path(os.path.join(folder, "launcher.py"))["load_package"](folder)
    importlib.import_module(name + ".notebook_files.facade").begin_in_process(about)
except Exception as error:
    sys.stderr.write(f"Files beside the notebook are not found by this process: {error}\\n")
"""


class _Beginning:
    """Pickled, it is what a new process runs."""

    def __init__(self, about: dict[str, Any]) -> None:
        self._about = about

    def __reduce__(self) -> tuple[Any, ...]:
        return exec, (_BEGIN, {"folder": _FOLDER, "about": self._about})


def patches(about: dict[str, Any]) -> dict[str, Callable[[Any], None]]:
    """Return what tells new processes of the mirror, by the names of modules.

    about: of plain objects, for `begin_in_process`.
    """
    return dict.fromkeys(_MODULES, functools.partial(_patch, about))


def _patch(about: dict[str, Any], module: Any) -> None:
    original = module.get_preparation_data

    @functools.wraps(original)
    def get_preparation_data(*arguments: Any, **named: Any) -> dict[str, Any]:
        # Keys that are not known are passed over.
        return {**original(*arguments, **named), "aca_files": _Beginning(about)}

    module.get_preparation_data = get_preparation_data
