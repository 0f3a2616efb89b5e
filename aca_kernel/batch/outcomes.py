"""Outcomes of notebooks, and of the batch that they are of."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import Enum

from .shards import Shard

# Of an error's text, in a line.
_SHORT_CHARACTERS = 120

# Of an error of ours: no sentence is that long, but a quotation in it may be.
_OUR_CHARACTERS = 1000


class Status(Enum):
    """State of a notebook at the end."""

    DONE = "done"
    FAILED = "failed"
    # Stopped by Ctrl-C, or because another one failed; --resume restarts it.
    INTERRUPTED = "interrupted"
    # Done by an earlier run, and unchanged.
    SKIPPED = "skipped"
    NOT_RUN = "not run"


# Styles on a terminal.
STYLES = {
    Status.DONE: "green",
    Status.FAILED: "red",
    Status.INTERRUPTED: "yellow",
    Status.SKIPPED: "bright_black",
    Status.NOT_RUN: "bright_black",
}


@dataclass(frozen=True)
class CellError:
    """An error of one cell.

    cell: its number among the code cells that run, as In[…] shows it; 0 if it was none.
    line: of the cell, 0 if that is not known.
    is_ours: it is the kernel's own; reason: of such an error.
    """

    cell: int
    ename: str
    evalue: str
    is_ours: bool = False
    reason: str = ""
    line: int = 0

    @property
    def place(self) -> str:
        """Cell and line in words, "" if it was no cell."""
        if not self.cell:
            return ""
        return f"cell {self.cell}, line {self.line}" if self.line else f"cell {self.cell}"

    @property
    def short(self) -> str:
        """Name and first line, shortened."""
        lines = self.evalue.strip().splitlines()
        text = f"{self.ename}: {lines[0]}" if lines else self.ename
        room = _OUR_CHARACTERS if self.is_ours else _SHORT_CHARACTERS
        return text if len(text) <= room else text[: room - 1] + "…"

    @property
    def sentence(self) -> str:
        """The first sentence, with its full stop."""
        return self.short.partition(". ")[0].removesuffix(".") + "."


@dataclass
class Outcome:
    """Result of one notebook's run.

    cells: number of code cells. cells_run: those that ended by themselves, in the last attempt.
    errors: of cells, and at last the one that it failed of, if it did.
    cell_seconds: of the cells that were run, in the last attempt.
    """

    name: str
    source: str
    output: str
    status: Status = Status.NOT_RUN
    kernel: str = ""
    cells: int = 0
    cells_run: int = 0
    attempts: int = 0
    seconds: float = 0.0
    errors: list[CellError] = field(default_factory=list)
    cell_seconds: list[float] = field(default_factory=list)

    @property
    def is_good(self) -> bool:
        """Whether its output is complete."""
        return self.status in (Status.DONE, Status.SKIPPED)


def counts_of(outcomes: Sequence[Outcome]) -> str:
    """Return in words how many notebooks have come to which end."""
    counts = Counter(outcome.status for outcome in outcomes)
    parts = [f"{counts[status]} {status.value}" for status in Status if counts[status]]
    return ", ".join(parts) or "nothing to run"


@dataclass(frozen=True)
class Batch:
    """The run as a whole. started: ISO 8601, UTC. shard: the part of the batch that it was."""

    started: str
    seconds: float
    jobs: int
    is_stopped: bool
    shard: Shard | None = None
