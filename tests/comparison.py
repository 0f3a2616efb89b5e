"""The same code in this kernel and in ipykernel: what a front end gets must be the same."""

from __future__ import annotations

import functools
import itertools
import json
import os
import queue
import re
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import pytest
from jupyter_client.session import json_default

from .support import TIMEOUT, Cell, Client, running_kernel

# ipykernel answers some requests with idle only; a reply comes before it, or never.
REPLY_SECONDS = 2.0

# Output that comes after the idle of its cell, as that of a child process may.
LATE_SECONDS = 10.0

# Message ids, the folder and the process id in the names of cells (an environment's own folder
# for temporary files is /tmp, whatever this machine's is), addresses, ids of comms and displays.
_VARIABLE = re.compile(
    r"[0-9a-f]{8}-[0-9a-f]{24}_\d+_\d+"
    rf"|(?:/tmp|{re.escape(tempfile.gettempdir())})(?=/ipykernel_)"
    r"|(?<=ipykernel_)\d+"
    r"|0x[0-9a-f]{6,}"
    r"|(?<![0-9a-f])[0-9a-f]{16}(?:[0-9a-f]{16})?(?![0-9a-f])"
)

# Our magic, in IPython's lists of magics.
_OUR_MAGIC = re.compile(r"%aca  |%aca:\n    The environment that this notebook runs in\.\n")

Key = Callable[[Cell], Any]


class Pair:
    """A kernel of ours and a local ipykernel."""

    def __init__(self, ours: Client, theirs: Client) -> None:
        self.ours = ours
        self.theirs = theirs
        for one in (ours, theirs):
            # As a browser sends it: its JSON may hold half a surrogate pair.
            one.client.session.pack = _pack

    def check(self, code: str, key: Key | None = None, timeout: float = TIMEOUT) -> Cell:
        """Run a cell in both, assert that it brings the same, return what ours brought.

        key: what of a cell must be equal, default everything that front ends show.
        """
        key = everything if key is None else key
        # One after the other: a client that does not read loses messages of ipykernel.
        ours, theirs = (run(one, code, timeout) for one in (self.ours, self.theirs))
        deadline = time.monotonic() + LATE_SECONDS
        while (keys := (key(ours), key(theirs)))[0] != keys[1] and time.monotonic() < deadline:
            take_late_output(self.ours, ours)
            take_late_output(self.theirs, theirs)
        assert keys[0] == keys[1], _difference(*keys)
        return ours

    def both(self, work: Callable[[Client], Any]) -> Any:
        """Do something with each kernel, assert that it gives the same, return that."""
        ours, theirs = (normalized(work(one)) for one in (self.ours, self.theirs))
        assert ours == theirs, _difference(ours, theirs)
        return ours

    def check_next(self) -> None:
        """Assert that both are still of use."""
        assert self.check("6 * 7", timeout=TIMEOUT).result == "42"


@contextmanager
def running_pair() -> Iterator[Pair]:
    with ExitStack() as kernels:
        with pytest.MonkeyPatch.context() as patch:
            # ipykernel leaves the descriptors alone where it sees this.
            patch.delenv("PYTEST_CURRENT_TEST", raising=False)
            ours = kernels.enter_context(running_kernel())
            theirs = kernels.enter_context(running_kernel(name="python3"))
        yield Pair(ours, theirs)


def run(client: Client, code: str, timeout: float = TIMEOUT) -> Cell:
    """Run a cell; one that is not replied to has the status "no reply"."""
    cell = Cell({"content": {"status": "no reply"}})
    msg_id = client.send(code)
    cell.messages.extend(client.messages_until_idle(msg_id, time.monotonic() + timeout))
    try:
        cell.reply = client.reply_to(msg_id, time.monotonic() + REPLY_SECONDS)
    except queue.Empty:
        return cell
    return cell


def take_late_output(client: Client, cell: Cell) -> None:
    """Add what has come since to a cell that is over."""
    msg_id = cell.messages[0]["parent_header"]["msg_id"]
    cell.messages.extend(m for m in client.drain() if m["parent_header"].get("msg_id") == msg_id)


def everything(cell: Cell) -> dict[str, Any]:
    """All that a front end shows of a cell; stream messages put together."""
    content = dict(cell.reply["content"])
    for name in ("execution_count", "engine_info"):
        content.pop(name, None)
    return normalized(
        {
            "stdout": cell.stream("stdout"),
            "stderr": cell.stream("stderr"),
            "shown": shown(cell.messages),
            "reply": content,
        }
    )


def shown(messages: list[dict[str, Any]]) -> list[tuple[str, dict[str, Any]]]:
    """Types and contents of iopub messages, but for status, input and streams."""
    return [
        (m["msg_type"], {k: v for k, v in m["content"].items() if k != "execution_count"})
        for m in messages
        if m["msg_type"] not in ("status", "stream", "execute_input")
    ]


def errors(cell: Cell) -> dict[str, Any]:
    """Status, output, name and text of the error; not its traceback."""
    error = cell.error or {"ename": None, "evalue": None}
    return normalized(
        {
            "status": cell.status,
            "stdout": cell.stream("stdout"),
            "ename": error["ename"],
            "evalue": error["evalue"],
        }
    )


def normalized(value: Any) -> Any:
    """Replace what differs from one process to the next, and leave out what only we have."""
    if isinstance(value, str):
        return _normalized_text(value)
    if isinstance(value, dict):
        return {k: normalized(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [normalized(v) for v in value]
    return value


@functools.lru_cache(maxsize=4)
def _normalized_text(text: str) -> str:
    """Both kernels have mostly said the same, of up to 50 MB."""
    text = _OUR_MAGIC.sub("", text)
    # IPython shortens paths in the home directory, which the environment has not got.
    return _VARIABLE.sub("…", text).replace(os.path.expanduser("~/"), "~/")


def _difference(ours: Any, theirs: Any) -> str:
    """Both values from shortly before the place where they part, however long they are."""
    texts = [json.dumps(value, default=str) for value in (ours, theirs)]
    same = itertools.takewhile(lambda pair: pair[0] == pair[1], zip(*texts, strict=False))
    start = max(0, sum(1 for _ in same) - 100)
    return "\n".join(f"{text[start : start + 500]} ({len(text)} characters)" for text in texts)


def _pack(value: Any) -> bytes:
    return json.dumps(value, default=json_default, allow_nan=False).encode("ascii")
