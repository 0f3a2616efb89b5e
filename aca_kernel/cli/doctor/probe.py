"""The part of `aca-kernel doctor` that runs in a session environment.

Sent as it is, followed by a call of `answer`. Standard library only; Python 3.9 or later.
Answers are short, because a pool may cut outputs.
"""

from __future__ import annotations

import importlib
import importlib.metadata
import importlib.util
import json
import os
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from typing import Any

# Between two looks for a file that another call makes.
_LOOK_SECONDS = 0.01


def answer(question: Callable[..., Any], arguments: str) -> None:
    """Print the answer to a question, one of those below, as a line of JSON."""
    print(json.dumps(question(**json.loads(arguments))))


def look(packages: list[str]) -> dict[str, Any]:
    """Describe this Python. packages: names of modules; null: it is not installed."""
    return {
        "python": ".".join(str(part) for part in sys.version_info[:3]),
        "executable": sys.executable,
        "directory": tempfile.gettempdir(),
        "packages": {name: _version(name) for name in packages},
        "time": time.time(),
    }


def overlap(started: str, go: str, seconds: float) -> bool:
    """Make one file, and tell whether the other appears within so many seconds."""
    with open(started, "w", encoding="ascii"):
        pass
    try:
        deadline = time.monotonic() + seconds
        while not os.path.exists(go):
            if time.monotonic() > deadline:
                return False
            time.sleep(_LOOK_SECONDS)
        return True
    finally:
        # A later call must not find it.
        os.unlink(started)


def clock() -> float:
    """Tell the time."""
    return time.time()


def reach(url: str, seconds: float) -> str:
    """Ask a web address for anything; return the reason if nothing answered, else empty."""
    result = ["no answer in time"]

    def ask() -> None:
        try:
            urllib.request.urlopen(url, timeout=seconds).close()  # noqa: S310 - as it was given
        except urllib.error.HTTPError:
            pass  # an answer, whatever it says
        except Exception as error:  # noqa: BLE001 - the address is not reached
            reason = getattr(error, "reason", error)
            result[0] = type(reason).__name__
            return
        result[0] = ""

    # In a thread, because resolving a name has no timeout.
    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    thread.join(seconds)
    return result[0]


def install(
    package: str, index_url: str, variables: dict[str, str], seconds: float
) -> dict[str, Any] | None:
    """Install a package into a folder that is removed again; None: there is no agent.

    variables: those of cells. Returns `seconds` and by what, or `error` and `is_unreachable`.
    """
    try:
        installer: Any = importlib.import_module("_aca_remote.packages.installer")
    except ImportError:
        return None
    before = dict(os.environ)
    os.environ.update(variables)
    started = time.monotonic()
    try:
        with tempfile.TemporaryDirectory() as folder:
            by = installer.Installer(index_url, seconds).install(
                [package], is_exact=True, target=folder, tell=lambda _: None
            )
    except installer.InstallFailed as error:
        return {"error": str(error), "is_unreachable": error.is_unreachable}
    finally:
        os.environ.clear()
        os.environ.update(before)
    return {"seconds": time.monotonic() - started, "by": by}


def numbered_text(characters: int) -> str:
    """Return a text without repetitions."""
    return "".join(f"{number:08d}\n" for number in range(characters // 9 + 1))[:characters]


def _version(name: str) -> str | None:
    try:
        if importlib.util.find_spec(name) is None:
            return None
        return importlib.metadata.version(name)
    except (ImportError, ValueError):  # PackageNotFoundError is an ImportError
        return None
