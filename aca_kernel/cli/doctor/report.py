"""Outcomes of checks, and their report: lines for a person, JSON for a program."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Literal, TextIO

from rich.text import Text

from ...batch.lines import console_on
from ...errors import AcaKernelError, EnvironmentGone, PoolBusy, ResultUnknown

Status = Literal["ok", "warning", "failed", "skipped"]

# Symbol and style on a terminal.
_MARKS: dict[Status, tuple[str, str]] = {
    "ok": ("✓", "green"),
    "warning": ("!", "yellow"),
    "failed": ("✗", "red"),
    "skipped": ("-", "bright_black"),
}

# The longest name of a check, and of a status.
_NAME_WIDTH, _STATUS_WIDTH = 16, 7

# Shorter times are not shown.
_NOTABLE_SECONDS = 0.1


@dataclass(frozen=True)
class CheckOutcome:
    """The result of a check. detail: one line or several. remedy: a sentence, or empty."""

    detail: str
    remedy: str = ""
    status: Status = "ok"


def warning(detail: str, remedy: str) -> CheckOutcome:
    """Return the outcome of a check that a notebook can run in spite of."""
    return CheckOutcome(detail, remedy, "warning")


def failed(detail: str, remedy: str) -> CheckOutcome:
    """Return the outcome of a check that no notebook can run in spite of."""
    return CheckOutcome(detail, remedy, "failed")


# For errors whose sentence has no remedy, because a running kernel waits or tries again.
_REMEDIES: dict[str, str] = {
    PoolBusy.reason: "Wait for a place, shut down kernels that are not needed, or raise the pool's "
    "maxConcurrentSessions.",
    ResultUnknown.reason: "Try again. If it stays, check the endpoint and everything in between: "
    "proxy, gateway, firewall.",
    EnvironmentGone.reason: "Try again; if it stays, look at the pool in Azure.",
}
_REMEDY = "Try again; if it stays, please report it with this line."


def failure(error: AcaKernelError) -> CheckOutcome:
    """Return an error's outcome: its first sentence is the detail, the rest the remedy."""
    first, _, rest = re.sub(r"(?<=[^.][.!?]) (?=[A-Z`])", "\n", error.message).partition("\n")
    remedy = rest.replace("\n", " ") or _REMEDIES.get(error.reason, _REMEDY)
    return failed(first, remedy)


class Report:
    """Shows outcomes as they come; is_json: all at the end instead."""

    def __init__(self, stream: TextIO, *, is_json: bool) -> None:
        self._rows: list[dict[str, str | float]] = []
        self._console = console_on(stream)
        self._is_json = is_json

    def add(self, check: str, outcome: CheckOutcome, seconds: float) -> None:
        """Add the outcome of a check, and show it."""
        self._rows.append(
            {
                "check": check,
                "status": outcome.status,
                "detail": outcome.detail,
                "remedy": outcome.remedy,
                "seconds": round(seconds, 3),
            }
        )
        if self._is_json:
            return
        first, *others = outcome.detail.split("\n")
        took = f" ({seconds:.1f} s)" if seconds >= _NOTABLE_SECONDS else ""
        mark = self._mark(outcome.status)
        indent = " " * (len(mark) + 1 + _NAME_WIDTH + 1)
        self._print(Text.assemble(mark, f" {check:<{_NAME_WIDTH}} {first}{took}"))
        for line in others:
            self._print(indent + line)
        if outcome.remedy:
            self._print(f"{indent}Remedy: {outcome.remedy}")

    def close(self) -> None:
        """Show the counts, or all as JSON."""
        if self._is_json:
            self._print(json.dumps(self._rows, indent=2))
            return
        counts = {status: self.count(status) for status in _MARKS}
        self._print(", ".join(f"{count} {status}" for status, count in counts.items() if count))

    def count(self, status: Status) -> int:
        """Return the number of checks with this status."""
        return sum(row["status"] == status for row in self._rows)

    def _mark(self, status: Status) -> Text:
        if not self._console.is_terminal:
            return Text(f"{status:<{_STATUS_WIDTH}}")
        symbol, style = _MARKS[status]
        return Text(status[0].upper() if self._console.options.ascii_only else symbol, style)

    def _print(self, text: str | Text) -> None:
        # The terminal folds long lines, so that commands can be copied.
        self._console.print(text, soft_wrap=True)
