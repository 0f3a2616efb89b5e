"""Requests in an environment without ipykernel that are answered without running anything."""

from __future__ import annotations

import json
import logging
from typing import Any

import pytest

from aca_kernel.kernel import commands as do
from aca_kernel.kernel import events as on
from aca_kernel.kernel.core import Core, CoreOptions
from aca_kernel.messaging.outgoing import Publish, Reply
from aca_kernel.pool.tool_result import ToolResult

DONE = ToolResult("", "", None, None, is_failed=False, error_text="", structured={})


class Plain:
    """A kernel whose environment has no ipykernel; each text that it runs succeeds at once."""

    def __init__(self) -> None:
        self.core = Core(CoreOptions(300.0, "auto"), logging.getLogger("test"))
        self.ran: list[str] = []
        self.said: list[do.Command] = []
        self.core.start(0.0)

    def tell(self, *events: on.Event) -> None:
        waiting = list(events)
        while waiting:
            for command in self.core.handle(waiting.pop(0)):
                self.said.append(command)
                if isinstance(command, do.RunCode):
                    self.ran.append(command.code)
                    waiting.append(on.CodeRan(0.0, DONE))

    def received(self, msg_type: str, content: dict[str, Any]) -> on.Received:
        header = {"msg_id": str(len(self.said)) + msg_type, "msg_type": msg_type, "session": "s"}
        frames = [json.dumps(part).encode() for part in (header, {}, {}, content)]
        return on.Received(0.0, "shell", [], frames, content)

    def replies(self, msg_type: str) -> list[dict[str, Any]]:
        replies = [one for one in self.said if isinstance(one, Reply)]
        return [one.content for one in replies if one.msg_type == msg_type]


@pytest.fixture
def plain() -> Plain:
    """Return one that has run a cell."""
    made = Plain()
    made.tell(made.received("execute_request", {"code": "1"}))
    made.tell(on.EnvironmentReady(0.0, None))
    assert made.ran == ["1"]
    return made


def test_what_came_with_a_cell_is_answered_as_by_a_kernel_that_has_run_nothing() -> None:
    plain = Plain()
    plain.tell(plain.received("execute_request", {"code": "1"}))
    for msg_type in ("history_request", "comm_info_request", "is_complete_request", "comm_open"):
        plain.tell(plain.received(msg_type, {"comm_id": "c"}))
    plain.tell(plain.received("complete_request", {"code": "ab", "cursor_pos": 2}))
    plain.tell(on.EnvironmentReady(0.0, None))
    assert plain.replies("history_reply") == [{"status": "ok", "history": []}]
    assert plain.replies("comm_info_reply") == [{"status": "ok", "comms": {}}]
    assert plain.replies("is_complete_reply") == [{"status": "unknown"}]
    (completions,) = plain.replies("complete_reply")
    assert (completions["matches"], completions["cursor_end"]) == ([], 2)
    # Its sender is told that nobody has it, as without an environment.
    published = [one for one in plain.said if isinstance(one, Publish)]
    assert [one.content["comm_id"] for one in published if one.msg_type == "comm_close"] == ["c"]


def test_only_what_stands_in_history_is_counted(plain: Plain) -> None:
    for content in ({"store_history": False}, {"silent": True}, {}):
        plain.tell(plain.received("execute_request", {"code": "1", **content}))
    counts = [one["execution_count"] for one in plain.replies("execute_reply")]
    assert counts == [1, 1, 1, 2]
