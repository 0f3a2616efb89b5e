"""Puts the parts together for one remote kernel."""

from __future__ import annotations

import contextlib
import os
import sys
from typing import Any

from ..origin import Origin
from . import file_mentions, hooks
from .hinting import Hinting
from .mirror import Mirror
from .write_back import Writing

# In the agent's folder, where the next remote kernel finds it.
_JOURNAL = "copies"


class NotebookFiles:
    """The working directory of one remote kernel. config: see agent.py."""

    def __init__(self, ip: Any, config: dict[str, Any], origin: Origin) -> None:
        calls_path = str(config["calls"])
        # The cell's own, whatever the code makes of sys.stdout meanwhile.
        stream = sys.stdout
        self._mirror: Mirror | None = None
        if config["files"] != "off":
            journal = os.path.join(os.path.dirname(calls_path), _JOURNAL)
            is_hinting = config["files"] == "hint"
            self._mirror = Mirror(
                origin.directory,
                calls_path,
                journal,
                origin.files,
                stream,
                is_hinting=is_hinting,
            )
            hooks.install(ip, self._mirror)
            if is_hinting:
                ip.events.register("post_run_cell", Hinting(self._mirror).tell_of_run)
        self.writing = Writing(origin.directory, calls_path, origin.files, stream, self._mirror)
        if config["files_back"]:
            ip.events.register("post_execute", self.writing.send_back)

    def keep_journal(self) -> None:
        """Write the journal again, if code has removed it. Raises OSError."""
        if self._mirror is not None:
            self._mirror.keep_journal()

    def begin_upload(self, path: str, beside: str) -> None:
        """A file of the notebook's folder comes by `%aca upload`: make the folder that it is in.

        path: where it goes here; beside: where it is there.
        """
        if self.writing.is_same(path, beside):
            with contextlib.suppress(OSError):  # which shows when it is written
                os.makedirs(os.path.dirname(path), exist_ok=True)

    def note_upload(self, path: str, beside: str, changed: int | None) -> None:
        """It has come, and does not go back. changed: when, there; None: code cannot fetch it."""
        if self.writing.is_same(path, beside):
            self.writing.note_same(beside, changed)

    def bring_named(self, command: str) -> None:
        """Fetch the files that a command names."""
        if self._mirror is not None:
            file_mentions.bring_named(self._mirror, [command])
