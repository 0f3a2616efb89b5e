"""Workers that begin anew: they find files as the notebook's own process does.

With `spawn` and `forkserver` of multiprocessing, and in loky, a new process is sent what it
prepares itself by, ahead of what it runs. It is told of the mirror there, and of nothing in its
environment: what else the notebook starts is as ever. Workers of concurrent.futures, joblib and
dask are such processes. Ray's are started by a program of its own; a hook of the job prepares them
(https://docs.ray.io/en/latest/ray-core/handling-dependencies.html).
"""

from __future__ import annotations

import functools
import os
from collections.abc import Callable
from typing import Any

# What makes the text that is sent; loky has the same function.
_MODULES = ("multiprocessing.spawn", "loky.backend.spawn", "joblib.externals.loky.backend.spawn")

# Of Ray, whose workers may be on other machines where it is told an address.
_RAY = "ray._private.worker"
_RAY_ADDRESS = "RAY_ADDRESS"
_RAY_HOOK = "worker_process_setup_hook"

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


# Behind it: what the job has of its own, a function or the path of one.
_GO_ON = """
if isinstance(then, str):
    module, _, name = then.rpartition(".")
    then = getattr(importlib.import_module(module), name)
then()
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
    told = functools.partial(_patch, about)
    return {**dict.fromkeys(_MODULES, told), _RAY: functools.partial(_patch_ray, about)}


def _patch(about: dict[str, Any], module: Any) -> None:
    original = module.get_preparation_data

    @functools.wraps(original)
    def get_preparation_data(*arguments: Any, **named: Any) -> dict[str, Any]:
        # Keys that are not known are passed over.
        return {**original(*arguments, **named), "aca_files": _Beginning(about)}

    module.get_preparation_data = get_preparation_data


def _patch_ray(about: dict[str, Any], module: Any) -> None:
    original = module.init

    @functools.wraps(original)
    def init(address: str | None = None, *arguments: Any, **named: Any) -> Any:
        if address in (None, "local") and not os.environ.get(_RAY_ADDRESS):
            named["runtime_env"] = _with_hook(about, named.get("runtime_env"))
        return original(address, *arguments, **named)

    module.init = init


def _with_hook(about: dict[str, Any], runtime_env: dict[str, Any] | None) -> dict[str, Any]:
    """Return a job's settings with a hook that tells workers of the mirror."""
    settings = dict(runtime_env or {})
    given, then = {"folder": _FOLDER, "about": about}, settings.get(_RAY_HOOK)
    if then is None:
        hook = functools.partial(exec, _BEGIN, given)
    else:
        hook = functools.partial(exec, _BEGIN + _GO_ON, {**given, "then": then})
    # By which Ray names it in its own messages.
    hook.__name__ = "find_files_beside_the_notebook"  # type: ignore[attr-defined]
    return {**settings, _RAY_HOOK: hook}
