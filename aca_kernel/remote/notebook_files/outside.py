"""Paths of the user's machine that lead out of the folder whose files are sent.

Code that opens one gets its error as ever. When the error is shown, or a reader in C is called, one
question is asked about the paths that it names, and the kernel on the user's machine answers with a
sentence: only about paths that stand in the running cell's text, since any code can ask.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from typing import Any

from ..asking import asking
from ..paged_files import FileProblem
from ..wrapping import wrapped
from . import quiet
from .hinting import add_sentence, quoted_in
from .mirror import Mirror
from .paths import text_of

_MOST_PATHS = 5
_LONGEST_PATH = 1000

# How libraries say that there is no file.
_MISSING = re.compile(
    r"no such file|no files found|not found|not exist|unable to (?:synchronously )?open"
    r"|failed to (?:open|load)|cannot (?:open|find)|can't open|could not open"
    r"|error (?:opening|reading)",
    re.IGNORECASE,
)


class Outside:
    """Sentences about paths that lead out of the mirror.

    calls_path: the agent's socket. cell_of: returns the msg_id of the running cell, whose text the
    kernel looks at.
    """

    def __init__(self, mirror: Mirror, calls_path: str, cell_of: Callable[[], str]) -> None:
        self._mirror = mirror
        self._cell_of = cell_of
        self._calls_path = calls_path

    def prepare(self, error: Any, _: Any) -> None:
        """Add a sentence to an error that is about to be shown."""
        text = str(error)
        if not isinstance(error, FileNotFoundError) and not _MISSING.search(text):
            return
        if isinstance(error, ImportError):
            return
        named = getattr(error, "filename", None)
        sentence = wrapped(self.sentence_for([text_of(named)] if named else paths_in(text)))
        if sentence and sentence not in text:
            add_sentence(error, text, sentence)

    def tell(self, name: str) -> None:
        """Say with the running cell where a file is that a reader in C will not find."""
        if os.path.exists(name):
            return
        sentence = self.sentence_for([name])
        if sentence:
            self._mirror.tell_once(sentence, sentence)

    def sentence_for(self, names: list[str]) -> str:
        """Return where files are that lead out, and what sends them; "" for all others."""
        paths = self._mirror.paths
        asked = []
        for name in names:
            if place := paths.local_place(name):
                return (
                    f"{name} is a path on your machine. In the environment it is "
                    f"{paths.shown(place)}, relative to the notebook's folder."
                )
            if len(name) <= _LONGEST_PATH and paths.leads_out(name):
                asked.append(self._from_home(name))
        if not asked:
            return ""
        try:
            with quiet(), asking(self._calls_path, self._cell_of()) as kernel:
                return str(kernel.ask("files_outside", paths=asked[:_MOST_PATHS]).head["told"])
        except FileProblem:
            return ""

    def _from_home(self, name: str) -> str:
        """Return a path relative to the notebook's folder, or an absolute one."""
        if os.path.isabs(name):
            return name
        here = os.path.relpath(os.getcwd(), self._mirror.paths.home)
        return name if here == os.curdir else os.path.join(here, name)


def paths_in(text: str) -> list[str]:
    """Return what may be paths in an error's text."""
    words = [word.strip(",:;!?()[]{}<>'\"`") for word in text.split()]
    found = [one.removesuffix(".") for one in [*quoted_in(text), *words] if "/" in one]
    return list(dict.fromkeys(found))
