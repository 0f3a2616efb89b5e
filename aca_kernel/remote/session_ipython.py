"""Exchanges in a session interpreter that is an IPython, past its transformation of cells.

IPython would tokenize each exchange and keep it as history: half a second for a megabyte, and all
uploads would stay in memory. ipykernel would send the text back in its execute_input.
"""

from __future__ import annotations

import functools
import sys
from typing import Any

# The code of every exchange begins with this; the frame follows.
EXCHANGE_BEGIN = 'getattr(__import__("sys").modules.get("_aca_remote.agent"),"serve",'

_SERVE_TEXT = '__import__("sys").modules["_aca_remote.session_ipython"].serve_text()'


def pass_exchanges() -> None:
    """Let exchanges through untouched if this interpreter is an IPython."""
    ipython: Any = sys.modules.get("IPython")
    shell: Any = ipython.get_ipython() if ipython is not None else None
    # The change of an earlier agent works for this one, too: the text waits in the shell.
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
    _echo_no_exchanges(getattr(shell, "kernel", None))


def _echo_no_exchanges(kernel: Any) -> None:
    """Let execute_input show a few characters instead of an exchange's megabytes."""
    publish = getattr(kernel, "_publish_execute_input", None)
    if publish is None:  # not ipykernel, or another version of it
        return

    @functools.wraps(publish)
    def publish_short(code: Any, *args: Any, **options: Any) -> Any:
        is_exchange = isinstance(code, str) and code.startswith(EXCHANGE_BEGIN)
        return publish(EXCHANGE_BEGIN if is_exchange else code, *args, **options)

    kernel._publish_execute_input = publish_short  # noqa: SLF001 - it has no public name


def serve_text() -> None:
    """Serve the exchange that was passed last."""
    shell: Any = sys.modules["IPython"].get_ipython()
    text, shell.aca_exchange = shell.aca_exchange, ""
    sys.modules["_aca_remote.agent"].serve(text)
