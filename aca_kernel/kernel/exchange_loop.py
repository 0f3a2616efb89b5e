"""The loop of exchanges with one remote kernel: when the next begins, how long it may take.

An exchange needs a reason, so that calls to the pool are few, whatever is said or not said. What
has come in is a reason, and is used up by the exchange that it causes. What there is to wait for or
to fetch stays one, with two exceptions. After an exchange that failed, something must come in
first. After one that brought nothing there is a pause, which grows with each of them.
"""

from __future__ import annotations

from ..environment.exchange import Exchange
from ..remote.wire import Record
from .idle_polls import IdlePolls

# A cell that runs for so long is worth two calls to find out how to interrupt it well.
_LONG_CELL_SECONDS = 1.0

# After an exchange that brought nothing, before its time was over: twice as long each time.
FIRST_PAUSE_SECONDS = 0.02
LONGEST_PAUSE_SECONDS = 2.0

# From then on it is no longer any more.
_MOST_DOUBLINGS = 20


class ExchangeLoop:
    """The exchanges of one generation.

    exchange: both streams of it. awaited: ids of messages of the checkpoint engine's that the
    remote kernel has, or will get, and has not answered: exchanges wait for that.
    """

    def __init__(self, exchange: Exchange) -> None:
        self.exchange = exchange
        # The agent may have said something about the remote kernel's start already.
        self._has_come_in = True
        self._has_failed = False
        # Exchanges in a row that brought nothing, and the end of the pause after the last one.
        self._empty_in_a_row = 0
        self._retry_at = 0.0
        self._began = 0.0
        self._polls = IdlePolls()
        self.awaited: set[str] = set()
        self._was_waiting = False
        self._probe_at: float | None = None

    # -- what is sent and waited for -----------------------------------------------

    def send(self, record: Record) -> int:
        """Queue a record, which is worth an exchange; return its place in the stream."""
        self.look()
        return self.exchange.send(record)

    def look(self) -> None:
        """There is something to be looked for."""
        self._has_come_in = True
        self._empty_in_a_row = 0

    def await_news(self) -> None:
        """Do nothing for what has come in until more comes."""
        self._has_come_in = False

    def restart(self) -> None:
        """Have another remote kernel started; what the last one was doing is not waited for."""
        self.awaited.clear()
        self.send(Record({"kind": "restart"}))

    def withdraw(self) -> None:
        """Take back what is queued: it was reported as failed, and must not run later."""
        self.exchange.withdraw()
        self.awaited.clear()
        self._polls.stop()
        self._has_come_in = False

    # -- exchanges -----------------------------------------------------------------

    def begin(self, now: float, *, is_waiting: bool) -> float | None:
        """Begin an exchange and return how long the agent may wait; None if there is no reason.

        is_waiting: requests have been sent and are unfinished.
        """
        exchange = self.exchange
        is_waited_for = is_waiting or bool(self.awaited)
        may_repeat = not self._has_failed and now >= self._retry_at
        # An answer ends the exchange, also one that comes while half of a long queue is sent.
        wants_more = is_waited_for or exchange.has_more or exchange.has_unsent
        # A call that is under way is taken whenever it comes.
        has_reason = self._has_come_in or exchange.is_called or (wants_more and may_repeat)
        if not has_reason:
            return None
        self._has_come_in = self._has_failed = False
        self._began = now
        self._was_waiting = is_waiting
        if is_waiting and not exchange.windows.is_overlap_known and self._probe_at is None:
            self._probe_at = now + _LONG_CELL_SECONDS
        may_wait = is_waited_for and not exchange.has_more
        wait_seconds = exchange.windows.window_seconds if may_wait else 0.0
        exchange.begin(wait_seconds, now)
        return wait_seconds

    def send_along(self) -> None:
        """Let what was sent meanwhile go along with the pending exchange, and wait for it."""
        self._was_waiting = True
        self._has_come_in = False
        self.exchange.wait_longer()

    def ended(self, now: float, *, has_records: bool) -> None:
        """It has come to its end."""
        has_brought = has_records or self.exchange.has_progressed
        if has_brought or now - self._began >= LONGEST_PAUSE_SECONDS:
            self._empty_in_a_row, self._retry_at = 0, 0.0
            return
        pause = FIRST_PAUSE_SECONDS * 2**self._empty_in_a_row
        self._retry_at = self._began + min(LONGEST_PAUSE_SECONDS, pause)
        self._empty_in_a_row = min(self._empty_in_a_row + 1, _MOST_DOUBLINGS)

    def failed(self) -> None:
        """It has failed: nothing is tried again before something has come in."""
        self._has_failed = True

    def plan_polls(self, now: float, *, is_idle: bool, may_continue: bool = False) -> None:
        """Look after what still prints though no request is unfinished (`is_idle`).

        may_continue: as if a request had just ended.
        """
        self._polls.plan(
            is_needed=self.exchange.has_background and is_idle,
            after_request=self._was_waiting or may_continue,
            now=now,
        )

    # -- times ---------------------------------------------------------------------

    def times(self, now: float, *, is_free: bool) -> list[float | None]:
        """Return when `check` is due. is_free: nothing is under way."""
        if not is_free:
            return [self._probe_at]
        is_pausing = self._retry_at > now and not self._has_failed
        return [self._probe_at, self._polls.next_at, self._retry_at if is_pausing else None]

    def check(self, now: float, *, is_free: bool) -> bool:
        """Do what is due; return whether it is time to find out if the shell tool gets round."""
        if is_free and self._polls.is_due(now):
            self._polls.took_one()
            # No news by itself: the pauses stay as long as they are.
            self._has_come_in = True
        if self._probe_at is None or now < self._probe_at:
            return False
        self._probe_at = None
        return not self.exchange.windows.is_overlap_known
