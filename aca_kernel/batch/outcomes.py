"""What became of a notebook."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum

# Of a value's text, what a line has room for.
_SHORT_CHARACTERS = 120

# Of our own sentences, none of which is that long; what they quote may be.
_OUR_CHARACTERS = 1000


class Status(Enum):
    """How a notebook's run ended."""

    DONE = "done"
    FAILED = "failed"
    # Stopped by Ctrl-C, or because another one failed; --resume begins it anew.
    INTERRUPTED = "interrupted"
    # Done by an earlier run, and unchanged.
    SKIPPED = "skipped"
    NOT_RUN = "not run"


# How each is shown on a terminal.
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
    is_ours: a sentence for the user, which ends in what to do; reason: of such an error.
    """

    cell: int
    ename: str
    evalue: str
    is_ours: bool = False
    reason: str = ""

    @property
    def short(self) -> str:
        """One line of it."""
        lines = self.evalue.strip().splitlines()
        text = f"{self.ename}: {lines[0]}" if lines else self.ename
        room = _OUR_CHARACTERS if self.is_ours else _SHORT_CHARACTERS
        return text if len(text) <= room else text[: room - 1] + "…"

    @property
    def sentence(self) -> str:
        """The first sentence of it, with its full stop."""
        return self.short.partition(". ")[0].removesuffix(".") + "."


@dataclass
class Outcome:
    """One notebook's run.

    cells: code cells that it has, cells_run: of them, those that ended, not those that were
    interrupted; in the last attempt.
    errors: every error of a cell, and last the reason why it failed, if it did.
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

    @property
    def is_good(self) -> bool:
        """Whether its output is that of a finished run."""
        return self.status in (Status.DONE, Status.SKIPPED)
