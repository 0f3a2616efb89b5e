"""This side's rows of `%aca status`: pool, environment, round trip, checkpoint."""

from __future__ import annotations

import os
import statistics
import time

from ..checkpoint import wording
from .call import Call, Concerned

# The id is a key of sorts to the session: only its beginning is shown.
_SHOWN_ID_CHARACTERS = 8

# Round trips for a median.
_ROUND_TRIPS = 5


async def status_rows(call: Call, concerned: Concerned) -> list[tuple[str, str]]:
    """Return names and values, in order; none is a secret.

    Raises EnvironmentGone and the errors of Environment.persist.
    """
    environment, backend = call.environment, concerned.backend
    checkpoints, settings = concerned.checkpoints, concerned.settings
    times = [await call.relay.measure_round_trip() for _ in range(_ROUND_TRIPS)]
    median = statistics.median(times) * 1000
    left = max(0.0, settings.cooldown_seconds - environment.idle_seconds())
    kept_seconds = concerned.schedule.kept_seconds()
    kept = f"kept for {_duration(kept_seconds)} more, then it " if kept_seconds else ""
    rows = [
        ("pool", backend.title(environment.client.endpoint)),
        ("environment", environment.environment_id[:_SHOWN_ID_CHARACTERS] + "…"),
        ("age", _duration(time.monotonic() - environment.launched)),
        ("cooldown", f"{kept}ends in {left:.0f} s, unless it is used again before"),
        ("tool calls", f"{environment.client.calls_made}"),
        ("round trip", f"{median:.1f} ms, median of {_ROUND_TRIPS}"),
        ("isolation", backend.isolation),
        ("mode", "relay: live output, interrupt, completion and widgets work"),
    ]
    if concerned.connection_file:
        # The name is enough for `--existing`; the folder and the key are nobody's over there.
        rows.append(("connection file", os.path.basename(concerned.connection_file)))
    return rows + wording.status_rows(checkpoints.skipped, checkpoints.missing)


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"
