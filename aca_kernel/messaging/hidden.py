"""Recognition of hidden requests: code that a front end runs by itself.

Its user sees nothing of them: set-up code at a notebook's start, completions, the variables view,
the debugger's preparations. They must not take a place in the pool, and no sentence for the user
may go into them.

Those of VS Code. Source: microsoft/vscode-jupyter 2026.6, `executeSilently` and
`executeSilentlyAndEmitOutput` in `src/kernels/helpers.ts`. Hidden code has store_history, silent
and stop_on_error false. allow_stdin is true for VS Code's own code, also without any mark in it
(`runStartupCommands` of the user, `__file__ = …` of the interactive window, `pass` of
run-by-line), and false for that of other extensions, which ask their user first, and for its
background threads.

Other front ends and scripts send such requests, too. Code without a mark is VS Code's if its
session has sent marked code before, as VS Code does at each start (unlaunched.py).

Those of JupyterLab's variable inspector. Source: lckr_jupyterlab_variableinspector 3.2,
`handler.ts` and `inspectorscripts.ts`. Each of them has names of its own in it, and none is shown:
silent, or with store_history and stop_on_error false. Set-up code is sent when a notebook is
opened, also while the inspector is not, and the query when an open inspector gets to another
notebook.

Those of consoles (qtconsole 5.7, euporie 2.10), which ask for the number of the next prompt by
silent code that is empty.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from enum import Enum
from typing import Any

# Marks of VS Code's own code: names that nobody else uses.
_MARKS = ("_VSCODE_", "__VSCODE", "__vsc", "__jupyter_exec_background__")

# Those with allow_stdin false: background threads, and answers of its chat.
_BACKGROUND_MARKS = ("__jupyter_exec_background__", "__vscode.chat")

# Code that changes something for later cells.
_SETUP_MARKS = ("__VSCODE_inject_module", "__vsc_ipynb_file__", "__VSCODE_wrap", "_VSCODE_os.chdir")

# Of the variable inspector: what defines its functions, and its settings; its list of variables.
_INSPECTOR = "_jupyterlab_variableinspector_"
_INSPECTOR_SETUP = (f"def {_INSPECTOR}", f"{_INSPECTOR}changesettings(")
INSPECTOR_QUERY = f"{_INSPECTOR}dict_list()"

# The data viewer, which its user opens: it asks for pandas, which it offers to install without an
# answer (`kernelDataViewerDependencyImplementation.ts`), then for the rows.
_ASKED_MARKS = ("_VSCODE_pandas", "_VSCODE_getDataFrame")

# "Debug Cell" of the interactive window (`interactiveWindowDebugger.node.ts`), and exports by
# VS Code in a browser (`exportBase.web.ts`). None of it is for later environments.
_ASKED = re.compile(
    r"import debugpy;debugpy\.listen\(\('localhost', 0\)\)"
    r"|import os;os\.getcwd\(\);"
    r"|!jupyter nbconvert .*"
)

# Messages to a debugger, of which there is none without an environment, and the end of run-by-line.
_DEBUGGER = re.compile(
    r"(pass)?"
    r"|import debugpy[;\n]debugpy\.(wait_for_client|debug_this_thread)\(\)"
    r"|from debugpy import trace_this_thread;trace_this_thread\((True|False)\)"
)

# The interactive window's, ahead of each cell of another file.
FILE_ASSIGNMENT = re.compile(r"\s*__file__ = '[^\n]*'\s*")


class HiddenKind(Enum):
    """Purpose of hidden code.

    SETUP: it changes something for later cells. QUERY: it only looks. ASKED: its user waits for
    it. UNKNOWN: it has no mark. Before the first cell it is set-up code, because startup commands
    have none; later its user has asked for it.
    """

    SETUP = "setup"
    QUERY = "query"
    ASKED = "asked"
    UNKNOWN = "unknown"


def is_hidden(content: Mapping[str, Any], code: str) -> bool:
    """Tell whether an execute_request with this content looks as those of a front end's own do."""
    if is_of_inspector(code) and not shows_outputs(content):
        return True
    if content.get("code") == "" and content.get("silent", False):
        return not content.get("user_expressions")
    if any(content.get(name, True) for name in ("store_history", "stop_on_error")):
        return False
    if content.get("silent", False):
        return False
    if content.get("allow_stdin", False):
        return True
    return any(mark in code for mark in _BACKGROUND_MARKS)


def is_of_inspector(code: str) -> bool:
    """Tell whether hidden code is the variable inspector's."""
    return _INSPECTOR in code


def has_mark(code: str) -> bool:
    """Tell whether code uses names that only VS Code's own code uses."""
    return any(mark in code for mark in _MARKS)


def shows_outputs(content: Mapping[str, Any]) -> bool:
    """Tell whether a person reads the outputs of an execute_request, and not a program."""
    if content.get("silent", False):
        return False
    return bool(content.get("store_history", True) or content.get("stop_on_error", True))


def kind_of(code: str) -> HiddenKind:
    """Return the purpose of hidden code."""
    if is_of_inspector(code):
        if any(mark in code for mark in _INSPECTOR_SETUP):
            return HiddenKind.SETUP
        return HiddenKind.QUERY if code == INSPECTOR_QUERY else HiddenKind.ASKED
    if any(mark in code for mark in _SETUP_MARKS) or FILE_ASSIGNMENT.fullmatch(code):
        return HiddenKind.SETUP
    if any(mark in code for mark in _ASKED_MARKS) or _ASKED.fullmatch(code.strip()):
        return HiddenKind.ASKED
    if has_mark(code) or _DEBUGGER.fullmatch(code.strip()):
        return HiddenKind.QUERY
    return HiddenKind.UNKNOWN
