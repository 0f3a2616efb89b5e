"""One call of an exchange, as the exchange knows it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(eq=False)
class ToolCall:
    """One call of an exchange.

    wait_seconds: how long the agent may take before it answers, once it has begun with it.
    end: the offset behind what this and those before it carry. made: when it was made; infinite
    while it waits to be repeated. is_last: nothing else was queued when it was made.
    pause_seconds: how long to wait before it is made. is_ahead: it carries nothing, so that it need
    not be repeated. carried: bytes of the stream in it. is_alone: no other was under way, behind
    which it might have waited.
    """

    number: int
    code: str
    wait_seconds: float
    end: int
    made: float = 0.0
    is_last: bool = True
    pause_seconds: float = 0.0
    is_ahead: bool = False
    carried: int = 0
    is_alone: bool = False
