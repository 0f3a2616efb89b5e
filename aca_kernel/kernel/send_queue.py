"""The queue of requests for the remote kernel, and the end of those that it will not answer.

They end as in ipykernel: a failed cell aborts the cells behind it. Of the requests that die with a
remote kernel, those that had begun fail and the others are aborted.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from ..environment.exchange import Exchange
from ..errors import AcaKernelError, RequestLost, ResultUnknown
from ..messaging.requests import Request
from ..messaging.subshells import is_beyond
from ..remote.wire import Record
from .exchange_loop import ExchangeLoop
from .shared import Shared
from .shell_lines import shell_lines


@dataclass(frozen=True, slots=True)
class ShellCell:
    """A cell with `!` commands that begins at once. has_starter: one is to be sent beside it."""

    msg_id: str
    commands: tuple[str, ...]
    has_starter: bool


class SendQueue:
    """The requests that have not been sent yet, in the order in which they came."""

    def __init__(self, shared: Shared) -> None:
        self._shared = shared
        self._waiting: deque[Request] = deque()

    def __len__(self) -> int:
        return len(self._waiting)

    def __iter__(self) -> Iterator[Request]:
        return iter(list(self._waiting))

    def add(self, request: Request) -> None:
        """Take a request that came from a front end."""
        request.queue()
        self._waiting.append(request)

    def clear(self) -> None:
        """Take all of it out; the requests have been answered."""
        self._waiting.clear()

    def send(self, loop: ExchangeLoop, kernel_info: dict[str, Any] | None) -> ShellCell | None:
        """Send all of it; return a cell among it that has `!` commands and begins at once.

        kernel_info: the remote kernel's, None if it has not told yet.
        """
        found = None
        while self._waiting:
            request = self._waiting.popleft()
            for record in self._shared.setup.take_unsent():
                loop.send(record)
            self._tell_notices(request)
            if is_beyond(request, kernel_info):
                self._shared.publisher.fail(
                    request, "NotSupported", "The ipykernel in this environment has no subshells."
                )
                continue
            self._shared.subshells.redirect(request)
            head: dict[str, Any] = {"kind": "msg", "channel": request.channel}
            commands = tuple(shell_lines(request.code)) if self._begins_at_once(request) else ()
            if commands:
                has_starter = loop.exchange.windows.may_start_ahead
                found = ShellCell(request.msg_id, commands, has_starter)
                if has_starter:
                    head["ahead"] = True
            request.send(loop.send(Record(head, tuple(request.frames))))
            self._shared.announcer.sent(request)
        return found

    def _begins_at_once(self, request: Request) -> bool:
        """Tell whether this is a cell of the main shell, and none is before it."""
        is_free = not any(one.is_execute and one.is_sent for one in self._shared.table)
        return request.is_execute and request.waits_in_turn and is_free

    def take_first(self) -> Request:
        """Take out the oldest one, to be answered in another way than by a remote kernel."""
        request = self._waiting.popleft()
        request.send(0)
        self._tell_notices(request)
        return request

    def _tell_notices(self, request: Request) -> None:
        if request.is_cell:
            for notice in self._shared.notices:
                self._shared.publisher.tell(notice, request)
            self._shared.notices.clear()

    def put_back(self, requests: Iterable[Request]) -> None:
        """Have requests sent once more, in this order, before all others."""
        again = list(requests)
        for request in again:
            request.put_back()
        self._waiting.extendleft(reversed(again))

    def abort(self, subshell_id: str | None) -> None:
        """Abort the cells of one shell, None for the main one; what is no cell stays."""
        kept: deque[Request] = deque()
        for request in self._waiting:
            if request.is_execute and request.subshell_id == subshell_id:
                self._shared.publisher.abort(request)
            else:
                kept.append(request)
        self._waiting = kept

    def end_sent(self, ename: str, evalue: str, reason: str = "") -> bool:
        """End all that was sent: what had begun with an error, the rest as aborted.

        The oldest cell had begun, even if its death was quicker than its busy. reason: as for
        Publisher.fail. Returns whether a user sees the error.
        """
        running = self._shared.table.running()
        is_seen = False
        for request in self._shared.table:
            if not request.is_sent:
                continue
            if request.is_running or request is running or not request.is_execute:
                self._shared.publisher.fail(request, ename, evalue, reason)
                is_seen = is_seen or request.is_cell
            else:
                self._shared.publisher.abort(request)
        return is_seen

    def end_unknown(self, exchange: Exchange) -> None:
        """End requests that have arrived, and of which the agent knows nothing any more.

        Nothing will come of them: without this, they would be waited for for ever.
        """
        if exchange.open_count != 0 or exchange.has_more:
            return
        for request in self._shared.table:
            if not request.is_sent or not exchange.has_arrived(request.place):
                continue
            if request.wants_reply:
                self._shared.publisher.fail_with(
                    request,
                    RequestLost("The environment does not know of this any more. Run it again."),
                )
            else:
                self._shared.publisher.answer(request, {})

    def fail_left(self, exchange: Exchange, error: AcaKernelError) -> None:
        """End what has left, and may have reached the environment, with an error that says so."""
        for request in self._shared.table:
            if request.is_sent and not exchange.is_safe_to_repeat(request.place):
                told = f"{error.message} {ResultUnknown.ADVICE}"
                self._shared.publisher.fail_with(request, ResultUnknown(told))

    def fail_all(self, ename: str, evalue: str) -> None:
        """End every request, sent or not, with the same error."""
        self._waiting.clear()
        for request in self._shared.table:
            self._shared.publisher.fail(request, ename, evalue)
