"""The summary of a batch, for a person."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TextIO

from rich.text import Text

from .lines import counted, plain, print_table
from .outcomes import STYLES, Outcome, Status, counts_of


def print_problems(stream: TextIO, outcomes: Sequence[Outcome]) -> None:
    """Print a table of every error, and every notebook that is not done, if there are any."""
    rows = [row for outcome in outcomes for row in _rows(outcome)]
    if rows:
        print_table(stream, ("notebook", "status", "cell", "line", "error"), rows)


def totals(outcomes: Sequence[Outcome], seconds: float) -> str:
    """Return the last line."""
    ends = counts_of(outcomes)
    again = sum(outcome.attempts > 1 for outcome in outcomes)
    remark = f" {again} restarted, because environments ended under them." if again else ""
    return f"{counted(len(outcomes), 'notebook')} in {seconds:.1f} s: {ends}.{remark}"


def _rows(outcome: Outcome) -> Iterator[tuple[str, Text, str, str, str]]:
    name, status = plain(outcome.name), outcome.status
    shown = Text(status.value, STYLES[status])
    for error in outcome.errors:
        yield name, shown, str(error.cell or "-"), str(error.line or "-"), plain(error.short)
    if not outcome.errors and status in (Status.INTERRUPTED, Status.NOT_RUN):
        # Not as a cell's number: that would be the last that went well.
        text = f"after {outcome.cells_run} of {counted(outcome.cells, 'cell')}"
        yield name, shown, "-", "-", text if status is Status.INTERRUPTED else ""
