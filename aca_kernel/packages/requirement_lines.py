"""Files of requirements, as `pip install -r` reads them.

Source: pip documentation, "Requirements File Format". Options are not taken over: those that name
an index may hold a password. Paths of this machine mean nothing in an environment.

What a file includes may be any file of this machine, by a line in a repository that somebody else
has written. So only lines that are requirements are taken, and only files with names that files of
requirements have, and secrets have not.
"""

from __future__ import annotations

import codecs
import os
import re
from collections.abc import Callable
from pathlib import Path

from .projects import Asked

# Files that include each other.
_MOST_FILES = 50

SUFFIXES = (".txt", ".in")

# The value may stand right behind the short name: `-rmore.txt`.
_INCLUDED = re.compile(r"(-r|--requirement|-c|--constraint)(?:\s*=\s*|\s+|(?<=-[rc]))(.+)")

# A name with its versions, its address or its marker, or an address alone (PEP 508, and pip's own).
_REQUIREMENT = re.compile(
    r"[a-z0-9][a-z0-9._-]*\s*(?:\[[^\]]*\]\s*)?(?:[(<>~!;].*|===?.*|@\s*[a-z0-9+.-]+:.*)?"
    r"|(?:[a-z]+\+)?[a-z]+://.*",
    re.IGNORECASE,
)


def read(path: Path, is_withheld: Callable[[str], bool]) -> Asked:
    """Read a file, and those that it includes. left_out: lines, without the values of options.

    is_withheld: tells whether a file or folder of some name is never sent.
    Raises OSError, UnicodeDecodeError.
    """
    reader = _Reader(path, is_withheld)
    reader.read(path, reader.found.requirements)
    return reader.found


class _Reader:
    """Reads files that begin with one. found: what they hold."""

    def __init__(self, first: Path, is_withheld: Callable[[str], bool]) -> None:
        self.found = Asked()
        self._folder = os.path.realpath(first.parent)
        self._is_withheld = is_withheld
        self._seen: set[Path] = set()

    def read(self, path: Path, into: list[str]) -> None:
        """Read one. into: what its requirements are added to."""
        if path in self._seen or len(self._seen) >= _MOST_FILES:
            return
        self._seen.add(path)
        if not self._may_be_read(path):
            self._leave_out(path.name)
            return
        for line in re.sub(r"\\\r?\n", "", _text(path)).splitlines():
            entry = re.sub(r"(^|\s)#.*$", "", line).strip()
            included = _INCLUDED.fullmatch(entry)
            # Hashes are for files of one kind; another Python gets others.
            bare = re.split(r"\s--", entry)[0].strip()
            if included is not None:
                is_constraint = included[1] in {"-c", "--constraint"}
                below = self.found.constraints if is_constraint else into
                self._read_included(path.parent / included[2].strip("\"' "), below)
            elif entry.startswith("-"):
                # The option alone: its value may be a secret.
                self._leave_out(re.split(r"[\s=]", entry)[0])
            elif entry.startswith((".", "/", "file:")) or " @ file:" in entry:
                self._leave_out(entry)
            elif _REQUIREMENT.fullmatch(bare):
                into.append(bare)
            elif entry:
                # Not the line itself, which may be anything.
                self._leave_out(f"what is no requirement in {path.name}")

    def _read_included(self, path: Path, into: list[str]) -> None:
        try:
            self.read(path, into)
        except (OSError, UnicodeDecodeError):
            # Its name is what the user looks for; the other lines count all the same.
            self._leave_out(path.name)

    def _leave_out(self, what: str) -> None:
        if what not in self.found.left_out:
            self.found.left_out.append(what)

    def _may_be_read(self, path: Path) -> bool:
        """Tell whether a file, or the target of a symlink, has a name for requirements."""
        real = os.path.realpath(path)
        try:
            names = os.path.relpath(real, self._folder).split(os.sep)
        except ValueError:  # on another drive of Windows
            names = real.split(os.sep)
        return real.lower().endswith(SUFFIXES) and not any(
            self._is_withheld(name) for name in names if name != os.pardir
        )


def _text(path: Path) -> str:
    """Return what a file says. PowerShell's `>` writes UTF-16, which pip reads, too."""
    data = path.read_bytes()
    is_utf_16 = data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    return data.decode("utf-16" if is_utf_16 else "utf-8-sig")
