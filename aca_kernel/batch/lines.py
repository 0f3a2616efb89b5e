"""Text of notebooks and file names as lines of a terminal: harmless, and as wide as it looks."""

from __future__ import annotations

import re
import unicodedata

# A terminal's control sequences, and what a title or a link is set with. Source: ECMA-48, 5.4
# and 5.6.
_SEQUENCE = re.compile(
    "(?:\x1b\\[|\x9b)[0-?]*[ -/]*[@-~]"
    "|(?:\x1b[\\]PX^_]|[\x9d\x90\x98\x9e\x9f]).*?(?:\x07|\x1b\\\\|\x9c)"
)

# They make text look as if it stood in another order. Source: Unicode's UAX #9, section 2.
_REORDERING = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")

_REPLACEMENT = "\ufffd"


def plain(text: str) -> str:
    """Return a text as one line that only shows: what controls a terminal is replaced."""
    return "".join(map(_plain, _SEQUENCE.sub("", text)))


def width(text: str) -> int:
    """Return how many columns of a terminal a plain text takes."""
    return sum(map(_width, text))


def cut(text: str, columns: int) -> str:
    """Return what of a text fits into so many columns, as `plain` has it."""
    taken, kept = 0, []
    for character in plain(text):
        taken += _width(character)
        if taken > columns:
            break
        kept.append(character)
    return "".join(kept)


def _plain(character: str) -> str:
    if character == "\t":
        return " "
    # Controls, halves of characters, ends of lines and paragraphs.
    is_bad = unicodedata.category(character) in ("Cc", "Cs", "Zl", "Zp")
    return _REPLACEMENT if is_bad or character in _REORDERING else character


def _width(character: str) -> int:
    if unicodedata.category(character) in ("Mn", "Me", "Cf"):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1
