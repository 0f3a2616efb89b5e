"""A check of the ipywidgets version that VS Code was told before there was an environment.

VS Code asks once, when a notebook is opened, and loads its widget scripts for that major version.
With another version in the environment widgets stay blank, without a message.
"""

from __future__ import annotations

import json
from typing import Any

from .publisher import Publisher
from .requests import Request

# Version of the widgets' modules in ipywidgets 7; 2 in ipywidgets 8.
_OLD_MODULES = "1."

_MISMATCH = (
    "This environment has ipywidgets 7, and VS Code has loaded its scripts for version 8: widgets "
    "stay blank there. Install version 8 (`%pip install 'ipywidgets>=8'`) and restart the kernel, "
    'or set `AcaKernel.start` to "kernel", so that VS Code asks the environment itself.'
)


class WidgetScripts:
    """Compares the version of the first widget with the assumed one.

    is_assumed: the front end was told version 8 without asking an environment.
    """

    def __init__(self, publisher: Publisher) -> None:
        self.is_assumed = False
        self._publisher = publisher

    def opened(self, frames: list[bytes], request: Request | None) -> None:
        """Check a comm_open of the remote kernel; tell the user, once, if the guess was wrong."""
        if not self.is_assumed or request is None or not request.is_cell:
            return
        state = _state_in(json.loads(frames[3]))
        if not str(state.get("_model_module", "")).startswith("@jupyter-widgets/"):
            return
        self.is_assumed = False
        if str(state.get("_model_module_version", "")).startswith(_OLD_MODULES):
            self._publisher.tell(_MISMATCH, request)


def _state_in(content: Any) -> dict[str, Any]:
    """Return a widget's state, empty for another comm, whose data may be anything."""
    found = content
    for name in ("data", "state"):
        found = found.get(name) if isinstance(found, dict) else None
    return found if isinstance(found, dict) else {}
