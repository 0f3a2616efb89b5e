"""Failures on demand, and counters: how tests make the pool misbehave.

Reached by POST, GET and DELETE of /faults beside a pool's endpoint, with its API key, and only
if the server was started with faults allowed. POST adds a rule:

    {"kind": KIND, "count": N | "every": K, "tool": NAME?, ...}

The rule applies to the next N tools/call requests (default 1), or to every K-th, of that
tool or of all. KIND, and what it takes besides:

    drop_before   close the connection instead of running the tool
    drop_after    run the tool, then close the connection instead of answering
    delay         wait "seconds" before running
    status        answer "status" instead of running, with "retry_after" seconds if given
    garbage       run the tool, answer something that is not JSON
    cut           run the tool, send half of the answer and close the connection
    unauthorized  answer as to a wrong key

{"expire": environmentId} ends an environment as if it had cooled down, "*" all of them. GET
returns counters and rules, DELETE removes the rules.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from typing import Any

KINDS = frozenset(
    {"drop_before", "drop_after", "delay", "status", "garbage", "cut", "unauthorized"}
)
_MOST_NAMES = 50  # clients may call tools by any name
_STATUSES = frozenset({429, 500, 502, 503, 504})


class InvalidFault(Exception):
    """The rule cannot be understood; the text says why."""


@dataclass
class FaultRule:
    """One kind of failure and when it is due."""

    kind: str
    count: int | None = None
    every: int | None = None
    tool: str | None = None
    seconds: float = 0.0
    status: int = 503
    retry_after: float | None = None
    seen: int = 0

    def is_due(self, tool: str) -> bool:
        """Count one call and tell whether the rule applies to it."""
        if self.tool not in (None, tool):
            return False
        self.seen += 1
        if self.every:
            return self.seen % self.every == 0
        return self.seen <= (self.count or 0)


@dataclass
class Faults:
    """The rules of a pool and what it counted."""

    requests: int = 0
    tool_calls: dict[str, int] = field(default_factory=dict)
    unanswered: int = 0  # tool calls that wait for their answers now
    rules: list[FaultRule] = field(default_factory=list)

    def add(self, message: Any) -> None:
        """Add a rule. Raises InvalidFault: it makes no sense."""
        if not isinstance(message, dict):
            raise InvalidFault("A fault is an object.")
        names = {item.name for item in dataclasses.fields(FaultRule)} - {"seen"}
        unknown = message.keys() - names
        if unknown:
            raise InvalidFault(f"A fault has no member '{min(unknown)}'.")
        try:
            rule = FaultRule(**message)
        except TypeError:
            raise InvalidFault("A fault needs a 'kind'.") from None
        if rule.kind not in KINDS:
            raise InvalidFault(f"The kind of a fault is one of {', '.join(sorted(KINDS))}.")
        if rule.kind == "status" and rule.status not in _STATUSES:
            raise InvalidFault(f"The status of a fault is one of {sorted(_STATUSES)}.")
        if rule.count is None and rule.every is None:
            rule.count = 1
        self.rules.append(rule)

    def next_for(self, tool: str) -> FaultRule | None:
        """Count a call of this tool and return the failure that is due, if one is."""
        if tool in self.tool_calls or len(self.tool_calls) < _MOST_NAMES:
            self.tool_calls[tool] = self.tool_calls.get(tool, 0) + 1
        due = [rule for rule in self.rules if rule.is_due(tool)]
        self.rules = [rule for rule in self.rules if rule.every or rule.seen < (rule.count or 0)]
        return due[0] if due else None

    def report(self) -> dict[str, Any]:
        """Return counters and rules as JSON."""
        return {
            "requests": self.requests,
            "toolCalls": self.tool_calls,
            "unanswered": self.unanswered,
            "rules": [dataclasses.asdict(rule) for rule in self.rules],
        }
