"""What a check found, and how it is shown: lines for a person, JSON for a program."""

from __future__ import annotations

import dataclasses
import json
import os
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from ...errors import AcaKernelError, EnvironmentGone, PoolBusy, ResultUnknown

if TYPE_CHECKING:
    from typing import TextIO

Status = Literal["ok", "warning", "failed", "skipped"]

_SYMBOLS: dict[Status, str] = {"ok": "✓", "warning": "!", "failed": "✗", "skipped": "-"}

# SGR codes: green, yellow, red, grey. Source: ECMA-48, 8.3.117.
_COLOURS: dict[Status, str] = {"ok": "32", "warning": "33", "failed": "31", "skipped": "90"}

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
        self._stream = stream
        self._is_json = is_json
        self._is_terminal = stream.isatty()
        # https://no-color.org
        self._has_colour = self._is_terminal and not os.environ.get("NO_COLOR")

    def add(self, finding: Finding) -> None:
        """Take a finding, and show it."""
        self.findings.append(finding)
        if self._is_json:
            return
        first, *others = finding.detail.split("\n")
        took = f" ({finding.seconds:.1f} s)" if finding.seconds >= _NOTABLE_SECONDS else ""
        self._print(f"{self._mark(finding.status)} {finding.check:<{_NAME_WIDTH}} {first}{took}")
        indent = " " * (self._mark_width + 1 + _NAME_WIDTH + 1)
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
        counts = {status: self.count(status) for status in _SYMBOLS}
        self._print(", ".join(f"{count} {status}" for status, count in counts.items() if count))

    def count(self, status: Status) -> int:
        """Return how many checks ended so."""
        return sum(one.status == status for one in self.findings)

    def _mark(self, status: Status) -> str:
        if not self._is_terminal:
            return f"{status:<{self._mark_width}}"
        mark = _SYMBOLS[status] if self._shows_symbols() else status[0].upper()
        return f"\x1b[{_COLOURS[status]}m{mark}\x1b[0m" if self._has_colour else mark

    @property
    def _mark_width(self) -> int:
        return 1 if self._is_terminal else _STATUS_WIDTH

    def _shows_symbols(self) -> bool:
        """Tell whether the terminal's encoding has these characters."""
        try:
            "".join(_SYMBOLS.values()).encode(self._stream.encoding or "ascii")
        except UnicodeEncodeError:
            return False
        return True

    def _print(self, text: str) -> None:
        encoding = self._stream.encoding or "utf-8"
        shown = text.encode(encoding, "replace").decode(encoding)
        print(shown, file=self._stream, flush=True)
