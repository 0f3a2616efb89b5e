"""What the session interpreter borrows from IPython when plain Python is not enough."""

from __future__ import annotations

import base64
import sys
from typing import Any

from IPython.core import page
from IPython.core.displaypub import DisplayPublisher
from IPython.core.history import HistoryManager
from IPython.core.interactiveshell import InteractiveShell

from . import results


class IPythonMode:
    """A shell that shares the session's namespace and writes to its plain streams.

    Cells are transformed here and executed by the session interpreter as always;
    the transformed source finds magics and `!` through `get_ipython()`.
    """

    def __init__(self, namespace: dict[str, Any]) -> None:
        HistoryManager.enabled = False  # type: ignore[assignment]  # no database: nobody reads it
        self._shell = InteractiveShell.instance(
            user_module=sys.modules["__main__"], user_ns=namespace, colors="nocolor"
        )
        # Straight to the descriptors: the default runs commands in a pseudo terminal.
        self._shell.system = self._shell.system_raw  # type: ignore[method-assign]
        show = page.as_hook(_print_page)  # type: ignore[no-untyped-call]
        self._shell.set_hook("show_in_pager", show, 99)  # type: ignore[no-untyped-call]
        self._shell.display_pub = _Publisher()  # type: ignore[no-untyped-call]
        namespace["get_ipython"] = self._shell.get_ipython

    def transform(self, source: str) -> str:
        """Return plain Python for a cell with IPython syntax."""
        return str(self._shell.transform_cell(source))  # type: ignore[no-untyped-call]


class _Publisher(DisplayPublisher):
    """Collects displayed images, and prints what else is displayed."""

    def publish(self, data: dict[str, Any], *_args: Any, **_kwargs: Any) -> None:
        image = data.get("image/png")
        if image is not None:
            results.show(base64.b64decode(image) if isinstance(image, str) else image)
        elif "text/plain" in data:
            print(data["text/plain"])  # noqa: T201


def _print_page(strng: Any, _start: int = 0, _screen_lines: int = 0, **_: Any) -> None:
    print(strng["text/plain"] if isinstance(strng, dict) else strng)  # noqa: T201
