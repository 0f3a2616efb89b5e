"""Recognition of requests that VS Code makes on its own account.

Its user has neither written nor sent them and sees nothing of their outputs: set-up code at a
notebook's start, completions, the variables view, the debugger's preparations. They must not
take a place in the pool, and no sentence for the user may go into them.

Source: microsoft/vscode-jupyter 2026.6, `executeSilently` and `executeSilentlyAndEmitOutput` in
`src/kernels/helpers.ts`. All that it runs so has store_history, silent and stop_on_error false.
allow_stdin is true for its own code, also without any mark in it (`runStartupCommands` of the
user, `__file__ = …` of the interactive window, `pass` of run-by-line), and false for that of
other extensions, which ask their user first, and for its background threads.
"""

from __future__ import annotations

import re
from enum import Enum
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

# What VS Code's own code is marked by: names that nobody else uses.
_MARKS = ("_VSCODE_", "__VSCODE", "__vsc", "__jupyter_exec_background__")

# Code that changes something for the cells that follow.
_SETUP_MARKS = ("__VSCODE_inject_module", "__vsc_ipynb_file__", "__VSCODE_wrap", "_VSCODE_os.chdir")

# The interactive window's, ahead of each cell of another file.
FILE_ASSIGNMENT = re.compile(r"\s*__file__ = '[^\n]*'\s*")


class HiddenKind(Enum):
    """What hidden code is for.

    SETUP: it changes something for later cells. QUERY: it only looks. UNKNOWN: it has no mark,
    which is set-up code if no cell has run yet, because startup commands have none.
    """

    SETUP = "setup"
    QUERY = "query"
    UNKNOWN = "unknown"


def is_hidden(content: Mapping[str, Any], code: str) -> bool:
    """Tell whether an execute_request with this content was made by VS Code unasked."""
    if content.get("store_history", True) or content.get("silent", False):
        return False
    if any(mark in code for mark in _MARKS):
        return True
    return not content.get("stop_on_error", True) and bool(content.get("allow_stdin", False))


def shows_outputs(content: Mapping[str, Any]) -> bool:
    """Tell whether an execute_request's outputs are read by a person, and not by a program."""
    if content.get("silent", False):
        return False
    return bool(content.get("store_history", True) or content.get("stop_on_error", True))


def kind_of(code: str) -> HiddenKind:
    """Return what hidden code is for."""
    if any(mark in code for mark in _SETUP_MARKS) or FILE_ASSIGNMENT.fullmatch(code):
        return HiddenKind.SETUP
    if any(mark in code for mark in _MARKS) or code.strip() in ("", "pass"):
        return HiddenKind.QUERY
    return HiddenKind.UNKNOWN
