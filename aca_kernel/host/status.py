"""This side's rows of `%aca status`: the pool, the environment, the round trip."""

from __future__ import annotations

import statistics
import time

from ..pool.backend import Backend
from ..settings import AcaKernel
from .call import Call

# The id is a key of sorts to the session: only its beginning is shown.
_SHOWN_ID_CHARACTERS = 8

# Round trips for a median.
_ROUND_TRIPS = 5


async def status_rows(
    call: Call, backend: Backend, settings: AcaKernel, kept_seconds: float
) -> list[tuple[str, str]]:
    """Return names and values, in order; none is a secret.

    kept_seconds: how long the environment is still kept without use.
    Raises EnvironmentGone and the errors of Environment.persist.
    """
    environment = call.environment
    times = [await call.relay.measure_round_trip() for _ in range(_ROUND_TRIPS)]
    median = statistics.median(times) * 1000
    left = max(0.0, settings.cooldown_seconds - environment.idle_seconds())
    kept = f"kept for {_duration(kept_seconds)} more, then it " if kept_seconds else ""
    return [
        ("pool", backend.title(environment.client.endpoint)),
        ("environment", environment.environment_id[:_SHOWN_ID_CHARACTERS] + "…"),
        ("age", _duration(time.monotonic() - environment.launched)),
        ("cooldown", f"{kept}ends in {left:.0f} s, unless it is used again before"),
        ("tool calls", f"{environment.client.calls_made}"),
        ("round trip", f"{median:.1f} ms, median of {_ROUND_TRIPS}"),
        ("isolation", backend.isolation),
        ("mode", "relay: live output, interrupt, completion and widgets work"),
    ]


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"
