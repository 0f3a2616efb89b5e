"""Files of requirements, as `pip install -r` reads them.

Source: pip documentation, "Requirements File Format". Options are not taken over: those that name
an index may hold a password. Paths of this machine mean nothing in an environment.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path

# Files that include each other.
_MOST_FILES = 50


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
    text = path.read_text(encoding="utf-8-sig")
    for line in re.sub(r"\\\r?\n", "", text).splitlines():
        entry = re.sub(r"(^|\s)#.*$", "", line).strip()
        if not entry:
            continue
        option, _, value = entry.replace("=", " ", 1).partition(" ")
        if option in {"-r", "--requirement"}:
            _read(path.parent / value.strip(), found, into, seen)
        elif option in {"-c", "--constraint"}:
            _read(path.parent / value.strip(), found, found.constraints, seen)
        elif entry.startswith("-"):
            # The option alone: its value may be a secret.
            found.refused.append(re.split(r"[\s=]", entry)[0])
        elif entry.startswith((".", "/", "file:")) or " @ file:" in entry:
            found.refused.append(entry)
        else:
            # Hashes are for files of one kind; another Python gets others.
            into.append(re.split(r"\s--", entry)[0].strip())
