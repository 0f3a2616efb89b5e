"""Text on terminals and in files: harmless, in columns, and in colour where a person looks.

rich, which does the most of it, is imported with this module, and this module by nothing that a
kernel needs when it starts.
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

# A terminal's control sequences, and what a title or a link is set with. Source: ECMA-48, 5.4
# and 5.6.
_SEQUENCE = re.compile(
    "(?:\x1b\\[|\x9b)[0-?]*[ -/]*[@-~]"
    "|(?:\x1b[\\]PX^_]|[\x9d\x90\x98\x9e\x9f]).*?(?:\x07|\x1b\\\\|\x9c)"
)

# They make text look as if it stood in another order. Source: Unicode's UAX #9, section 2.
_REORDERING = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")

_REPLACEMENT = "\ufffd"

# Columns of a file or pipe, where no line is folded.
_UNLIMITED = 100_000


def plain(text: str) -> str:
    """Return a text as one line that only shows: what controls a terminal is replaced."""
    return "".join(map(_plain, _SEQUENCE.sub("", text)))


def _plain(character: str) -> str:
    if character == "\t":
        return " "
    # Controls, halves of characters, ends of lines and paragraphs.
    is_bad = unicodedata.category(character) in ("Cc", "Cs", "Zl", "Zp")
    return _REPLACEMENT if is_bad or character in _REORDERING else character


class _Console(Console):
    def on_broken_pipe(self) -> None:
        """Leave it to who prints; rich would end the process."""
        raise BrokenPipeError


def console_on(stream: TextIO) -> Console:
    """Return what prints to a stream: in colour on a terminal, without if NO_COLOR is set.

    Elsewhere no line is folded or coloured. What the stream cannot encode is replaced.
    """
    if isinstance(stream, io.TextIOWrapper):
        stream.reconfigure(errors="replace")
    is_terminal = stream.isatty()
    return _Console(
        file=stream,
        # Not left to rich, which has FORCE_COLOR go before.
        force_terminal=is_terminal,
        width=None if is_terminal else _UNLIMITED,
        # Texts are taken as they are.
        highlight=False,
        markup=False,
        emoji=False,
    )


def live_on(console: Console, picture: Callable[[], RenderableType] | None = None) -> Live:
    """Return what draws over the last lines of a terminal, and takes them away at its end.

    Only when it is told to, not in a thread: what it shows changes in one task.
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
    """Return a number of things."""
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
