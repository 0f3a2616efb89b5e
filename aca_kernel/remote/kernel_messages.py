"""The messages of one agent and its remote kernels: what goes there, and what comes back in order.

Replies are held back until the outputs before them are in the log, because the two come over
different sockets. What belongs to a cell comes behind its busy, what it prints ahead of its prompt.
A remote kernel that is not ready gets its messages when it is.
"""

from __future__ import annotations

import contextlib
import json
import time
from typing import Any

from . import wire
from .ahead import AheadFifo, path_of
from .ahead_of_replies import BEHIND
from .facts_ahead import FactsAhead
from .open_requests import OpenRequest, OpenRequests
from .pacing import Pacing
from .readiness import Readiness, is_probe
from .servers import Servers, network

# How long to wait for the reply that belongs to an idle, for the busy of a cell that calls,
# and for outputs that belong to a prompt: the other socket's thread needs some milliseconds
# at the most.
REPLY_GRACE_SECONDS = 0.2
BUSY_GRACE_SECONDS = 2.0
OUTPUT_GRACE_SECONDS = 0.005

_OUTPUTS = frozenset({"stream", "display_data", "execute_result", "update_display_data"})


class KernelMessages:
    """What one remote kernel after the other is told, and says.

    log: of what the kernel on the user's machine is told. directory: the agent's folder.
    kernel: None if it has ended. reply_poller: wakes up for a reply of it.
    is_urgent: what has come is worth an answer at once. question_end: behind the last question
    to the other side, in the log.
    """

    kernel: Any
    reply_poller: Any
    readiness: Readiness

    def __init__(self, log: wire.SendLog, directory: str) -> None:
        self.kernel = None
        self.is_urgent = False
        self.question_end = 0
        self.open_requests = OpenRequests()
        self.pacing = Pacing()
        self.facts_ahead = FactsAhead()
        self._log = log
        self._directory = directory
        self._servers = Servers()
        self._accepted = 0
        # Of a probe that has not been answered: its id, and how many messages came before it.
        self._asked: tuple[str, int] | None = None

    # -- to the remote kernel ------------------------------------------------------

    def accept(self, channel: str, frames: list[bytes], *, is_ahead: bool = False) -> None:
        """Take a message for the remote kernel. is_ahead: see AheadFifo."""
        if self.kernel is None:  # it died: the kernel fails all it sent before it knew
            return
        if channel != "stdin":
            header = _load(frames[0])
            msg_id = str(header.get("msg_id", ""))
            self._accepted += 1
            request = self.open_requests[msg_id] = OpenRequest(channel, header, self._accepted)
            if request.is_state:
                # Behind the files that it needs: they are written, and the reply tells as much.
                self.is_urgent = False
            if request.may_be_silent:
                self.pacing.moved_at = time.monotonic()
            if is_ahead:
                with contextlib.suppress(OSError):  # no room on the disk: the cell does without
                    request.ahead = AheadFifo(path_of(self._directory, msg_id))
            behind = str(_load(frames[2]).get(BEHIND)) if BEHIND.encode() in frames[2] else ""
            if behind in self.open_requests:
                # What ends its process takes what zmq has not sent yet of the cell before with it.
                self.open_requests.behind[behind] = (channel, frames)
                return
        self._pass_on(channel, frames)

    def _pass_on(self, channel: str, frames: list[bytes]) -> None:
        if self.readiness.is_ready:
            self.kernel.send(channel, frames)
        else:
            self.readiness.waiting.append((channel, frames))

    # -- its life ---------------------------------------------------------------

    def look_after_start(self, now: float) -> None:
        """Find out whether a kernel that starts is ready, if it is not."""
        if self.readiness.is_ready:
            return
        if self.readiness.has_answered:
            self._become_ready(now)
        elif self.readiness.is_probe_due(now):
            self.probe()

    def probe(self) -> None:
        """Have it say something that tells of all before it."""
        frames = self.readiness.probe(time.monotonic())
        # While it starts, nothing has been passed on, and probes may remain without an answer.
        is_ready = self.readiness.is_ready
        self._asked = (str(_load(frames[0])["msg_id"]), self._accepted) if is_ready else None
        self.kernel.send("shell", frames)

    def _become_ready(self, now: float) -> None:
        self.readiness.is_ready = True
        self.pacing.ready_at = now
        self.say({"kind": "ready", "pid": self.kernel.process.pid, "info": self.readiness.info})
        for channel, frames in self.readiness.waiting:
            self.kernel.send(channel, frames)
        self.readiness.waiting = []

    def never_started(self, why: str) -> None:
        """Tell that no remote kernel could be started, and that none will answer."""
        self.say({"kind": "dead", "code": 0, "ready": False, "text": "", "failure": why})
        self.open_requests.forget()
        self.is_urgent = True

    def bury(self, code: int) -> None:
        """Tell that the remote kernel has ended; what was open will never be answered."""
        self._read_iopub()
        for request in self.open_requests.values():
            for channel, frames in request.held:
                self._log_message(channel, frames)
        text = "" if self.readiness.is_ready else self.kernel.startup_log()
        self.say({"kind": "dead", "code": code, "ready": self.readiness.is_ready, "text": text})
        self.open_requests.forget()
        self.is_urgent = True
        self.kernel.close()
        self.kernel = None

    # -- from it -----------------------------------------------------------------

    def read(self) -> None:
        """Move everything that has come into the log."""
        self._read_replies("control")
        self._read_replies("shell")
        self._read_iopub()
        self._read_stdin()

    def await_busy(self, parent: str) -> None:
        """Let the log have the busy of a cell before its call, which comes another way."""
        deadline = time.monotonic() + BUSY_GRACE_SECONDS
        while parent in self.open_requests and not self.open_requests[parent].is_busy:
            if time.monotonic() > deadline:
                return
            self.kernel.iopub.poll(int(OUTPUT_GRACE_SECONDS * 1000))
            self._read_iopub()

    def _read_replies(self, channel: str) -> None:
        for frames in self.kernel.receive(channel):
            parent = str(_load(frames[1]).get("msg_id", ""))
            if is_probe(parent):
                self.readiness.info = _load(frames[3])
                continue
            request = self.open_requests.get(parent)
            if request is None:
                self._log_message(channel, frames)
            else:
                request.held.append((channel, frames))

    def _read_iopub(self) -> None:
        for frames in self.kernel.receive("iopub"):
            self.readiness.has_spoken = True
            header, parent = _load(frames[0]), str(_load(frames[1]).get("msg_id", ""))
            msg_type = header.get("msg_type")
            if self._asked is not None and parent == self._asked[0]:
                last, self._asked = self._asked[1], None
                self._close_silent(last)
                self._probe_silent()
            if msg_type == "iopub_welcome" or is_probe(parent):
                continue
            if not parent and not self.readiness.is_ready:
                # Said while it started, which the clients of a local kernel never hear.
                continue
            state = None
            if msg_type == "status":
                state = _load(frames[3]).get("execution_state")
                if state == "starting":
                    continue
                if parent in self.open_requests:
                    if not self.open_requests[parent].is_busy:
                        self._begin(parent)
                    if state == "idle":
                        self._finish(parent)
            self._log_message("iopub", frames, header, state)

    def _begin(self, parent: str) -> None:
        """The remote kernel has begun with a request."""
        request = self.open_requests[parent]
        request.is_busy = True
        if request.is_cell:
            self.pacing.cell_began = time.monotonic()
        if request.is_in_turn:
            self._close_silent(request.number - 1)

    def _finish(self, parent: str) -> None:
        """Put the replies of a request that is idle now into the log, before its idle."""
        request = self.open_requests[parent]
        if request.needs_reply and not request.held:
            # On its way over the other socket: published before the idle was.
            deadline = time.monotonic() + REPLY_GRACE_SECONDS
            while not request.held and time.monotonic() < deadline:
                self.reply_poller.poll(int(REPLY_GRACE_SECONDS * 1000))
                self._read_replies("shell")
                self._read_replies("control")
        for channel, frames in request.held:
            self._log_message(channel, frames)
        if request.is_cell:
            self.facts_ahead.forget()
        # A slider or a completion beside a cell: nothing that follows belongs to it.
        self.is_urgent = self.is_urgent or not request.is_cell
        # ipykernel sends no reply to a type that it does not know: idle ends it all the same.
        behind = self.open_requests.finish(parent)
        if behind is not None:
            self._pass_on(*behind)
        self._probe_silent()

    def _probe_silent(self) -> None:
        """Find out whether comm messages have been done without a word."""
        if self._asked is None and self.open_requests.is_silent_one_due:
            # It is behind them, and its busy tells what became of them.
            self.probe()

    def _close_silent(self, last: int) -> None:
        """Tell of comm messages that were done without a word. last: as for `take_silent`."""
        for msg_id in self.open_requests.take_silent(last):
            self.say({"kind": "closed", "parent": msg_id})

    def _read_stdin(self) -> None:
        for frames in self.kernel.receive("stdin"):
            # What was printed before the prompt must be seen before it.
            while self.kernel.iopub.poll(int(OUTPUT_GRACE_SECONDS * 1000)):
                self._read_iopub()
            self._log_message("stdin", frames)
            self.question_end = self._log.end
            self.is_urgent = True

    def _log_message(
        self,
        channel: str,
        frames: list[bytes],
        header: dict[str, Any] | None = None,
        state: str | None = None,
    ) -> None:
        header = _load(frames[0]) if header is None else header
        msg_type = str(header.get("msg_type", ""))
        head: dict[str, Any] = {"kind": "msg", "channel": channel, "type": msg_type}
        head["parent"] = str(_load(frames[1]).get("msg_id", ""))
        if state is not None:
            head["state"] = state
        elif msg_type in _OUTPUTS and (ports := self._servers.named_in(frames[3])):
            head["serves"] = {"ports": ports, "network": network()}
        self._log.append(wire.Record(head, tuple(frames)))
        self.pacing.said(msg_type, self._log.end)

    def say(self, head: dict[str, Any]) -> None:
        """Put a record of the agent's own into the log."""
        self._log.append(wire.Record(head))


def _load(data: bytes) -> dict[str, Any]:
    """Read a JSON object; what is none becomes an empty one, so that nothing is lost."""
    try:
        value = json.loads(data.decode("utf-8", "surrogatepass"))
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}
