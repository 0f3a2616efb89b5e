"""The program of the remote kernel: ipykernel's own application, with our extension.

Run by path with `-f connection-file`, beside which its settings lie.
"""

from __future__ import annotations

import gc
import importlib
import importlib.util
import json
import os
import sys
from typing import Any

# Last word of the command line of a second try, without the settings of the front end.
_BARE = "--bare"

# As in spawn.py, which cannot be imported yet.
_SEED_VARIABLE = "PYTHONHASHSEED"


def main() -> None:
    """Start ipykernel, load the extension, serve until the kernel is told to end."""
    gc.disable()  # what is imported would be looked through for garbage
    here = os.path.dirname(os.path.abspath(__file__))
    # Python puts the script's folder first; cells must not import our modules by accident.
    if sys.path and os.path.abspath(sys.path[0]) == here:
        del sys.path[0]
    os.environ.pop("GLIBC_TUNABLES", None)
    connection_file = sys.argv[sys.argv.index("-f") + 1]
    config_file = connection_file.replace("kernel-", "config-")
    with open(config_file, encoding="utf-8") as file:
        config = json.load(file)
    # Processes that cells start draw their own, as those of any kernel do.
    is_seeded = bool(config.get("hash_seed"))
    seed = {_SEED_VARIABLE: os.environ.pop(_SEED_VARIABLE, "")} if is_seeded else {}

    from ipykernel.kernelapp import IPKernelApp
    from traitlets.config import Config

    # What configuration files say, then what must be.
    settings, arguments, refused = Config(config["traits"]), config["arguments"], config["refused"]
    if _BARE not in sys.argv:
        with open(config["gate"], "rb") as gate:
            gate.read()  # the agent writes our modules while ipykernel is imported
    package = load_package(here)
    if settings or arguments:
        checks = importlib.import_module(package + ".arguments")
        if _BARE in sys.argv:
            refused += checks.names_of(settings, arguments)
            settings, arguments = Config(), []
        else:
            arguments, more = checks.split_applicable(IPKernelApp, settings, arguments)
            refused += more
    # One header.session for everything that a front end gets to see.
    settings.Session.session = config["session"]
    settings.Session.username = config["username"]
    # History cannot outlive the environment anyway, and a cell that comes quickly after
    # another would wait for the file to be synced to disk: some 30 ms on a slow one.
    if "hist_file" not in settings.HistoryManager:
        settings.HistoryManager.hist_file = ":memory:"
    app: Any = IPKernelApp.instance(config=settings)
    extension = importlib.import_module(package + ".extension")
    extension.prepare()
    log = os.dup(2)
    try:
        app.initialize(["-f", connection_file, *arguments])
        extension.load(app, config)
    except (Exception, SystemExit):
        _lead_outputs_to(log)
        if _BARE in sys.argv or not (config["traits"] or arguments):
            raise
        # Not all can be seen beforehand. To the agent, the process stays the same.
        words = [sys.executable, __file__, *sys.argv[1:], _BARE]
        os.execve(sys.executable, words, {**os.environ, **seed})  # noqa: S606 - our own words
    os.close(log)
    # Code looks there for ipykernel, and argparse names its program after it.
    sys.argv[:] = [_program_of_ipykernel(), "-f", connection_file]
    # What there is by now is old, without a collection that finds it so.
    gc.freeze()
    gc.unfreeze()
    gc.enable()
    app.start()


def _lead_outputs_to(log: int) -> None:
    """Take both outputs back from ipykernel: there is no front end yet to see an error."""
    for descriptor in (1, 2):
        os.dup2(log, descriptor)
    sys.stdout, sys.stderr = sys.__stdout__, sys.__stderr__


def _program_of_ipykernel() -> str:
    """Return the path of the script that a kernelspec of ipykernel runs."""
    import ipykernel

    folder = os.path.dirname(os.path.dirname(os.path.abspath(ipykernel.__file__)))
    return os.path.join(folder, "ipykernel_launcher.py")


def load_package(here: str) -> str:
    """Make this folder a package; return its name."""
    name = os.path.basename(here)
    spec = importlib.util.spec_from_file_location(
        name, os.path.join(here, "__init__.py"), submodule_search_locations=[here]
    )
    if spec is None or spec.loader is None:
        raise ImportError(here)
    package = importlib.util.module_from_spec(spec)
    sys.modules[name] = package
    spec.loader.exec_module(package)
    return name


if __name__ == "__main__":
    main()
