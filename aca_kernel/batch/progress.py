"""What is shown while a batch runs: redrawn in place on a terminal, plain lines elsewhere.

On a terminal the last lines are one bar for the batch and one line for each notebook that
runs; a line for each that has ended stays above them. It takes three control sequences,
which every terminal since the VT100 knows, and so no library.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import time
from dataclasses import dataclass, field
from typing import TextIO

from .lines import cut, plain
from .outcomes import Outcome, Status

# Often enough for seconds to move.
_REDRAW_SECONDS = 0.5

_BAR_CHARACTERS = 30
_LINES_UP = "\x1b[%dF"
_ERASE_BELOW = "\x1b[J"


@dataclass
class _Running:
    """A notebook that runs, as it is shown."""

    cell: int = 0
    cells: int = 0
    note: str = ""
    started: float = field(default_factory=time.monotonic)


class Progress:
    """Shows a batch on a stream; used as an asynchronous context."""

    def __init__(self, stream: TextIO, total: int) -> None:
        self._stream = stream
        self._total = total
        self._is_live = stream.isatty() and os.environ.get("TERM") != "dumb"
        self._running: dict[str, _Running] = {}
        self._counts = dict.fromkeys(Status, 0)
        self._started = time.monotonic()
        self._drawn = 0
        self._told: set[str] = set()
        self._ticker: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Progress:  # noqa: PYI034 - Self is of Python 3.11
        if self._is_live:
            self._ticker = asyncio.ensure_future(self._tick())
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._ticker is not None:
            self._ticker.cancel()
        self._erase()
        self._write("")

    # -- what happens ----------------------------------------------------------------

    def begin(self, outcome: Outcome) -> None:
        """A notebook's run begins."""
        self._running[outcome.name] = _Running()
        self._redraw()

    def cell(self, name: str, number: int, cells: int) -> None:
        """A cell of a notebook begins."""
        running = self._running.setdefault(name, _Running())
        running.cell, running.cells, running.note = number, cells, ""
        if self._is_live:
            self._redraw()
        elif number == 1:
            self._print(f"{name}: started, {_counted(cells, 'cell')}")

    def say(self, name: str, text: str) -> None:
        """Something is to be known about a notebook: why it waits, or begins anew."""
        running = self._running.setdefault(name, _Running())
        running.note = text
        if not self._is_live:
            self._print(f"{name}: {text}")
        else:
            self._redraw()

    def tell(self, text: str) -> None:
        """Something is to be known about the whole batch: said once."""
        if text not in self._told:
            self._told.add(text)
            self._print(text)

    def end(self, outcome: Outcome) -> None:
        """A notebook's run has ended."""
        self._running.pop(outcome.name, None)
        self._counts[outcome.status] += 1
        self._print(_ended(outcome))

    # -- drawing ---------------------------------------------------------------------

    def _print(self, text: str) -> None:
        """Print a line that stays."""
        self._erase()
        self._write(plain(text) + "\n")
        self._redraw()

    def _write(self, text: str) -> None:
        # A terminal that has gone, a full disk: the notebooks run all the same.
        with contextlib.suppress(OSError):
            self._stream.write(text)
            self._stream.flush()

    async def _tick(self) -> None:
        while True:
            self._redraw()
            await asyncio.sleep(_REDRAW_SECONDS)

    def _erase(self) -> None:
        if self._drawn:
            self._write(_LINES_UP % self._drawn + _ERASE_BELOW)
            self._drawn = 0

    def _redraw(self) -> None:
        if not self._is_live:
            return
        size = shutil.get_terminal_size()
        lines = [self._bar(), *map(self._line, self._running)]
        # What has scrolled out cannot be erased.
        lines = [cut(line, size.columns - 1) for line in lines[: max(1, size.lines - 1)]]
        self._erase()
        self._write("".join(line + "\n" for line in lines))
        self._drawn = len(lines)

    def _bar(self) -> str:
        ended = sum(self._counts.values())
        filled = _BAR_CHARACTERS * ended // max(1, self._total)
        parts = [f"{ended} of {_counted(self._total, 'notebook')}"]
        if self._counts[Status.FAILED]:
            parts.append(f"{self._counts[Status.FAILED]} failed")
        parts.append(f"{time.monotonic() - self._started:.0f} s")
        return f"[{'#' * filled}{'.' * (_BAR_CHARACTERS - filled)}] {', '.join(parts)}"

    def _line(self, name: str) -> str:
        running = self._running[name]
        seconds = time.monotonic() - running.started
        where = f"cell {running.cell} of {running.cells}" if running.cell else "starting"
        note = f"  {running.note}" if running.note else ""
        return f"  {name}  {where}  {seconds:.0f} s{note}"


def _ended(outcome: Outcome) -> str:
    text = f"{outcome.name}: {outcome.status.value}"
    if outcome.status is Status.SKIPPED:
        return text + ", done before"
    if outcome.cells:
        text += f", {outcome.cells_run} of {_counted(outcome.cells, 'cell')}"
    text += f", {outcome.seconds:.1f} s"
    if outcome.attempts > 1:
        text += f", {outcome.attempts} attempts"
    return text


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
