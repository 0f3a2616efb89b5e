"""Text on terminals and in files: without control sequences, in columns, coloured on terminals.

This module imports rich, so no kernel may import it when it starts.
"""

from __future__ import annotations

import io
import re
import unicodedata
from collections.abc import Callable, Sequence
from typing import TextIO

from rich.console import Console, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

# Control sequences, and control strings of titles and links. Source: ECMA-48, 5.4 and 5.6. Another
# one ends a string that is not ended: else each of many would be looked for to the end of the text.
_SEQUENCE = re.compile(
    "(?:\x1b\\[|\x9b)[0-?]*[ -/]*[@-~]"
    "|(?:\x1b[\\]PX^_]|[\x9d\x90\x98\x9e\x9f])[^\n\x07\x1b\x90\x98\x9c-\x9f]*(?:\x07|\x1b\\\\|\x9c)"
)

# Controls of the writing direction. Source: Unicode's UAX #9, section 2.
_REORDERING = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")

_REPLACEMENT = "\ufffd"

# Columns of a file or pipe.
_UNLIMITED = 100_000


def plain(text: str) -> str:
    """Return a text as one line without control characters."""
    return "".join(map(_plain, _SEQUENCE.sub("", text)))


def plain_lines(text: str) -> str:
    """Return a text without control characters, but for the ends of its lines and their returns."""
    return re.sub(r"[^\r\n]+", lambda line: plain(line[0]), text)


def _plain(character: str) -> str:
    if character == "\t":
        return " "
    # Controls, surrogates, ends of lines and paragraphs.
    is_bad = unicodedata.category(character) in ("Cc", "Cs", "Zl", "Zp")
    return _REPLACEMENT if is_bad or character in _REORDERING else character


class _Console(Console):
    def on_broken_pipe(self) -> None:
        """Raise the error to the caller; rich would end the process."""
        raise BrokenPipeError


def console_on(stream: TextIO) -> Console:
    """Return a console on a stream: coloured on a terminal unless NO_COLOR is set.

    Elsewhere no line is folded or coloured. Characters that cannot be encoded are replaced.
    """
    if isinstance(stream, io.TextIOWrapper):
        stream.reconfigure(errors="replace")
    is_terminal = stream.isatty()
    return _Console(
        file=stream,
        # For rich, FORCE_COLOR would take precedence.
        force_terminal=is_terminal,
        width=None if is_terminal else _UNLIMITED,
        highlight=False,
        markup=False,
        emoji=False,
    )


def live_on(console: Console, picture: Callable[[], RenderableType] | None = None) -> Live:
    """Return a display over the last lines of a terminal, which removes them at its end.

    It is refreshed on request, not by a thread: what it shows changes in one task.
    """
    return Live(
        console=console,
        get_renderable=picture,
        auto_refresh=False,
        transient=True,
        redirect_stdout=False,
        redirect_stderr=False,
    )


def counted(number: int, noun: str) -> str:
    """Return a number with its noun, in the plural if need be."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def print_table(stream: TextIO, heads: Sequence[str], rows: Sequence[Sequence[str | Text]]) -> None:
    """Print rows under their heads, in columns; on a terminal long cells are folded."""
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for head in heads:
        table.add_column(head, overflow="fold")
    for row in rows:
        table.add_row(*row)
    console = console_on(stream)
    with console.capture() as captured:
        console.print(table)
    for line in captured.get().removesuffix("\n").split("\n"):
        print(line.rstrip(), file=stream)
