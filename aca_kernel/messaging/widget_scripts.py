"""What VS Code was told of the environment's ipywidgets before there was one, and whether it holds.

VS Code asks once, when a notebook is opened, and loads its widget scripts for the major version
that it is told. In an environment with another one widgets stay blank, without a word.
"""

from __future__ import annotations

import json
from typing import Any

from .publisher import Publisher
from .requests import Request

# The version of the widgets' own modules by which ipywidgets 7 is known; that of 8 is 2.
_OLD_MODULES = "1."

_MISMATCH = (
    "This environment has ipywidgets 7, and VS Code has loaded its scripts for version 8: widgets "
    "stay blank there. Install version 8 (`%pip install 'ipywidgets>=8'`) and restart the kernel, "
    'or set `AcaKernel.start` to "kernel", so that VS Code asks the environment itself.'
)


class WidgetScripts:
    """Compares the widgets that come with what was assumed of them.

    is_assumed: the front end was told version 8 without an environment having been asked.
    """

    def __init__(self, publisher: Publisher) -> None:
        self.is_assumed = False
        self._publisher = publisher

    def opened(self, frames: list[bytes], request: Request | None) -> None:
        """Look at a comm_open of the remote kernel; tell the user, once, if the guess was wrong."""
        if not self.is_assumed or request is None or not request.is_cell:
            return
        state = _state_in(json.loads(frames[3]))
        if not str(state.get("_model_module", "")).startswith("@jupyter-widgets/"):
            return
        self.is_assumed = False
        if str(state.get("_model_module_version", "")).startswith(_OLD_MODULES):
            self._publisher.tell(_MISMATCH, request)


def _state_in(content: Any) -> dict[str, Any]:
    """Return a widget's state, empty for another comm: its data are whatever its code sends."""
    found = content
    for name in ("data", "state"):
        found = found.get(name) if isinstance(found, dict) else None
    return found if isinstance(found, dict) else {}
