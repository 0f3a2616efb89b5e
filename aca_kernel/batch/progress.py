"""Progress of a batch: redrawn in place on a terminal, plain lines elsewhere.

On a terminal the last lines are a bar for the batch and a line for each running notebook.
Lines of notebooks that have ended stay above them.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TextIO

from rich.console import Group
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from .lines import console_on, counted, live_on, plain
from .outcomes import STYLES, Outcome, Status

# So that seconds move.
_REDRAW_SECONDS = 0.5

_BAR_CHARACTERS = 30


@dataclass
class _Running:
    """The line of a running notebook."""

    cell: int = 0
    cells: int = 0
    note: str = ""
    started: float = field(default_factory=time.monotonic)


class Progress:
    """Shows a batch on a stream; used as an asynchronous context."""

    def __init__(self, stream: TextIO, total: int) -> None:
        self._console = console_on(stream)
        self._total = total
        self._is_live = self._console.is_interactive
        self._running: dict[str, _Running] = {}
        self._counts = dict.fromkeys(Status, 0)
        self._started = time.monotonic()
        self._told: set[str] = set()
        self._ticker: asyncio.Task[None] | None = None
        self._live = live_on(self._console, self._picture)

    async def __aenter__(self) -> Progress:  # noqa: PYI034 - Self is of Python 3.11
        if self._is_live:
            with self._unfailing():
                self._live.start()
            self._ticker = asyncio.ensure_future(self._tick())
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._ticker is not None:
            self._ticker.cancel()
        with self._unfailing():
            self._live.stop()

    # -- events ----------------------------------------------------------------------

    def begin(self, outcome: Outcome) -> None:
        """Add a notebook that starts."""
        self._running[outcome.name] = _Running()
        self._redraw()

    def cell(self, name: str, number: int, cells: int) -> None:
        """Show that a notebook's cell starts."""
        running = self._running.setdefault(name, _Running())
        running.cell, running.cells, running.note = number, cells, ""
        if self._is_live:
            self._redraw()
        elif number == 1:
            self._print(f"{name}: started, {counted(cells, 'cell')}")

    def say(self, name: str, text: str) -> None:
        """Show a remark on a notebook: why it waits, or is restarted."""
        self._running.setdefault(name, _Running()).note = text
        if self._is_live:
            self._redraw()
        else:
            self._print(f"{name}: {text}")

    def tell(self, text: str) -> None:
        """Show a remark on the whole batch, once."""
        if text not in self._told:
            self._told.add(text)
            self._print(text)

    def end(self, outcome: Outcome) -> None:
        """Replace a notebook's line by its outcome."""
        self._running.pop(outcome.name, None)
        self._counts[outcome.status] += 1
        self._print(_ended(outcome))

    # -- drawing ---------------------------------------------------------------------

    def _print(self, line: str | Text) -> None:
        """Print a line that stays."""
        if isinstance(line, str):
            line = Text(plain(line))
        with self._unfailing():
            self._console.print(line, soft_wrap=True)

    @contextmanager
    def _unfailing(self) -> Iterator[None]:
        """Ignore a closed terminal or a full disk: the notebooks run."""
        try:
            yield
        except OSError:
            # Empty rich's buffer, which would be written again each time.
            self._console.quiet = True
            self._console.print()
            self._console.quiet = False

    async def _tick(self) -> None:
        while True:
            self._redraw()
            await asyncio.sleep(_REDRAW_SECONDS)

    def _redraw(self) -> None:
        if self._is_live:
            with self._unfailing():
                self._live.refresh()

    def _picture(self) -> Group:
        return Group(self._bar(), *map(self._line, self._running))

    def _bar(self) -> Table:
        ended = sum(self._counts.values())
        parts = [f"{ended} of {counted(self._total, 'notebook')}"]
        if self._counts[Status.FAILED]:
            parts.append(f"{self._counts[Status.FAILED]} failed")
        parts.append(f"{time.monotonic() - self._started:.0f} s")
        bar = Table.grid(padding=(0, 1))
        bar.add_row(ProgressBar(max(1, self._total), ended, _BAR_CHARACTERS), ", ".join(parts))
        return bar

    def _line(self, name: str) -> Text:
        running = self._running[name]
        seconds = time.monotonic() - running.started
        where = f"cell {running.cell} of {running.cells}" if running.cell else "starting"
        note = f"  {running.note}" if running.note else ""
        text = plain(f"  {name}  {where}  {seconds:.0f} s{note}")
        return Text(text, no_wrap=True, overflow="ellipsis")


def _ended(outcome: Outcome) -> Text:
    status = (outcome.status.value, STYLES[outcome.status])
    return Text.assemble(f"{plain(outcome.name)}: ", status, _remark(outcome))


def _remark(outcome: Outcome) -> str:
    if outcome.status is Status.SKIPPED:
        return ", done before"
    text = f", {outcome.cells_run} of {counted(outcome.cells, 'cell')}" if outcome.cells else ""
    text += f", {outcome.seconds:.1f} s"
    return f"{text}, {outcome.attempts} attempts" if outcome.attempts > 1 else text
