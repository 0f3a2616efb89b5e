"""Messages of the kernel's own: replies, status, sentences for the user.

All carry the request as their parent and the one `header.session` of this kernel. Notices and
failures of the kernel are marked in the metadata, by which a program tells them from output and
errors of the user's code, with a reason that stays the same when the sentence changes
(batch/client.py). The reasons are those of errors.py:

    {"aca_kernel": "failure", "aca_kernel_reason": "environment-gone"}

Nothing is sent here: messages are commands, and a request's state allows them.
"""

from __future__ import annotations

from typing import Any

from ..errors import AcaKernelError, reason_of
from ..remote.wrapping import titled, wrapped
from .outgoing import Forward, ForwardReply, Outbox, Publish, Reply
from .request_state import Event
from .requests import Request, RequestTable

# The mark in the metadata, and its values: a sentence for the user, a failed request.
MARK = "aca_kernel"
NOTICE = "notice"
FAILURE = "failure"
# The reason in the metadata; a notice without one is for people only.
REASON = "aca_kernel_reason"
# The reason of the notice that the state of earlier cells is lost, restored or not.
STATE_LOST = "state-lost"


class Notice(str):
    """A sentence for the user with a reason for programs."""

    __slots__ = ("reason",)
    reason: str

    def __new__(cls, text: str, reason: str) -> Notice:  # noqa: PYI034 - Self is of Python 3.11
        """Return a text with a reason."""
        made = super().__new__(cls, text)
        made.reason = reason
        return made


class Publisher:
    """Adds messages to `out`, and ends requests."""

    def __init__(self, out: Outbox, table: RequestTable) -> None:
        self._out = out
        self._table = table

    def publish(
        self,
        msg_type: str,
        content: dict[str, Any],
        request: Request | None,
        metadata: dict[str, Any] | None = None,
    ) -> None:
        """Send a message on iopub."""
        header = request.header if request is not None else None
        self._out.append(Publish(msg_type, content, header, metadata))

    def forward(self, topic: str, frames: list[bytes]) -> None:
        """Send a message of the remote kernel on iopub, as it is."""
        self._out.append(Forward(topic, frames))

    def forward_reply(self, channel: str, request: Request, frames: list[bytes]) -> None:
        """Send a message of the remote kernel to the sender of a request, as it is."""
        self._out.append(ForwardReply(channel, request.idents, frames))

    def status(self, state: str, request: Request | None) -> None:
        """Publish busy, idle or starting."""
        self.publish("status", {"execution_state": state}, request)

    def begin(self, request: Request) -> None:
        """Publish busy for a request, once."""
        if request.state.may(Event.TELL_BUSY):
            request.state.happens(Event.TELL_BUSY)
            self.status("busy", request)

    def tell(self, text: str, request: Request | None) -> None:
        """Show the user a sentence, in the output of the request if there is one."""
        if request is not None:
            self.begin(request)
        reason = text.reason if isinstance(text, Notice) else ""
        content = {"name": "stderr", "text": wrapped(text) + "\n"}
        self.publish("stream", content, request, _mark(NOTICE, reason))

    def tell_waiting_cell(self, text: str) -> bool:
        """Show the user a sentence in the first cell that waits; False if there is none."""
        request = next((one for one in self._table if one.is_cell), None)
        if request is None:
            return False
        self.tell(text, request)
        return True

    def reply(
        self, request: Request, content: dict[str, Any], metadata: dict[str, Any] | None = None
    ) -> None:
        """Send the reply of a request."""
        request.state.happens(Event.TELL_REPLY)
        channel, idents, msg_type = request.channel, request.idents, request.reply_type
        self._out.append(Reply(channel, idents, msg_type, content, request.header, metadata))

    def answer(
        self, request: Request, content: dict[str, Any], metadata: dict[str, Any] | None = None
    ) -> None:
        """Answer a whole request: busy, reply, idle."""
        self.begin(request)
        if request.wants_reply and not request.is_replied:
            self.reply(request, content, metadata)
        self.end(request)

    def end(self, request: Request) -> None:
        """Publish idle for a request, which finishes it."""
        request.state.happens(Event.TELL_IDLE)
        self.status("idle", request)
        self._table.finish(request)

    def abort(self, request: Request) -> None:
        """End a request as ipykernel does behind an error."""
        self.answer(request, {"status": "aborted"}, {"status": "aborted"})

    def fail(self, request: Request, ename: str, evalue: str, reason: str = "") -> None:
        """End a request with an error; a cell shows it as its own.

        reason: for programs; without it, that of our error of this name.
        """
        self.begin(request)
        traceback = [titled(ename, evalue)]
        content: dict[str, Any] = {"ename": ename, "evalue": evalue, "traceback": traceback}
        if request.is_execute and not request.is_replied:
            self.publish("error", content, request)
            content |= {"execution_count": 0, "user_expressions": {}, "payload": []}
        mark = _mark(FAILURE, reason or reason_of(ename))
        self.answer(request, {"status": "error", **content}, mark)

    def fail_with(self, request: Request, error: AcaKernelError) -> None:
        """End a request with an error of ours."""
        self.fail(request, error.ename, error.message, error.reason)


def _mark(kind: str, reason: str) -> dict[str, Any]:
    return {MARK: kind, REASON: reason} if reason else {MARK: kind}
