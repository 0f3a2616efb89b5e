"""The debugger of JupyterLab and VS Code, as far as it is the kernel's: DAP over control."""

from __future__ import annotations

import time
from typing import Any

from ..comparison import running_pair
from ..support import TIMEOUT, Client


class Debugger:
    """A front end's side of the debug adapter protocol, over the control channel."""

    def __init__(self, client: Client) -> None:
        self.client = client
        self.seq = 0

    def ask(self, command: str, **arguments: Any) -> dict[str, Any]:
        self.seq += 1
        reply = self.client.ask(
            "debug_request",
            {"type": "request", "seq": self.seq, "command": command, "arguments": arguments},
            channel="control",
        )["content"]
        assert reply["success"], reply
        return dict(reply.get("body") or {})

    def wait_for(self, event: str) -> dict[str, Any]:
        deadline = time.monotonic() + TIMEOUT
        while True:
            message = self.client.client.get_iopub_msg(timeout=deadline - time.monotonic())
            if message["msg_type"] == "debug_event" and message["content"]["event"] == event:
                return dict(message["content"]["body"])

    def where(self, thread_id: int) -> list[tuple[str, int]]:
        frames = self.ask("stackTrace", threadId=thread_id)["stackFrames"]
        return [(frame["name"], frame["line"]) for frame in frames]

    def variables(self, thread_id: int) -> dict[str, str]:
        frame = self.ask("stackTrace", threadId=thread_id)["stackFrames"][0]
        scopes = self.ask("scopes", frameId=frame["id"])["scopes"]
        reference = next(one for one in scopes if one["name"] == "Locals")["variablesReference"]
        found = self.ask("variables", variablesReference=reference)["variables"]
        return {one["name"]: one["value"] for one in found}


DEBUGGED = "def add(a, b):\n    total = a + b\n    return total\n\nprint(add(2, 3))\n"


def debug(client: Client) -> list[Any]:
    """Debug a cell; return what a front end gets to see, step by step."""
    seen: list[Any] = []
    debugger = Debugger(client)
    capabilities = debugger.ask(
        "initialize",
        clientID="test",
        adapterID="",
        pathFormat="path",
        linesStartAt1=True,
        columnsStartAt1=True,
        supportsVariableType=True,
        locale="en",
    )
    seen.append(sorted(capabilities))
    debugger.ask("attach")
    source = debugger.ask("dumpCell", code=DEBUGGED)["sourcePath"]
    info = debugger.ask("debugInfo")
    # A front end makes the names of its cells' files from these.
    assert source.startswith(info["tmpFilePrefix"])
    assert source.endswith(info["tmpFileSuffix"])
    seen.append(info["isStarted"])
    points = debugger.ask(
        "setBreakpoints", source={"path": source}, breakpoints=[{"line": 2}], sourceModified=False
    )["breakpoints"]
    seen.append([(one["verified"], one["line"]) for one in points])
    debugger.ask("configurationDone")

    msg_id = client.send(DEBUGGED)
    stopped = debugger.wait_for("stopped")
    thread_id = stopped["threadId"]
    seen += [stopped["reason"], debugger.where(thread_id)[:2]]
    seen.append(debugger.variables(thread_id))
    debugger.ask("next", threadId=thread_id)
    seen.append(debugger.wait_for("stopped")["reason"])
    seen += [debugger.where(thread_id)[:2], debugger.variables(thread_id)]
    frame = debugger.ask("stackTrace", threadId=thread_id)["stackFrames"][0]
    evaluated = debugger.ask("evaluate", expression="total * 10", frameId=frame["id"])
    seen.append(evaluated["result"])
    debugger.ask("continue", threadId=thread_id)
    cell = client.collect(msg_id)
    seen += [cell.status, cell.text]
    variables = debugger.ask("inspectVariables")["variables"]
    seen.append("add" in {one["name"] for one in variables})
    debugger.ask("disconnect", restart=False, terminateDebuggee=False)
    seen.append(debugger.ask("debugInfo")["isStarted"])
    return seen


def test_the_debugger_stops_steps_and_shows_variables() -> None:
    with running_pair() as pair:
        # Few notebooks are debugged: the import of debugpy does not delay the first cell.
        assert pair.ours.run("import sys; 'debugpy' in sys.modules").result == "False"
        pair.theirs.run("0")
        seen = pair.both(debug)
        assert "5\n" in seen
        pair.check_next()
