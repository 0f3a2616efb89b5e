"""VS Code's Jupyter extension as a kernel sees it: hidden requests, in its order.

Source: microsoft/vscode-jupyter 2026.6: `src/kernels/kernel.ts`, `src/kernels/helpers.ts`,
`src/standalone/api/kernels/backgroundExecution.ts`, `src/platform/interpreter/
variableScriptGenerator.ts`, `src/interactive-window`, `src/notebooks/debugger`. The code that is
sent here has its marks and does the same.
"""

from __future__ import annotations

import json
import time
from typing import Any

from ..support import TIMEOUT, Cell, Client

# Any text will do: the kernel takes it from the request.
MARKER = "a-marker-of-its-own:IPyWidgets:"
DELIMITER = "a-delimiter-of-its-own"

EXECUTABLE = "import sys as _VSCODE_sys\nprint(_VSCODE_sys.executable); del _VSCODE_sys"

PROBE = f"""try:
    import ipywidgets as _VSCODE_ipywidgets
    print("{MARKER}" + _VSCODE_ipywidgets.__version__)
    del _VSCODE_ipywidgets
except Exception: pass"""

INJECTION = """
def __VSCODE_inject_module():
    import sys, types
    sys.modules["vscode"] = types.ModuleType("vscode")

__VSCODE_inject_module()
del __VSCODE_inject_module

__vsc_ipynb_file__ = "/home/somebody/book.ipynb"
%config Completer.use_jedi = False"""

VARIABLES = """
import json as _VSCODE_json

def _VSCODE_getVariable(what, is_debugging, names):
    print(_VSCODE_json.dumps([{"name": n, "type": type(globals()[n]).__name__} for n in names]))

_VSCODE_rwho_ls = %who_ls
_VSCODE_getVariable("types", False, _VSCODE_rwho_ls)

del _VSCODE_getVariable
del _VSCODE_rwho_ls, _VSCODE_json"""

INFORMATION = """
import json as _VSCODE_json

def _VSCODE_getVariable(what, is_debugging, value):
    print(_VSCODE_json.dumps({"shape": str(len(value))}))

_VSCODE_getVariable("info", False, %s)

del _VSCODE_getVariable, _VSCODE_json"""

PANDAS = f"""import pandas as _VSCODE_pandas;print(_VSCODE_pandas.__version__);\
print("{DELIMITER}"); del _VSCODE_pandas"""

# Of the interactive window, whose debugger goes round the kernel.
LISTEN = "import debugpy;debugpy.listen(('localhost', 0))"
WAIT = "import debugpy;debugpy.wait_for_client()"

IPYKERNEL = f"""import builtins
import ipykernel
builtins.print("{DELIMITER}" + ipykernel.__version__ + "{DELIMITER}")"""

BACKGROUND = """
def __jupyter_exec_background__():
    from IPython.display import display
    from threading import Thread

    output = display({"application/vnd.test.begin": ""}, raw=True, display_id=True)

    def work():
        output.update({"application/vnd.test.result": %s}, raw=True)

    Thread(target=work, daemon=True).start()

__jupyter_exec_background__()
del __jupyter_exec_background__"""


class VsCode:
    """One notebook, open in VS Code."""

    def __init__(self, client: Client) -> None:
        self.client = client

    def run(self, code: str) -> Cell:
        """Run a cell of the user's."""
        return self.client.run(code, stop_on_error=False)

    def send_hidden(self, code: str, *, allow_stdin: bool = True) -> str:
        return self.client.send(
            code, store_history=False, stop_on_error=False, allow_stdin=allow_stdin
        )

    def hidden(self, code: str, *, allow_stdin: bool = True) -> Cell:
        """Run code that its user does not see."""
        return self.client.collect(self.send_hidden(code, allow_stdin=allow_stdin))

    def open(self) -> Cell:
        """Do what opening a notebook does; return the answer to the question for ipywidgets."""
        ask = self.client.ask
        for channel in ("shell", "control", "shell"):
            assert ask("kernel_info_request", {}, channel=channel)["content"]["status"] == "ok"
        assert self.hidden(EXECUTABLE).status == "ok"
        probe = self.hidden(PROBE)
        assert self.hidden(INJECTION).status == "ok"
        ask("kernel_info_request", {})
        ask("complete_request", {"code": "__file__.", "cursor_pos": 9})
        return probe

    def complete(self, code: str) -> list[str] | None:
        """Type a letter: return the matches, None if VS Code gets none to show."""
        expression = f"get_ipython().kernel.do_complete({code!r}, {len(code)})"
        reply = self._in_background(expression)
        return None if reply is None else list(reply["matches"])

    def _in_background(self, expression: str) -> dict[str, Any] | None:
        """Evaluate in a thread, whose answer comes after the request's idle."""
        cell = self.hidden(BACKGROUND % expression, allow_stdin=False)
        assert cell.status == "ok", cell.reply["content"]
        assert cell.stream("stderr") == ""
        outputs = cell.of_type("display_data")
        if not outputs:
            return None
        shown = [one["content"]["data"] for one in cell.of_type("update_display_data")]
        deadline = time.monotonic() + TIMEOUT
        while not shown:
            message = self.client.client.get_iopub_msg(timeout=deadline - time.monotonic())
            if message["msg_type"] == "update_display_data":
                shown.append(message["content"]["data"])
        return dict(shown[0]["application/vnd.test.result"])

    def variables(self) -> list[str]:
        """Look at the variables view: names and types in two requests, then one for each."""
        found = self.hidden(VARIABLES)
        assert found.stream("stderr") == ""
        assert found.status == "ok"
        names = [one["name"] for one in json.loads(found.text)]
        for name in names:
            content = {"code": name, "cursor_pos": 0, "detail_level": 0}
            assert self.client.ask("inspect_request", content)["content"]["found"]
        return names
