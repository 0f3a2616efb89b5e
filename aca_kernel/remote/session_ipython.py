"""Where the session interpreter is an IPython: an exchange goes past what that does to cells.

IPython would look through the text of each exchange for its own syntax, line by line and
token by token, and keep it as history: half a second for a megabyte, and all that is ever
uploaded would stay in memory.

Needs nothing; changes IPython where there is one.
"""

from __future__ import annotations

import functools
import sys
from typing import Any

# How the code of every exchange begins; the frame stands behind it.
EXCHANGE_BEGIN = 'getattr(__import__("sys").modules.get("_aca_remote.agent"),"serve",'

_SERVE_TEXT = '__import__("sys").modules["_aca_remote.session_ipython"].serve_text()'


def pass_exchanges() -> None:
    """Let exchanges through untouched, in this interpreter, if it is an IPython."""
    ipython: Any = sys.modules.get("IPython")
    shell: Any = ipython.get_ipython() if ipython is not None else None
    # What an agent before this one has changed does for this one too: the text waits in the
    # shell, not in a module, of which each agent has its own.
    if shell is None or hasattr(shell, "aca_exchange"):
        return
    shell.aca_exchange = ""
    transform_cell, run_cell_async = shell.transform_cell, shell.run_cell_async

    def keep(text: str) -> str:
        shell.aca_exchange = text
        return _SERVE_TEXT

    def transform_or_pass(raw_cell: str) -> Any:
        return keep(raw_cell) if raw_cell.startswith(EXCHANGE_BEGIN) else transform_cell(raw_cell)

    # wraps: ipykernel looks at its parameters.
    @functools.wraps(run_cell_async)
    def run_or_pass(raw_cell: str, *args: Any, **options: Any) -> Any:
        if raw_cell.startswith(EXCHANGE_BEGIN):
            raw_cell = keep(raw_cell)
        return run_cell_async(raw_cell, *args, **options)

    shell.transform_cell = transform_or_pass
    shell.run_cell_async = run_or_pass


def serve_text() -> None:
    """Do the exchange whose text was passed last."""
    shell: Any = sys.modules["IPython"].get_ipython()
    text, shell.aca_exchange = shell.aca_exchange, ""
    sys.modules["_aca_remote.agent"].serve(text)
