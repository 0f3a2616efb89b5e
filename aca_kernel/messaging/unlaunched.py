"""What front ends ask when a notebook is opened, before its user has run anything.

Opening is not running: on a pool that others share, what has a known answer without an
environment gets it here, so that only a cell, or something else that a user does, takes
a place in the pool. Once there is an environment everything goes there.

What is asked unasked, as read from the clients' sources (VS Code's Jupyter extension
2026.6, JupyterLab 4.7): comm_info, debugInfo, history, a completion of `__file__.`, and
VS Code's set-up code, which is kept and run ahead of the first cell.
"""

from __future__ import annotations

import json
import tempfile
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .requests import Request

# VS Code marks its hidden code by nothing but the names in it.
_HIDDEN_MARKS = ("_VSCODE_", "__VSCODE", "__vsc", "__jupyter_exec_background__")

# ipykernel's hash of cell texts and its seed; the file prefix holds the process id of the
# remote kernel, which JupyterLab asks for again when the debugger is really switched on.
_DEBUG_INFO = {
    "isStarted": False,
    "hashMethod": "Murmur2",
    "hashSeed": 0xC70F6907,
    "tmpFileSuffix": ".py",
    "breakpoints": [],
    "stoppedThreads": [],
    "richRendering": True,
    "exceptionPaths": ["Python Exceptions"],
    "copyToGlobals": True,
}


def early_answer(request: Request) -> dict[str, Any] | None:
    """Return the reply content that holds without an environment, None if there is none."""
    content = request.content
    if request.msg_type == "comm_info_request":
        return {"status": "ok", "comms": {}}
    if request.msg_type == "history_request":
        return {"status": "ok", "history": []}
    if request.msg_type == "complete_request" and _code(request) == "__file__.":
        position = content.get("cursor_pos", 0)
        places = {"cursor_start": position, "cursor_end": position}
        return {"status": "ok", "matches": [], "metadata": {}, **places}
    if request.msg_type == "debug_request" and content.get("command") == "debugInfo":
        return {
            "type": "response",
            "request_seq": content.get("seq", 0),
            "success": True,
            "command": "debugInfo",
            "body": {"tmpFilePrefix": f"{tempfile.gettempdir()}/ipykernel_0/", **_DEBUG_INFO},
        }
    if is_hidden_setup(request):
        return {"status": "ok", "execution_count": 0, "user_expressions": {}, "payload": []}
    return None


def is_hidden_setup(request: Request) -> bool:
    """Tell whether this is code that VS Code runs on its own account."""
    if not request.is_execute or request.content.get("store_history", True):
        return False
    code = _code(request)
    return any(mark in code for mark in _HIDDEN_MARKS)


def _code(request: Request) -> str:
    return str(json.loads(request.frames[3]).get("code", ""))
