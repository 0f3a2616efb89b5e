"""What a pacer lets pass stays below the limits of Jupyter Server, and no further below."""

from __future__ import annotations

import pytest

from aca_kernel.messaging.rate_limit import MOST_BYTES, MOST_MESSAGES, WINDOW_SECONDS, RateLimit


@pytest.mark.parametrize("size", [0, 100, 5_000, 700_000, MOST_BYTES])
def test_no_window_holds_more_than_the_limits(size: int) -> None:
    pacer, now, times = RateLimit(), 0.0, []
    for _ in range(10_000 if size < 5_000 else 2_000 if size < 700_000 else 20):
        now += pacer.delay_of(size, now)
        times.append(now)
    allowed = min(MOST_MESSAGES, MOST_BYTES // size if size else MOST_MESSAGES)
    gaps = [b - a for a, b in zip(times, times[allowed:], strict=False)]
    assert all(gap >= WINDOW_SECONDS - 1e-6 for gap in gaps)
    # Full windows follow each other: it does not wait longer than it must.
    assert times[-1] <= WINDOW_SECONDS * (len(times) // allowed)


def test_a_message_beyond_the_limit_passes_alone() -> None:
    pacer = RateLimit()
    assert pacer.delay_of(10 * MOST_BYTES, 0.0) == 0.0
    assert pacer.delay_of(1, 1.0) == pytest.approx(WINDOW_SECONDS - 1.0)


def test_below_the_limits_nothing_waits() -> None:
    pacer = RateLimit()
    assert [pacer.delay_of(90_000, n / 10) for n in range(100)] == [0.0] * 100
