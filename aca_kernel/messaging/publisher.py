"""Messages of the kernel's own: replies, status, and what it tells the user.

All carry the request as their parent and the one `header.session` of this kernel. What
the kernel itself has to say to the user, or fails with, is marked in the message's metadata,
so that a program tells it from what the user's code prints and raises (batch/client.py).

Nothing is sent here: messages are commands, and a request's state says which may follow.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..remote.wrapping import titled, wrapped
from .outgoing import Forward, ForwardReply, Outbox, Publish, Reply
from .request_state import Event

if TYPE_CHECKING:
    from ..errors import AcaKernelError
    from .requests import Request, RequestTable

# The member of a message's metadata that marks it as the kernel's own, and its values: a
# sentence for the user, a request that could not be done.
MARK = "aca_kernel"
NOTICE = "notice"
FAILURE = "failure"


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
        """Send a message of the remote kernel to who sent a request, as it is."""
        self._out.append(ForwardReply(channel, request.idents, frames))

    def status(self, state: str, request: Request | None) -> None:
        """Publish busy, idle or starting."""
        self.publish("status", {"execution_state": state}, request)

    def begin(self, request: Request) -> None:
        """Publish busy for a request unless that has been done."""
        if request.is_unheard:
            request.state.happens(Event.TELL_BUSY)
            self.status("busy", request)

    def tell(self, text: str, request: Request | None) -> None:
        """Show the user a sentence, in the output of the request if it has one."""
        if request is not None:
            self.begin(request)
        content = {"name": "stderr", "text": wrapped(text) + "\n"}
        self.publish("stream", content, request, {MARK: NOTICE})

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
        self._out.append(
            Reply(
                request.channel,
                request.idents,
                request.reply_type,
                content,
                request.header,
                metadata,
            )
        )

    def answer(
        self, request: Request, content: dict[str, Any], metadata: dict[str, Any] | None = None
    ) -> None:
        """Do a whole request here: busy, reply, idle."""
        self.begin(request)
        if request.wants_reply and not request.is_replied:
            self.reply(request, content, metadata)
        self.end(request)

    def end(self, request: Request) -> None:
        """Publish idle for a request, which is finished by that."""
        request.state.happens(Event.TELL_IDLE)
        self.status("idle", request)
        self._table.finish(request)

    def abort(self, request: Request) -> None:
        """End a request as ipykernel ends those that are queued behind an error."""
        self.answer(request, {"status": "aborted"}, {"status": "aborted"})

    def fail(self, request: Request, ename: str, evalue: str) -> None:
        """End a request with an error; a cell shows it as its own."""
        self.begin(request)
        content: dict[str, Any] = {
            "ename": ename,
            "evalue": evalue,
            "traceback": [titled(ename, evalue)],
        }
        if request.is_execute and not request.is_replied:
            self.publish("error", content, request)
            content |= {"execution_count": 0, "user_expressions": {}, "payload": []}
        self.answer(request, {"status": "error", **content}, {MARK: FAILURE})

    def fail_with(self, request: Request, error: AcaKernelError) -> None:
        """End a request with an error of ours."""
        self.fail(request, type(error).__name__, error.message)
