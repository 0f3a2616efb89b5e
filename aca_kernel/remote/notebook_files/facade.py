"""Files beside the notebook, for one remote kernel."""

from __future__ import annotations

import contextlib
import os
import sys
from typing import Any

from ..asking import cell_of
from ..origin import Origin
from . import file_mentions, hooks, traceback_names
from .local_path import LocalPath
from .mirror import Mirror
from .outside import Outside
from .paths import Paths
from .shown_files import ShownFiles
from .write_back import Writing


class NotebookFiles:
    """The working directory of one remote kernel. config: see agent.py."""

    def __init__(self, ip: Any, config: dict[str, Any], origin: Origin) -> None:
        calls_path = str(config["calls"])
        # Kept, because code may replace sys.stdout.
        stream = sys.stdout
        root, known = origin.directory, origin.files
        is_mirrored = config["files"] != "off"
        place = config.get("files_root", {}) if is_mirrored else {}
        about = {
            "root": root,
            "calls": calls_path,
            "inner": _enter(root, str(place.get("inner", ""))),
            "local": place.get("local", ""),
            "may_link": place.get("may_link") is True,
        }
        paths = _paths(about)
        self._mirror: Mirror | None = None
        if is_mirrored:
            is_hinting = config["files"] == "hint"
            self._mirror = Mirror(paths, calls_path, known, stream, is_hinting=is_hinting)
            traceback_names.install(self._mirror)
            outside = Outside(self._mirror, calls_path, lambda: cell_of(ip.kernel))
            hooks.install(ip, self._mirror, outside, about)
        self.writing = Writing(paths, calls_path, known, stream, self._mirror)
        if is_mirrored or config["files_back"]:
            ShownFiles(self.writing).watch(ip)
        if config["files_back"]:
            ip.events.register("post_execute", self.writing.send_back)

    def keep_journal(self) -> None:
        """Write the journal again if code has removed it. Raises OSError."""
        if self._mirror is not None:
            self._mirror.copies.keep()

    def begin_upload(self, path: str, beside: str) -> None:
        """Make the folder for a file of the notebook's folder that comes by `%aca upload`.

        path: its place here; beside: its place there.
        """
        if self.writing.is_same(path, beside):
            with contextlib.suppress(OSError):  # which shows when it is written
                os.makedirs(os.path.dirname(path), exist_ok=True)

    def note_upload(self, path: str, beside: str, changed: int | None) -> None:
        """Note that it has come and need not go back. changed: there; None: never sent again."""
        if self.writing.is_same(path, beside):
            self.writing.note_same(beside, changed)

    def bring_named(self, command: str) -> None:
        """Fetch the files that a command names."""
        if self._mirror is not None:
            file_mentions.bring_named(self._mirror, [command])


def begin_in_process(about: dict[str, Any]) -> None:
    """Find files in a process that the notebook's own has started anew (new_processes.py)."""
    mirror = Mirror(_paths(about), about["calls"], {}, sys.stdout, is_hinting=False)
    # No cell is this process's own.
    hooks.install_fetching(mirror, Outside(mirror, about["calls"], str), about)


def _paths(about: dict[str, Any]) -> Paths:
    local = LocalPath(about["local"], about["root"], may_link=about["may_link"])
    return Paths(about["root"], about["inner"], local)


def _enter(root: str, inner: str) -> str:
    """Make the notebook's folder the working directory; return its path in the root."""
    if inner:
        with contextlib.suppress(OSError):  # the root is the best that there is
            folder = os.path.join(root, inner)
            os.makedirs(folder, exist_ok=True)
            os.chdir(folder)
            return inner
    return ""
