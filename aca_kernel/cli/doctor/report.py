"""What a check found, and how it is shown: lines for a person, JSON for a program."""

from __future__ import annotations

import dataclasses
import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from rich.text import Text

from ...batch.lines import console_on
from ...errors import AcaKernelError, EnvironmentGone, PoolBusy, ResultUnknown

if TYPE_CHECKING:
    from typing import TextIO

Status = Literal["ok", "warning", "failed", "skipped"]

# How each is shown on a terminal, and in which style.
_MARKS: dict[Status, tuple[str, str]] = {
    "ok": ("✓", "green"),
    "warning": ("!", "yellow"),
    "failed": ("✗", "red"),
    "skipped": ("-", "bright_black"),
}

# The longest name of a check, and of a status.
_NAME_WIDTH, _STATUS_WIDTH = 16, 7

# What is shown of how long a check took, from here on.
_NOTABLE_SECONDS = 0.1


@dataclass(frozen=True)
class CheckOutcome:
    """What a check says. detail: of several lines, perhaps. remedy: what to do, or empty."""

    detail: str
    remedy: str = ""
    status: Status = "ok"


@dataclass(frozen=True)
class Finding:
    """What became of one check, as `--json` has it."""

    check: str
    status: Status
    detail: str
    remedy: str
    seconds: float


# For errors whose sentence leaves open what to do, because a running kernel does it: wait,
# or try again.
_REMEDIES: dict[str, str] = {
    PoolBusy.reason: "Wait for a place, shut down kernels that are not needed, or raise the pool's "
    "maxConcurrentSessions.",
    ResultUnknown.reason: "Try again. If it stays, check the endpoint, and what is in between: "
    "proxy, gateway, firewall.",
    EnvironmentGone.reason: "Try again; if it stays, look at the pool in Azure.",
}
_REMEDY = "Try again; if it stays, please report it with this line."


def failure(error: AcaKernelError) -> CheckOutcome:
    """Return an error's outcome: its first sentence is what is wrong, the rest what to do."""
    first, _, rest = re.sub(r"(?<=[^.][.!?]) (?=[A-Z`])", "\n", error.message).partition("\n")
    remedy = rest.replace("\n", " ") or _REMEDIES.get(error.reason, _REMEDY)
    return CheckOutcome(first, remedy, "failed")


class Report:
    """Shows findings as they come; is_json: all at the end instead."""

    def __init__(self, stream: TextIO, *, is_json: bool) -> None:
        self.findings: list[Finding] = []
        self._console = console_on(stream)
        self._is_json = is_json

    def add(self, finding: Finding) -> None:
        """Take a finding, and show it."""
        self.findings.append(finding)
        if self._is_json:
            return
        first, *others = finding.detail.split("\n")
        took = f" ({finding.seconds:.1f} s)" if finding.seconds >= _NOTABLE_SECONDS else ""
        mark = self._mark(finding.status)
        indent = " " * (len(mark) + 1 + _NAME_WIDTH + 1)
        self._print(Text.assemble(mark, f" {finding.check:<{_NAME_WIDTH}} {first}{took}"))
        for line in others:
            self._print(indent + line)
        if finding.remedy:
            self._print(f"{indent}Remedy: {finding.remedy}")

    def close(self) -> None:
        """Show the sum of it."""
        if self._is_json:
            found = [dataclasses.asdict(one) for one in self.findings]
            self._print(json.dumps(found, indent=2))
            return
        counts = {status: self.count(status) for status in _MARKS}
        self._print(", ".join(f"{count} {status}" for status, count in counts.items() if count))

    def count(self, status: Status) -> int:
        """Return how many checks ended so."""
        return sum(one.status == status for one in self.findings)

    def _mark(self, status: Status) -> Text:
        if not self._console.is_terminal:
            return Text(f"{status:<{_STATUS_WIDTH}}")
        symbol, style = _MARKS[status]
        return Text(status[0].upper() if self._console.options.ascii_only else symbol, style)

    def _print(self, text: str | Text) -> None:
        # The terminal folds what is too long, so that commands can be copied from it.
        self._console.print(text, soft_wrap=True)
