"""How long exchanges are held open, when the next one is sent ahead, how long output is collected.

Three facts decide: whether the shell tool gets past a pending exchange, whether the pool queues a
second exchange behind the first, and how far the environment is. All are found out by use.
"""

from __future__ import annotations

from ..pool.round_trip import RoundTrip

# How long the agent may hold an exchange open: until it is known whether the shell tool
# gets past it, when it does, and when it does not (an interrupt then waits for its end).
WINDOW_UNKNOWN_SECONDS = 2.0
WINDOW_CONCURRENT_SECONDS = 20.0
WINDOW_SERIALISED_SECONDS = 1.0

# Output is collected for this long before it is sent: seldom output nearly at once, and
# output that follows on the heels of the last in ever larger pieces.
SETTLE_FIRST_SECONDS = 0.015
SETTLE_STEADY_SECONDS = 0.1
_HEELS_SECONDS = 0.03

# From this round trip on, an exchange is sent ahead of the answer to the one before. Below it, a
# second call costs more than the round trip that it saves.
FAR_SECONDS = 0.02

# Over a distance: the same times. What follows a line within most of a round trip saves one.
SETTLE_FAR_SECONDS = 0.05
_SETTLE_FAR_ROUND_TRIPS = 0.75

# An exchange that is late by so much beyond a round trip is being held, so that another may be
# sent ahead; a short cell is over by then and costs one call.
_AHEAD_AFTER_SECONDS = 0.04


class Windows:
    """What is known of the way to one environment.

    round_trip: how far it is; nothing is noted of an environment on this machine.
    tools_overlap: whether the shell tool gets past an exchange; None: not known yet.
    queues_calls: whether a second exchange may be sent while one is pending.
    takes_starters: whether a starter of `!` commands can be sent ahead of them.
    """

    def __init__(self) -> None:
        self.round_trip = RoundTrip()
        self.tools_overlap: bool | None = None
        self.queues_calls = self.takes_starters = True
        self._settle_seconds = 0.0

    @property
    def round_trip_seconds(self) -> float:
        """How long the way there and back takes, 0 if that is not known."""
        return self.round_trip.seconds

    @property
    def may_overlap(self) -> bool:
        """Whether exchanges are sent ahead: it is far, and the pool takes them."""
        is_far = self.round_trip_seconds >= FAR_SECONDS
        return is_far and self.queues_calls and self.tools_overlap is not False

    @property
    def may_start_ahead(self) -> bool:
        """Whether a cell's `!` commands get their starter with the cell: it saves a round trip."""
        return self.may_overlap and self.tools_overlap is True and self.takes_starters

    @property
    def ahead_after_seconds(self) -> float:
        """How long after an exchange the next one may be sent ahead of its answer."""
        return self.round_trip_seconds + _AHEAD_AFTER_SECONDS

    @property
    def window_seconds(self) -> float:
        """How long an exchange may be held open without making an interrupt wait."""
        if self.tools_overlap is None:
            return WINDOW_UNKNOWN_SECONDS
        return WINDOW_CONCURRENT_SECONDS if self.tools_overlap else WINDOW_SERIALISED_SECONDS

    @property
    def is_overlap_known(self) -> bool:
        """Whether it has been found out that the shell tool gets past an exchange, or not."""
        return self.tools_overlap is not None

    # -- collecting output -------------------------------------------------------

    @property
    def settle_seconds(self) -> float:
        """How long output is collected before it is sent."""
        if self.round_trip_seconds >= FAR_SECONDS:
            return min(SETTLE_FAR_SECONDS, _SETTLE_FAR_ROUND_TRIPS * self.round_trip_seconds)
        return self._settle_seconds or SETTLE_FIRST_SECONDS

    def expect_output(self) -> None:
        """Something was sent: the next output may be its answer, and is not collected for long."""
        self._settle_seconds = 0.0

    def took(self, seconds: float, *, has_output: bool) -> None:
        """Note how long an exchange lasted, and whether it brought output."""
        if has_output and seconds < self.settle_seconds + _HEELS_SECONDS:
            self._settle_seconds = min(2 * self.settle_seconds, SETTLE_STEADY_SECONDS)
        else:
            self._settle_seconds = 0.0
