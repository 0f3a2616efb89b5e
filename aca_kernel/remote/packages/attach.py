"""A remote kernel's packages, as its start pays for them: what is found first is noted.

The modules that install, store and bring back are imported when they have something to do, and
compiled then: a start has no use for them.
"""

from __future__ import annotations

import functools
import importlib
import sys
import threading
from contextlib import suppress
from typing import Any

from . import MARK, distributions


class NotebookPackages:
    """The packages of one remote kernel.

    config: {"wanted": whether the setting `packages` asks for any, "notebook": what script metadata
    of the notebook asks for as far as the kernel knows it, {"requirements", "python", "indexes"},
    "index_url", "seconds"}.
    calls_path: the agent's socket, in its folder.
    """

    def __init__(self, config: dict[str, Any], calls_path: str) -> None:
        self._config = config
        self._calls_path = calls_path
        self._image = distributions.image()
        # Ahead of the first cell, whatever that is.
        self._is_due = bool(config.get("wanted") or config.get("notebook"))
        if self._is_due:
            # While nobody waits: the first cell will.
            threading.Thread(target=_import, args=("before_cells",), daemon=True).start()

    def register(self, kernel: Any) -> None:
        """Come before all cells of an ipykernel."""
        ip = kernel.shell
        run_cell_async = ip.run_cell_async

        @functools.wraps(run_cell_async)
        async def run_after_packages(raw_cell: str, *args: Any, **options: Any) -> Any:
            is_due = self._is_due or MARK in raw_cell
            # Hidden code asks for nothing.
            if is_due and options.get("store_history") and not options.get("silent"):
                # Whatever comes of it: once for an environment.
                self._is_due = False
                try:
                    self._first.before(raw_cell, kernel)
                except KeyboardInterrupt:
                    options["preprocessing_exc_tuple"] = sys.exc_info()
            return await run_cell_async(raw_cell, *args, **options)

        ip.run_cell_async = run_after_packages

    @functools.cached_property
    def _installer(self) -> Any:
        module = importlib.import_module(f"{__package__}.installer")
        seconds = float(self._config.get("seconds", 300))
        return module.Installer(str(self._config.get("index_url", "")), seconds)

    @functools.cached_property
    def _first(self) -> Any:
        module = importlib.import_module(f"{__package__}.before_cells")
        return module.PackagesFirst(self._installer, self._config, self._calls_path)

    @functools.cached_property
    def added(self) -> Any:
        """What checkpoints keep and restores bring back."""
        module = importlib.import_module(f"{__package__}.added")
        return module.AddedPackages(self._image, self._installer, self._calls_path)


def _import(name: str) -> None:
    """Import what installs; whoever needs it is told of a failure."""
    for module in (f"{__package__}.{name}", "packaging.requirements"):
        with suppress(ImportError):
            importlib.import_module(module)
