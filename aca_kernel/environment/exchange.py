"""The exchange, without input or output: what to call next, and what an answer says.

This is the local half of remote/wire.py's protocol, for one generation of one environment; the
other half is remote/agent.py. `send` queues records. `begin` begins an exchange; then `next_call`
is the code to run in the session interpreter, and `answered` takes what came back, until it
returns the records of this exchange. An answer that did not come, or came in part, makes another
call necessary, which is always safe. Who makes the calls, repeats and delays them, is no business
of this module, and it has no clock: times are given.

Overlap. Over a distance (windows.py) the next call is sent while one is held open, so that output
which follows meets a call that waits for it there. The session interpreter takes one after the
other. A call says which one is `after` it; the agent continues behind what it answered to that one,
if it has, and else from where this side stands. Whatever is lost, doubled or out of order then is
asked for again by its offset.
"""

from __future__ import annotations

import logging
import math
import secrets

from ..errors import EnvironmentGone, LocalProtocolError, RemoteProtocolError
from ..remote import wire
from ..remote.session_ipython import EXCHANGE_BEGIN
from ..remote.spool import Piece
from ..remote.wire import Record
from .boot import MOST_ANSWERS_WITHOUT_FRAME
from .page_size import PageSize, SentSize
from .tool_call import ToolCall
from .windows import WINDOW_UNKNOWN_SECONDS, Windows

NO_AGENT = "~aca1:none~"

# Evaluates to None, so that no tool shows it as a result. An environment without an
# agent says so itself instead of failing with an error that would have to be read.
_EXCHANGE = EXCHANGE_BEGIN + f'lambda _:print("{NO_AGENT}"))("%s")'

# Calls that are under way at a time, one that is sent ahead included.
MOST_CALLS = 3

# An exchange that lasts so much longer than it was to wait has been held up, and output has
# piled up on the other side.
_STALL_SECONDS = 2.0

# Answers below this are few characters, and pieces of the log are read by several calls at a time
# if there are so many.
_SMALL_PAGE_CHARACTERS = 64 * 1024
_LEAST_PIECES = 4

# The time of a call that carries more, either way, says more of the line than of the distance.
_SMALL_CALL_CHARACTERS = 16 * 1024

# A call that carries more is alone under way.
_LARGE_BYTES = 256 * 1024

_WITHOUT_FRAME_PAUSE_SECONDS = 0.05


class Exchange:
    """Both streams of one generation.

    has_more, has_background: what the last answer said: more of the log waits to be fetched;
    something may print though no request is unfinished.
    is_pending: whether one has begun and not come to its end.
    open_count: how many requests the agent still waits for, None if it does not say.
    is_catching_up: whether what comes now has piled up while nothing could be fetched.
    reads_side_by_side: whether a long log may be read by several calls at a time.
    has_progressed: whether the last exchange has brought something, or brought it over there.
    """

    def __init__(self, log: logging.Logger) -> None:
        self.nonce = secrets.token_hex(6)
        self.windows = Windows()
        self.has_more = False
        self.has_background = False
        self.is_catching_up = False
        self.has_progressed = False
        self.open_count: int | None = None
        self.reads_side_by_side = True
        self.remote_pid = 0
        self._log = log
        self._outgoing = wire.SendLog()
        self._incoming = wire.ReceiveLog()
        # How much more of the log there is, as far as the last answer knew.
        self._left_bytes = 0
        self._number = 0
        self._acknowledged = 0
        self._risked = 0
        # Messages that end there or before are dropped by the agent if they are new to it.
        self._void = 0
        self._page_size = PageSize()
        self._sent_size = SentSize()
        # The calls that have been made and not answered, in their order.
        self._under_way: list[ToolCall] = []
        # Pages that overtook the ones before them.
        self._early_pages: list[wire.Page] = []
        # Of the exchange that is pending.
        self.is_pending = False
        self._began = 0.0
        self._wanted_wait = self._wait_seconds = 0.0
        self._records: list[Record] = []
        self._without_frame = 0
        self._start = (0, 0)
        # Whether the last exchange brought what a user sees, so that more is likely to follow.
        self._is_streaming = False

    # -- records -------------------------------------------------------------------

    def send(self, record: Record) -> int:
        """Queue a record for the next call; return its place for `is_safe_to_repeat`."""
        self.windows.expect_output()
        return self._outgoing.append(record)

    @property
    def waiting_bytes(self) -> int:
        """How much is queued that has not reached the agent, as far as we know."""
        return self._outgoing.end - self._acknowledged

    @property
    def has_unsent(self) -> bool:
        """Whether something is queued that no call has carried, or that did not arrive."""
        return self._outgoing.end > self._sent_end

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
        self._outgoing.withdraw(max(self._risked, self._sent_end))
        self._void = self._outgoing.end

    @property
    def _sent_end(self) -> int:
        """The offset behind what has arrived, and what calls that are under way carry."""
        return max([self._acknowledged, *(call.end for call in self._under_way)])

    # -- an exchange ---------------------------------------------------------------

    def begin(self, wait_seconds: float, now: float) -> None:
        """Begin an exchange.

        wait_seconds: how long the agent may wait for something to say while requests
        are unfinished; 0 to look only.
        """
        self.is_pending = True
        self._began = now
        self._wanted_wait = self._wait_seconds = wait_seconds
        self._records = []
        self._without_frame = 0
        self._start = (self._acknowledged, self._incoming.received)

    def wait_longer(self) -> None:
        """Let calls of the pending exchange that are made from now on wait for an answer."""
        wait_seconds = max(self._wait_seconds, self.windows.window_seconds)
        self._wanted_wait = self._wait_seconds = wait_seconds

    def next_call(self, now: float) -> ToolCall | None:
        """Return the call to be made now; None: those that are under way will do.

        Raises LocalProtocolError: no exchange is pending.
        """
        if not self.is_pending:
            raise LocalProtocolError("The kernel lost track of its calls. Restart it.")
        # Large calls and answers are overtaken by what is sent along on another connection, and
        # then sent again.
        is_bulk = self.has_more or any(one.carried > _LARGE_BYTES for one in self._under_way)
        if not self._under_way or (self.has_unsent and self.may_send_along and not is_bulk):
            return self._new_call(now)
        return None

    def ahead_at(self) -> float | None:
        """Return when a call is to be sent ahead of the answers; None: not at all."""
        if len(self._under_way) != 1 or not self.windows.may_overlap:
            return None
        (call,) = self._under_way
        # One for each call: what is late, and not held, is no reason for more.
        is_newest = call.number == self._number
        if math.isinf(call.made):
            return None
        if not (call.wait_seconds and self._wait_seconds and is_newest) or self.has_unsent:
            return None
        if self._is_streaming:
            return call.made
        return max(call.made, self._began) + self.windows.ahead_after_seconds

    def ahead_call(self, now: float) -> ToolCall | None:
        """Return the call to be sent ahead now, None if there is none."""
        at = self.ahead_at()
        return self._new_call(now, is_ahead=True) if at is not None and now >= at else None

    def _new_call(self, now: float, *, is_ahead: bool = False) -> ToolCall:
        self._number += 1
        start = self._sent_end
        data = self._outgoing.slice(start, self._sent_size.count)
        is_last = start + len(data) == self._outgoing.end
        seconds = self._wait_seconds if is_last and not self._records else 0.0
        head = {
            "n": self._number,
            "after": self._under_way[-1].number if self._under_way else 0,
            "got": self._incoming.received,
            "off": start,
            "void": self._void,
            "wait": seconds,
            "settle": self.windows.settle_seconds,
            "limit": self._page_size.characters,
        }
        code = _EXCHANGE % wire.encode_frame(self.nonce, wire.Page(head, data))
        pause = _WITHOUT_FRAME_PAUSE_SECONDS * self._without_frame
        end = start + len(data)
        call = ToolCall(
            self._number,
            code,
            seconds,
            end,
            now,
            is_last,
            pause,
            is_ahead,
            carried=len(data),
            is_alone=not (self._under_way or pause),
        )
        self._under_way.append(call)
        return call

    def answered(
        self, call: ToolCall, text: str, now: float, *, reason: str = "", is_booted: bool = True
    ) -> list[Record] | None:
        """Take what a call has printed; return what came, None if the exchange goes on.

        reason: why it printed nothing, for the log. is_booted: there was an agent to print.
        Raises EnvironmentGone: the environment, or the agent in it, is not there.
        Raises RemoteProtocolError: the answer cannot be right.
        """
        if call not in self._under_way:
            return None
        self._under_way.remove(call)
        try:
            page = self._page_of(text)
        except wire.FrameCut as cut:
            self.lost(call)
            self._shrink_page(cut.received)
            self._wait_seconds = 0.0
            return None
        except wire.FrameMissing:
            # Seen once from a real ipykernel: the call after an interrupted one comes back empty,
            # and nothing of it has run. An interpreter that ends under a call may have run it.
            # The agent drops what it has seen, so that asking again is safe.
            if is_booted:
                self.lost(call)
            self._without_frame += 1
            if self._without_frame >= MOST_ANSWERS_WITHOUT_FRAME:
                raise RemoteProtocolError(
                    "The session environment does not answer as it should. "
                    "Restart the kernel to get another one.",
                    detail=reason,
                ) from None
            return None
        self._without_frame = 0
        self._note_round_trip(call, page, len(text), now)
        if not call.is_last:
            self._sent_size.took(call.carried, now - call.made)
        try:
            self._records += self._take_in_order(page)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise RemoteProtocolError(
                "The session environment's answer does not fit the one before. Restart the kernel.",
                detail=str(error),
            ) from error
        return self._ended(call, now)

    def _note_round_trip(self, call: ToolCall, page: wire.Page, size: int, now: float) -> None:
        """Note how long a call was on its way: without the time that the agent held it."""
        held = page.head.get("held")
        is_small = call.carried + size < _SMALL_CALL_CHARACTERS
        if call.is_alone and is_small and isinstance(held, float):
            self.windows.round_trip.took(now - call.made - held)

    def _ended(self, call: ToolCall, now: float) -> list[Record] | None:
        """Return the records if the exchange has come to its end with this call."""
        is_waiting = any(not one.is_ahead for one in self._under_way) or self._early_pages
        if not self.is_pending or not (self._records or (call.is_last and not is_waiting)):
            return None
        records, self._records = self._records, []
        self._finish(now, records)
        return records

    # -- a long log, where answers are cut short (side_by_side.py) -------------------

    @property
    def is_worth_many_calls(self) -> bool:
        """Whether so much of the log is left that it is to be read by several calls at a time."""
        is_cut = self._page_size.characters < _SMALL_PAGE_CHARACTERS
        is_long = self._left_bytes > _LEAST_PIECES * self._page_size.certain_bytes
        is_free = not (self._under_way or self.waiting_bytes)
        return self.reads_side_by_side and is_cut and is_long and is_free

    def piece_code(self, start: int) -> str:
        """Return the code that asks for a piece of the log."""
        length = self._page_size.certain_bytes
        head = {"spool": self._incoming.received, "start": start, "length": length}
        return _EXCHANGE % wire.encode_frame(self.nonce, wire.Page(head))

    def piece_of(self, start: int, text: str) -> Piece:
        """Return the piece that is in an answer. Raises FrameCut, FrameMissing, EnvironmentGone."""
        page = self._page_of(text)
        try:
            return Piece(start, int(page.head["size"]), int(page.head["of"]), bytes(page.data))
        except (KeyError, TypeError, ValueError) as error:
            raise wire.FrameCut(len(text)) from error

    def take_log(self, data: bytes) -> list[Record]:
        """Take what has been read of the log, and end the pending exchange; return the records.

        Raises ValueError: it cannot be right.
        """
        records = self._incoming.feed(self._incoming.received, data)
        self._left_bytes = max(0, self._left_bytes - len(data))
        # The next exchange tells whether more has come since.
        self.has_more = self.has_progressed = True
        self.end()
        return records

    def refused(self, call: ToolCall, error: LocalProtocolError) -> None:
        """The service says that a call was wrong. Raises the error if it was not its size."""
        self._under_way.remove(call)
        # Too large for the service, most likely: try smaller pieces.
        if not self._sent_size.refused():
            raise error

    def lost(self, call: ToolCall) -> None:
        """The answer of a call was lost: what it carried may have arrived. It is repeated."""
        self._risked = max(self._risked, call.end)

    def waits(self, call: ToolCall) -> None:
        """A call has come to nothing, and will be `made_again`: none is sent ahead of it."""
        call.made = math.inf

    def made_again(self, call: ToolCall, now: float) -> None:
        """A call that waited is under way again, and may be held open from now on."""
        call.made = now

    def failed(self, call: ToolCall) -> None:
        """A call is not repeated any more; unless it was `lost`, nothing of it has arrived."""
        if call in self._under_way:
            self._under_way.remove(call)

    def dropped(self, call: ToolCall, *, is_refused: bool = False) -> None:
        """A call that was sent ahead came to nothing. is_refused: the pool takes none."""
        self.failed(call)
        if is_refused:
            self.windows.queues_calls = False

    def end(self) -> None:
        """Give up what is pending and under way; the next exchange asks for the same."""
        for call in self._under_way:
            # What left and was not answered may have arrived.
            self.lost(call)
        self.is_pending = False
        self._under_way = []
        self._early_pages = []
        self._records = []

    def _finish(self, now: float, records: list[Record]) -> None:
        seconds = now - self._began
        if seconds > self._wanted_wait + _STALL_SECONDS:
            self.is_catching_up = True
        self.windows.took(seconds, has_output=bool(records))
        self.has_progressed = self._start != (self._acknowledged, self._incoming.received)
        self.is_pending = False
        self._is_streaming = self.open_count != 0 and any(map(_is_output, records))

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

    def _take_in_order(self, page: wire.Page) -> list[Record]:
        """Take a page and those that it closes the gap to; one that came too early waits."""
        if int(page.head["off"]) > self._incoming.received and self._under_way:
            self._early_pages.append(page)
            return []
        records = self._take(page)
        pages, self._early_pages = self._early_pages, []
        for one in pages:
            records += self._take_in_order(one)
        return records

    def _take(self, page: wire.Page) -> list[Record]:
        head = page.head
        got, end = int(head["got"]), int(head["end"])
        # What was before it got lost: it is asked for again, with this behind it.
        is_beyond = int(head["off"]) > self._incoming.received
        records = [] if is_beyond else self._incoming.feed(int(head["off"]), page.data)
        self.has_background = bool(head["background"])
        self.remote_pid = int(head["pid"])
        is_woken = bool(head["woken"])
        open_count = head.get("open")
        self._acknowledged = max(self._acknowledged, min(got, self._outgoing.end))
        self._outgoing.acknowledge(self._acknowledged)
        self._left_bytes = max(0, end - self._incoming.received)
        self.has_more = self._left_bytes > 0
        self.open_count = open_count if isinstance(open_count, int) else None
        if is_woken:
            self.windows.tools_overlap = True
        return records

    def _shrink_page(self, received: int) -> None:
        """Ask for less from now on: an answer came cut after so many characters."""
        if not self._page_size.was_cut(received):
            raise RemoteProtocolError(
                "The session pool cuts answers so short that nothing can be read from them."
            )
        self._log.info("answers arrive cut; asking for %s characters", self._page_size.characters)

    # -- calls under way -------------------------------------------------------------

    @property
    def is_called(self) -> bool:
        """Whether a call is under way, so that what is queued now is not on it."""
        return bool(self._under_way)

    @property
    def is_held(self) -> bool:
        """Whether the agent may hold a call open; one ahead of nothing comes back at once."""
        is_idle = self.open_count == 0
        return any(
            call.wait_seconds and not (call.is_ahead and is_idle) for call in self._under_way
        )

    @property
    def may_send_along(self) -> bool:
        """Whether another call may be made while some are under way."""
        return self.windows.may_overlap and len(self._under_way) < MOST_CALLS

    @property
    def pending_number(self) -> int | None:
        """The number of the call that was made last, None if none is under way."""
        return self._under_way[-1].number if self._under_way else None

    @property
    def last_number(self) -> int:
        """The number of the last call, also of one that came to nothing."""
        return self._number

    def went_round(self, number: int | None, seconds: float) -> None:
        """The shell tool has done something that took so long.

        number: of the call that was pending when it began.
        """
        if number is None or self.windows.tools_overlap is not None:
            return
        if any(call.number == number for call in self._under_way):
            self.windows.tools_overlap = True
        elif seconds - self.windows.round_trip_seconds > WINDOW_UNKNOWN_SECONDS / 2:
            self.windows.tools_overlap = False


def _is_output(record: Record) -> bool:
    """Tell whether this is a message on iopub that a user sees something of."""
    head = record.head
    is_quiet = "state" in head or head.get("type") == "execute_input"
    return head.get("channel") == "iopub" and not is_quiet
