"""Sentences about files of the user's machine outside of the folder whose files are sent.

    files_outside   {paths}     {told}: a sentence about the first that is there, or ""

paths: absolute, or relative to the notebook's folder. Any code in the environment can ask whether a
file is there. It is answered only about paths that stand in a running cell's text, as they are; of
another path the user alone is told, and never of names that are withheld.
"""

from __future__ import annotations

import asyncio
import os
import re
import shlex
import time

from ...errors import CallRefused
from ...messaging.inbox import Noticed
from ..call import Answer, Call, Concerned
from .files_root import REPOSITORY, find_root
from .folder import Folder, holds_a_whole_system
from .withheld import parts_of

_MOST_PATHS = 5

# Sentences that the user alone is told, in the life of a kernel.
_MOST_TOLD = 5


class OutsideFiles:
    """Answers of one kernel. folder: the one whose files are sent."""

    def __init__(self, concerned: Concerned, folder: Folder) -> None:
        self._concerned = concerned
        self._folder = folder
        self._told: set[str] = set()

    async def find(self, call: Call) -> Answer:
        """Return a sentence about the first path that is a file."""
        if self._concerned.settings.files_mode == "off":
            raise CallRefused("The setting `files` does not let this environment see files.")
        for path in call.items("paths", _MOST_PATHS):
            if not isinstance(path, str) or "\0" in path:
                continue
            sentence = await asyncio.to_thread(sentence_for, self._folder, path)
            if sentence and self._is_written(path):
                return {"told": sentence}, ()
            if sentence and sentence not in self._told and len(self._told) < _MOST_TOLD:
                self._told.add(sentence)
                # The user alone: the environment does not learn of it.
                self._concerned.inbox.put_nowait(Noticed(time.monotonic(), sentence))
        return {"told": ""}, ()

    def _is_written(self, path: str) -> bool:
        """Tell whether a running cell's text has a path, and not as a part of another."""
        whole = re.compile(rf"(?<![\w./~\\-]){re.escape(path)}(?![\w./~\\-])")
        table = self._concerned.table
        return any(whole.search(one.code) for one in table if one.is_execute and one.is_running)


def sentence_for(folder: Folder, path: str) -> str:
    """Return where a file outside of the folder is and what sends it; "" if there is none.

    path: absolute, or relative to the notebook's folder.
    """
    whole = os.path.normpath(os.path.join(folder.home, os.path.expanduser(path)))
    real = os.path.realpath(whole)
    if any(_is_in(folder.root, one) or not _may_be_told(one) for one in (whole, real)):
        return ""
    if not os.path.isfile(real):
        return ""
    shown = os.path.relpath(whole, folder.home).replace(os.sep, "/")
    where = "the notebook's folder" if folder.root == folder.home else folder.root
    return (
        f"{shown} is on your machine, outside of {where}, from which files are sent. "
        f"{_remedy(folder, whole, shown)}"
    )


def _remedy(folder: Folder, whole: str, shown: str) -> str:
    upload = f"`%aca upload {shlex.quote(shown)}` sends it into the working directory"
    above = os.path.commonpath([whole, folder.home])
    if holds_a_whole_system(above):
        return f"{upload}."
    repository = find_root(REPOSITORY, folder.home).root
    if _is_in(repository, whole):
        setting = REPOSITORY
    else:
        setting = os.path.relpath(above, folder.home).replace(os.sep, "/")
    return f'{upload}, and with the setting files_root = "{setting}" it is found where it is.'


def _is_in(folder: str, path: str) -> bool:
    return path == folder or path.startswith(folder.rstrip(os.sep) + os.sep)


def _may_be_told(path: str) -> bool:
    """Tell whether none of an absolute path's names is withheld."""
    relative = os.path.splitdrive(path)[1].replace(os.sep, "/").lstrip("/")
    return bool(relative) and parts_of(relative) is not None
