"""The exchange, without input or output: what to call next, and what an answer says.

This is the local half of remote/wire.py's protocol, for one generation of one environment; the
other half is remote/agent.py. `send` queues records. `begin` begins an exchange; then `next_call`
is the code to run in the session interpreter, and `answered` takes what came back, until it
returns the records of this exchange. An answer that did not come, or came in part, makes another
call necessary, which is always safe. Who makes the calls, repeats and delays them, is no business
of this module, and it has no clock: times are given.
"""

from __future__ import annotations

import logging
import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..errors import EnvironmentGone, LocalProtocolError, RemoteProtocolError
from ..remote import wire
from ..remote.session_ipython import EXCHANGE_BEGIN
from .boot import MOST_ANSWERS_WITHOUT_FRAME

if TYPE_CHECKING:
    from ..remote.wire import Record

NO_AGENT = "~aca1:none~"

# Evaluates to None, so that no tool shows it as a result. An environment without an
# agent says so itself instead of failing with an error that would have to be read.
_EXCHANGE = EXCHANGE_BEGIN + f'lambda _:print("{NO_AGENT}"))("%s")'

# A page's size: the agent compresses, and memory on both sides stays a few times this.
LARGEST_PAGE_CHARACTERS = 16 * 1024 * 1024
SMALLEST_PAGE_CHARACTERS = 512
LARGEST_SENT_BYTES = 4 * 1024 * 1024
SMALLEST_SENT_BYTES = 16 * 1024

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

# An exchange that lasts so much longer than it was to wait has been held up, and output has
# piled up on the other side.
_STALL_SECONDS = 2.0

_WITHOUT_FRAME_PAUSE_SECONDS = 0.05


@dataclass(frozen=True)
class ToolCall:
    """One call of an exchange.

    wait_seconds: how long the agent may take before it answers. end: the offset behind what this
    carries. pause_seconds: how long to wait before it is made.
    """

    number: int
    code: str
    wait_seconds: float
    end: int
    pause_seconds: float = 0.0


class Exchange:
    """Both streams of one generation.

    has_more, has_background: what the last answer said: more of the log waits to be fetched;
    something may print though no request is unfinished.
    open_count: how many requests the agent still waits for, None if it does not say.
    is_catching_up: whether what comes now has piled up while nothing could be fetched.
    has_progressed: whether the last exchange has brought something, or brought it over there.
    """

    def __init__(self, log: logging.Logger) -> None:
        self.nonce = secrets.token_hex(6)
        self.has_more = False
        self.has_background = False
        self.is_catching_up = False
        self.has_progressed = False
        self.open_count: int | None = None
        self.remote_pid = 0
        # The exchange that is pending, and whether the agent may hold it open.
        self.pending_number: int | None = None
        self.is_held = False
        # Whether its first call has been made, so that what is queued now is for the next one.
        self.is_called = False
        self._log = log
        self._outgoing = wire.SendLog()
        self._incoming = wire.ReceiveLog()
        self._number = 0
        self._acknowledged = 0
        self._risked = 0
        # Messages that end there or before are dropped by the agent if they are new to it.
        self._void = 0
        self._page_characters = LARGEST_PAGE_CHARACTERS
        self._sent_bytes = LARGEST_SENT_BYTES
        self._settle_seconds = SETTLE_FIRST_SECONDS
        self._tools_overlap: bool | None = None
        # Of the exchange that is pending.
        self._began = 0.0
        self._wanted_wait = self._wait_seconds = 0.0
        self._records: list[Record] = []
        self._without_frame = 0
        self._start = (0, 0)
        self._is_last = False
        self._sent_end = 0

    @property
    def is_under_way(self) -> bool:
        """Whether a call has been made whose answer is still to come."""
        return self.pending_number is not None and self.is_called

    # -- records -------------------------------------------------------------------

    def send(self, record: Record) -> int:
        """Queue a record for the next exchange; return its place for `is_safe_to_repeat`."""
        self._settle_seconds = SETTLE_FIRST_SECONDS
        return self._outgoing.append(record)

    @property
    def waiting_bytes(self) -> int:
        """How much is queued that has not reached the agent, as far as we know."""
        return self._outgoing.end - self._acknowledged

    def has_arrived(self, place: int) -> bool:
        """Tell whether what was queued at this place has certainly reached the agent."""
        return place <= self._acknowledged

    def is_safe_to_repeat(self, place: int) -> bool:
        """Tell whether what was queued at this place has certainly not reached the agent."""
        return place > max(self._acknowledged, self._risked)

    def withdraw(self) -> None:
        """Take back the messages that are queued: what they wanted was reported as failed.

        Those of which it is not known are sent again, since their bytes may have arrived in
        part; the agent drops what it has not seen before.
        """
        self._outgoing.withdraw(max(self._acknowledged, self._risked, self._sent_end))
        self._void = self._outgoing.end

    # -- an exchange ---------------------------------------------------------------

    def begin(self, wait_seconds: float, now: float) -> None:
        """Begin an exchange.

        wait_seconds: how long the agent may wait for something to say while requests
        are unfinished; 0 to look only.
        """
        self._number += 1
        self.pending_number = self._number
        self.is_held = wait_seconds > 0
        self.is_called = False
        self._began = now
        self._wanted_wait = self._wait_seconds = wait_seconds
        self._records = []
        self._without_frame = 0
        self._start = (self._acknowledged, self._incoming.received)

    def next_call(self) -> ToolCall:
        """Return the call to be made now. Raises LocalProtocolError: no exchange is pending."""
        if self.pending_number is None:
            raise LocalProtocolError("The kernel lost track of its calls. Restart it.")
        self.is_called = True
        start = self._acknowledged
        data = self._outgoing.slice(start, self._sent_bytes)
        self._is_last = start + len(data) == self._outgoing.end
        seconds = self._wait_seconds if self._is_last and not self._records else 0.0
        head = {
            "n": self._number,
            "got": self._incoming.received,
            "off": start,
            "void": self._void,
            "wait": seconds,
            "settle": self._settle_seconds,
            "limit": self._page_characters,
        }
        code = _EXCHANGE % wire.encode_frame(self.nonce, wire.Page(head, data))
        pause = _WITHOUT_FRAME_PAUSE_SECONDS * self._without_frame
        self._sent_end = start + len(data)
        return ToolCall(self._number, code, seconds, self._sent_end, pause)

    def answered(self, text: str, now: float, *, reason: str = "") -> list[Record] | None:
        """Take what a call has printed; return what came, None if another call is due.

        reason: why it printed nothing, for the log.
        Raises EnvironmentGone: the environment, or the agent in it, is not there.
        Raises RemoteProtocolError: the answer cannot be right.
        """
        try:
            page = self._page_of(text)
        except wire.FrameCut as cut:
            self._shrink_page(cut.received)
            self._wait_seconds = 0.0
            return None
        except wire.FrameMissing:
            # Seen once from a real ipykernel: the call after an interrupted one comes
            # back empty. Nothing ran, and asking again is safe.
            self._without_frame += 1
            if self._without_frame >= MOST_ANSWERS_WITHOUT_FRAME:
                raise RemoteProtocolError(
                    "The session environment does not answer as it should. "
                    "Restart the kernel to get another one.",
                    detail=reason,
                ) from None
            return None
        self._without_frame = 0
        self._records.extend(self._take(page))
        if not (self._is_last or self._records):
            return None
        records = self._records
        self._finish(now)
        return records

    def refused(self, error: LocalProtocolError) -> None:
        """The service says that a call was wrong. Raises the error if it was not its size."""
        # Too large for the service, most likely: try smaller pieces.
        if self._sent_bytes <= SMALLEST_SENT_BYTES:
            raise error
        self._sent_bytes //= 4

    def lost(self, call: ToolCall) -> None:
        """The answer of a call was lost: what it carried may have arrived."""
        self._risked = max(self._risked, call.end)

    def end(self) -> None:
        """Give up the pending exchange, if there is one; the next one asks for the same."""
        self.pending_number = None
        self.is_held = False
        self._sent_end = 0
        self._records = []

    def _finish(self, now: float) -> None:
        seconds = now - self._began
        if seconds > self._wanted_wait + _STALL_SECONDS:
            self.is_catching_up = True
        is_steady = seconds < self._settle_seconds + _HEELS_SECONDS
        if self._records and is_steady:
            self._settle_seconds = min(2 * self._settle_seconds, SETTLE_STEADY_SECONDS)
        else:
            self._settle_seconds = SETTLE_FIRST_SECONDS
        self.has_progressed = self._start != (self._acknowledged, self._incoming.received)
        self.end()

    def _page_of(self, text: str) -> wire.Page:
        try:
            nonce, page = wire.decode_frame(text)
        except (wire.FrameMissing, wire.FrameCut):
            if NO_AGENT in text:
                raise EnvironmentGone(
                    "The session environment was replaced by an empty one."
                ) from None
            raise
        except wire.FrameInvalid as error:
            raise wire.FrameCut(len(text)) from error
        if nonce != self.nonce:
            raise EnvironmentGone("The session environment was replaced by another one.")
        return page

    def _take(self, page: wire.Page) -> list[Record]:
        head = page.head
        try:
            got, end = int(head["got"]), int(head["end"])
            records = self._incoming.feed(int(head["off"]), page.data)
            self.has_background = bool(head["background"])
            self.remote_pid = int(head["pid"])
            is_woken = bool(head["woken"])
            open_count = head.get("open")
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise RemoteProtocolError(
                "The session environment's answer does not fit the one before. Restart the kernel.",
                detail=str(error),
            ) from error
        self._acknowledged = max(self._acknowledged, min(got, self._outgoing.end))
        self._outgoing.acknowledge(self._acknowledged)
        self.has_more = end > self._incoming.received
        self.open_count = open_count if isinstance(open_count, int) else None
        if is_woken:
            self._tools_overlap = True
        return records

    def _shrink_page(self, received: int) -> None:
        """Ask for less from now on: an answer came cut after so many characters."""
        if self._page_characters <= SMALLEST_PAGE_CHARACTERS:
            raise RemoteProtocolError(
                "The session pool cuts answers so short that nothing can be read from them."
            )
        fits = received - wire.FRAME_OVERHEAD if received < self._page_characters else 0
        self._page_characters = max(
            SMALLEST_PAGE_CHARACTERS, min(self._page_characters // 2, fits or self._page_characters)
        )
        self._log.info("answers arrive cut; asking for %s characters", self._page_characters)

    # -- round it ------------------------------------------------------------------

    @property
    def window_seconds(self) -> float:
        """How long an exchange may be held open without making an interrupt wait."""
        if self._tools_overlap is None:
            return WINDOW_UNKNOWN_SECONDS
        return WINDOW_CONCURRENT_SECONDS if self._tools_overlap else WINDOW_SERIALISED_SECONDS

    @property
    def is_overlap_known(self) -> bool:
        """Whether it has been found out that the shell tool gets past an exchange, or not."""
        return self._tools_overlap is not None

    def went_round(self, number: int | None, seconds: float) -> None:
        """The shell tool has done something that took so long.

        number: of the exchange that was pending when it began.
        """
        if number is None or self._tools_overlap is not None:
            return
        if self.pending_number == number:
            self._tools_overlap = True
        elif seconds > WINDOW_UNKNOWN_SECONDS / 2:
            self._tools_overlap = False

    def no_way_round(self) -> None:
        """The shell tool cannot be used: exchanges are short, so that the next is not far."""
        self._tools_overlap = False
