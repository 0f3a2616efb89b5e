"""Files of requirements, as `pip install -r` reads them.

Source: pip documentation, "Requirements File Format". Options are not taken over: those that name
an index may hold a password. Paths of this machine mean nothing in an environment.
"""

from __future__ import annotations

import codecs
import re
from dataclasses import dataclass, field
from pathlib import Path

# Files that include each other.
_MOST_FILES = 50

# The value may stand right behind the short name: `-rmore.txt`.
_INCLUDED = re.compile(r"(-r|--requirement|-c|--constraint)(?:\s*=\s*|\s+|(?<=-[rc]))(.+)")


@dataclass
class RequirementLines:
    """What files hold. refused: lines that mean nothing elsewhere, without values of options."""

    requirements: list[str] = field(default_factory=list)
    constraints: list[str] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)


def read(path: Path) -> RequirementLines:
    """Read a file, and those that it includes. Raises OSError, UnicodeDecodeError."""
    found = RequirementLines()
    _read(path, found, found.requirements, set())
    return found


def _read(path: Path, found: RequirementLines, into: list[str], seen: set[Path]) -> None:
    if path in seen or len(seen) >= _MOST_FILES:
        return
    seen.add(path)
    for line in re.sub(r"\\\r?\n", "", _text(path)).splitlines():
        entry = re.sub(r"(^|\s)#.*$", "", line).strip()
        if not entry:
            continue
        included = _INCLUDED.fullmatch(entry)
        if included is not None:
            below = found.constraints if included[1] in {"-c", "--constraint"} else into
            _read_included(path.parent / included[2].strip("\"' "), found, below, seen)
        elif entry.startswith("-"):
            # The option alone: its value may be a secret.
            found.refused.append(re.split(r"[\s=]", entry)[0])
        elif entry.startswith((".", "/", "file:")) or " @ file:" in entry:
            found.refused.append(entry)
        else:
            # Hashes are for files of one kind; another Python gets others.
            into.append(re.split(r"\s--", entry)[0].strip())


def _read_included(path: Path, found: RequirementLines, into: list[str], seen: set[Path]) -> None:
    try:
        _read(path, found, into, seen)
    except (OSError, UnicodeDecodeError):
        # Its name is what the user looks for; the other lines count all the same.
        found.refused.append(path.name)


def _text(path: Path) -> str:
    """Return what a file says. PowerShell's `>` writes UTF-16, which pip reads, too."""
    data = path.read_bytes()
    is_utf_16 = data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    return data.decode("utf-16" if is_utf_16 else "utf-8-sig")
