"""Questions to the agent and the remote kernel that are not a front end's.

The core does exchanges; what is asked here goes along with them and waits for its answer.
One carrier belongs to one kernel and outlives its environments: whatever is unanswered when
one of them ends fails with the error that the core gives for it, and so does whatever the same
piece of work asks afterwards: half of it must not happen in another environment.
"""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import itertools
import json
import time
from collections.abc import Callable
from typing import Any, NamedTuple

from ..environment.near_files import NearFiles
from ..errors import AcaKernelError, CheckpointFailed
from ..messaging.inbox import Inbox
from ..remote.state_messages import PREFIX, REPLY, REQUEST
from ..remote.wire import Record


class CarryAsked(NamedTuple):
    """The checkpoint engine has a record for the environment.

    msg_id: of a message to the remote kernel, whose answer exchanges are to wait for.
    is_urgent: a cell waits for it.
    """

    now: float
    record: Record
    msg_id: str = ""
    is_urgent: bool = False


class Carrier:
    """Asks and waits.

    is_urgent: a cell waits for what is asked, so that it is worth a call of its own.
    near: the agent's files, where they need not go through calls; None without an environment.
    """

    def __init__(self, session: str, username: str, inbox: Inbox[CarryAsked]) -> None:
        self._session = session
        self._username = username
        self._inbox = inbox
        self._numbers = itertools.count(1)
        self.is_urgent = False
        self.near: NearFiles | None = None
        self._files: dict[str, asyncio.Future[Record]] = {}
        self._requests: dict[str, asyncio.Future[dict[str, Any]]] = {}
        # What is to be called when a request is answered, by its id.
        self._on_reply: dict[str, Callable[[], None]] = {}
        self._failure: AcaKernelError | None = None
        self._is_at_work = self._is_for_cell = False
        self._has_asked, self._has_gathered = asyncio.Event(), asyncio.Event()
        self._has_gathered.set()

    # -- asking --------------------------------------------------------------------

    def begin(self, *, is_for_cell: bool) -> None:
        """A piece of work begins; there is one at a time.

        is_for_cell: the running cell waits for it.
        """
        self._failure = None
        self._is_at_work, self._is_for_cell = True, is_for_cell

    def end(self) -> None:
        """The piece of work is over."""
        self._is_at_work = self._is_for_cell = False
        self._has_asked.set()
        self.gathered()

    def gather(self) -> None:
        """Have what is asked from now on go along with one exchange, until `gathered`."""
        self._has_gathered.clear()

    def gathered(self) -> None:
        """What was to go along is asked, or would be too much."""
        self._has_gathered.set()

    async def await_question(self, most_seconds: float) -> None:
        """Wait for what is to go along with an exchange that begins now.

        Work that the running cell waits for has a question, or is over: an exchange that began
        before would be held open for the cell, and had to be woken. What is gathered is waited for,
        too.
        """
        if not self._is_at_work:
            return
        await _next_questions()
        if not self._has_gathered.is_set():
            awaited = self._has_gathered
        elif self._is_for_cell and not (self._files or self._requests):
            awaited = self._has_asked
            awaited.clear()
        else:
            return
        with contextlib.suppress(asyncio.TimeoutError):
            await asyncio.wait_for(awaited.wait(), most_seconds)
        await _next_questions()

    async def put(self, name: str, start: int, *parts: bytes, needs: str = "") -> None:
        """Write a part of a file in the agent's folder; needs: see remote/depot.py."""
        await self._ask("put", parts, name=name, start=start, needs=needs)

    async def get(self, name: str, ranges: list[tuple[int, int]]) -> bytes:
        """Return parts of a file in the agent's folder, one after the other."""
        answer = await self._ask("get", name=name, ranges=ranges)
        data = b"".join(answer.parts)
        if len(data) != sum(length for _, length in ranges):
            raise CheckpointFailed("A part of the checkpoint is missing in the environment.")
        return data

    async def sizes(self, names: list[str]) -> list[int]:
        """Return how long files in the agent's folder are, -1 for one that is missing."""
        found = (await self._ask("look", names=names)).head.get("sizes")
        if not isinstance(found, list) or len(found) != len(names):
            raise CheckpointFailed("The environment does not say what there is of the checkpoint.")
        return [int(size) for size in found]

    async def sizes_and_start(self, names: list[str], most_bytes: int) -> tuple[list[int], bytes]:
        """Return how long files are, and with them the beginning of the first if it is there."""
        start = asyncio.ensure_future(self._ask("get", name=names[0], ranges=[(0, most_bytes)]))
        try:
            sizes = await self.sizes(names)
            if sizes[0] < 0:
                return sizes, b""
            return sizes, b"".join((await start).parts)
        finally:
            start.cancel()
            await asyncio.gather(start, return_exceptions=True)

    async def drop(self, names: list[str]) -> None:
        """Remove files from the agent's folder."""
        await self._ask("drop", names=names)

    async def _ask(self, kind: str, parts: tuple[bytes, ...] = (), **head: Any) -> Record:
        """Raises CheckpointFailed, and what `fail` was given."""
        self._check()
        key = str(next(self._numbers))
        future: asyncio.Future[Record] = asyncio.get_running_loop().create_future()
        self._files[key] = future
        self._has_asked.set()
        self._carry(Record({"kind": kind, "id": key, **head}, parts))
        try:
            answer = await future
        finally:
            self._files.pop(key, None)
        if answer.head.get("error"):
            raise CheckpointFailed(f"The environment says: {answer.head['error']}.")
        return answer

    async def request(
        self, content: dict[str, Any], on_reply: Callable[[], None] = lambda: None
    ) -> dict[str, Any]:
        """Ask the remote kernel, which answers when it runs no cell; return the reply.

        on_reply: called with the reply in its place among what cells say: those that ran before
        have ended by then, and none of those behind has begun.
        Raises CheckpointFailed, and what `fail` was given.
        """
        self._check()
        msg_id = f"{PREFIX}{self._session}-{next(self._numbers)}"
        header = {
            "msg_id": msg_id,
            "session": self._session,
            "username": self._username,
            "date": dt.datetime.now(dt.timezone.utc).isoformat(),
            "msg_type": REQUEST,
            "version": "5.3",
        }
        frames = [json.dumps(one).encode("ascii") for one in (header, {}, {}, content)]
        future: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()
        self._requests[msg_id], self._on_reply[msg_id] = future, on_reply
        self._carry(Record({"kind": "msg", "channel": "shell"}, tuple(frames)), msg_id)
        try:
            reply = await future
        finally:
            self._requests.pop(msg_id, None)
            del self._on_reply[msg_id]
        if reply.get("status") != "ok":
            raise CheckpointFailed(f"The environment could not do it: {reply.get('evalue', '?')}")
        return reply

    def _carry(self, record: Record, msg_id: str = "") -> None:
        # Of several questions about files, the first: its answer ends the exchange.
        is_urgent = self.is_urgent and len(self._files) <= 1
        self._inbox.put_nowait(CarryAsked(time.monotonic(), record, msg_id, is_urgent))

    def _check(self) -> None:
        if self._failure is not None:
            raise self._failure

    # -- what comes of it ----------------------------------------------------------

    @property
    def awaits_reply(self) -> bool:
        """Whether the remote kernel is doing something that exchanges should wait for."""
        return bool(self._requests)

    def takes(self, record: Record) -> bool:
        """Take a record if it is an answer to something that was asked here.

        Of what the remote kernel says meanwhile that is a reply or a status only: the rest is of
        threads of the user's, whose outputs ipykernel gives the latest request as their parent.
        """
        if record.kind == "got":
            future = self._files.get(str(record.head.get("id")))
            if future is not None and not future.done():
                future.set_result(record)
            return True
        parent = str(record.head.get("parent", ""))
        if record.kind != "msg" or not is_own(parent):
            return False
        if record.head.get("channel") == "iopub" and record.head.get("type") != "status":
            return False
        waiting = self._requests.get(parent)
        if waiting is not None and not waiting.done():
            if record.head.get("type") == REPLY:
                self._on_reply[parent]()
                waiting.set_result(_content(record))
            elif record.head.get("state") == "idle":  # an older or broken remote half
                waiting.set_result({"status": "error", "evalue": "there was no answer"})
        return True

    def fail(self, error: AcaKernelError) -> None:
        """Whatever is unanswered will not be answered, and the work that asked it cannot go on."""
        self._failure = error
        waiting: list[asyncio.Future[Any]] = [*self._requests.values(), *self._files.values()]
        for future in waiting:
            if not future.done():
                future.set_exception(error)


async def _next_questions() -> None:
    """Let whoever has just got an answer ask the next question, and the core take it."""
    await asyncio.sleep(0)
    await asyncio.sleep(0)


def is_own(msg_id: str) -> bool:
    """Tell whether a message is one that is asked here, and not by a front end."""
    return msg_id.startswith(PREFIX)


def _content(record: Record) -> dict[str, Any]:
    try:
        content = json.loads(record.parts[3])
    except (IndexError, ValueError):
        content = None
    if not isinstance(content, dict):
        return {"status": "error", "evalue": "the answer cannot be read"}
    return content
