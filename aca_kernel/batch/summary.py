"""What a person reads at the end of a batch."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from .lines import plain, width
from .outcomes import Outcome, Status

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_HEADS = ("notebook", "status", "cell", "error")


def table(outcomes: Sequence[Outcome]) -> list[str]:
    """Return the lines of the table: every error, and every notebook that is not done."""
    rows = [tuple(map(plain, row)) for outcome in outcomes for row in _rows(outcome)]
    if not rows:
        return []
    columns = zip(_HEADS, *rows, strict=True)
    widths = [max(map(width, column)) for column in columns]
    return [_line(row, widths) for row in (_HEADS, *rows)]


def _line(row: Sequence[str], widths: Sequence[int]) -> str:
    cells = (cell + " " * (wide - width(cell)) for cell, wide in zip(row, widths, strict=True))
    return "  ".join(cells).rstrip()


def totals(outcomes: Sequence[Outcome], seconds: float) -> str:
    """Return the last line."""
    counts = Counter(outcome.status for outcome in outcomes)
    parts = [f"{counts[status]} {status.value}" for status in Status if counts[status]]
    noun = "notebook" if len(outcomes) == 1 else "notebooks"
    anew = sum(outcome.attempts > 1 for outcome in outcomes)
    remark = f" {anew} began anew, because environments ended under them." if anew else ""
    return f"{len(outcomes)} {noun} in {seconds:.1f} s: {', '.join(parts)}.{remark}"


def _rows(outcome: Outcome) -> Iterator[tuple[str, str, str, str]]:
    status = outcome.status.value
    for error in outcome.errors:
        yield outcome.name, status, str(error.cell or "-"), error.short
    if not outcome.errors and outcome.status in (Status.INTERRUPTED, Status.NOT_RUN):
        yield outcome.name, status, str(outcome.cells_run or "-"), ""
