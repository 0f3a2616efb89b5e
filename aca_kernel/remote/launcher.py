"""The program of the remote kernel: ipykernel's own application, with our extension.

Run by path with `-f connection-file`, beside which its settings lie.
"""

from __future__ import annotations

import importlib
import importlib.util
import json
import os
import sys
from types import ModuleType
from typing import Any


def main() -> None:
    """Start ipykernel, load the extension, serve until the kernel is told to end."""
    here = os.path.dirname(os.path.abspath(__file__))
    # Python puts the script's folder first; cells must not import our modules by accident.
    if sys.path and os.path.abspath(sys.path[0]) == here:
        del sys.path[0]
    os.environ.pop("GLIBC_TUNABLES", None)
    connection_file = sys.argv[sys.argv.index("-f") + 1]
    config_file = connection_file.replace("kernel-", "config-")
    with open(config_file, encoding="utf-8") as file:
        config = json.load(file)

    from ipykernel.kernelapp import IPKernelApp
    from traitlets.config import Config

    # What the front end appended to the kernel's command line, then what must be.
    settings = Config(config["traits"])
    # One header.session for everything that a front end gets to see.
    settings.Session.session = config["session"]
    settings.Session.username = config["username"]
    # History cannot outlive the environment anyway, and a cell that comes quickly after
    # another would wait for the file to be synced to disk: some 30 ms on a slow one.
    if "hist_file" not in settings.HistoryManager:
        settings.HistoryManager.hist_file = ":memory:"
    app: Any = IPKernelApp.instance(config=settings)
    extension = _load_extension(here)
    extension.prepare()
    app.initialize(["-f", connection_file, *config["arguments"]])
    extension.load(app, config)
    app.start()


def _load_extension(here: str) -> ModuleType:
    name = os.path.basename(here)
    spec = importlib.util.spec_from_file_location(
        name, os.path.join(here, "__init__.py"), submodule_search_locations=[here]
    )
    if spec is None or spec.loader is None:
        raise ImportError(here)
    package = importlib.util.module_from_spec(spec)
    sys.modules[name] = package
    spec.loader.exec_module(package)
    return importlib.import_module(name + ".extension")


if __name__ == "__main__":
    main()
