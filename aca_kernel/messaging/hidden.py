"""Recognition of requests that VS Code makes on its own account.

Its user has neither written nor sent them and sees nothing of their outputs: set-up code at a
notebook's start, completions, the variables view, the debugger's preparations. They must not
take a place in the pool, and no sentence for the user may go into them.

Source: microsoft/vscode-jupyter 2026.6, `executeSilently` and `executeSilentlyAndEmitOutput` in
`src/kernels/helpers.ts`. All that it runs so has store_history, silent and stop_on_error false.
allow_stdin is true for its own code, also without any mark in it (`runStartupCommands` of the
user, `__file__ = …` of the interactive window, `pass` of run-by-line), and false for that of
other extensions, which ask their user first, and for its background threads.

Other front ends and scripts send requests that look so without a mark. Code without one is
VS Code's if its session has sent marked code before, as VS Code does at each start
(unlaunched.py).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from enum import Enum
from typing import Any

# What VS Code's own code is marked by: names that nobody else uses.
_MARKS = ("_VSCODE_", "__VSCODE", "__vsc", "__jupyter_exec_background__")

# Of these, what comes with allow_stdin false: background threads, and answers of its chat.
_BACKGROUND_MARKS = ("__jupyter_exec_background__", "__vscode.chat")

# Code that changes something for the cells that follow.
_SETUP_MARKS = ("__VSCODE_inject_module", "__vsc_ipynb_file__", "__VSCODE_wrap", "_VSCODE_os.chdir")

# The data viewer, which its user opens: it asks for pandas, and offers to install it if there
# is no answer (`kernelDataViewerDependencyImplementation.ts`), and then for the rows.
_ASKED_MARKS = ("_VSCODE_pandas", "_VSCODE_getDataFrame")

# "Debug Cell" of the interactive window (`interactiveWindowDebugger.node.ts`), and exports by
# VS Code in a browser (`exportBase.web.ts`). None of it is for later environments.
_ASKED = re.compile(
    r"import debugpy;debugpy\.listen\(\('localhost', 0\)\)"
    r"|import os;os\.getcwd\(\);"
    r"|!jupyter nbconvert .*"
)

# What says something to a debugger, of which there is none without an environment, and the end
# of run-by-line.
_DEBUGGER = re.compile(
    r"(pass)?"
    r"|import debugpy[;\n]debugpy\.(wait_for_client|debug_this_thread)\(\)"
    r"|from debugpy import trace_this_thread;trace_this_thread\((True|False)\)"
)

# The interactive window's, ahead of each cell of another file.
FILE_ASSIGNMENT = re.compile(r"\s*__file__ = '[^\n]*'\s*")


class HiddenKind(Enum):
    """What hidden code is for.

    SETUP: it changes something for later cells. QUERY: it only looks. ASKED: its user waits for
    it. UNKNOWN: it has no mark, which is set-up code if no cell has run yet, because startup
    commands have none; later its user has asked for it.
    """

    SETUP = "setup"
    QUERY = "query"
    ASKED = "asked"
    UNKNOWN = "unknown"


def is_hidden(content: Mapping[str, Any], code: str) -> bool:
    """Tell whether an execute_request with this content looks as VS Code's own do."""
    if any(content.get(name, True) for name in ("store_history", "stop_on_error")):
        return False
    if content.get("silent", False):
        return False
    if content.get("allow_stdin", False):
        return True
    return any(mark in code for mark in _BACKGROUND_MARKS)


def has_mark(code: str) -> bool:
    """Tell whether code uses names that only VS Code's own code uses."""
    return any(mark in code for mark in _MARKS)


def shows_outputs(content: Mapping[str, Any]) -> bool:
    """Tell whether an execute_request's outputs are read by a person, and not by a program."""
    if content.get("silent", False):
        return False
    return bool(content.get("store_history", True) or content.get("stop_on_error", True))


def kind_of(code: str) -> HiddenKind:
    """Return what hidden code is for."""
    if any(mark in code for mark in _SETUP_MARKS) or FILE_ASSIGNMENT.fullmatch(code):
        return HiddenKind.SETUP
    if any(mark in code for mark in _ASKED_MARKS) or _ASKED.fullmatch(code.strip()):
        return HiddenKind.ASKED
    if has_mark(code) or _DEBUGGER.fullmatch(code.strip()):
        return HiddenKind.QUERY
    return HiddenKind.UNKNOWN
