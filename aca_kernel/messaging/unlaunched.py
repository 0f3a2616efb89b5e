"""Answers to requests without an environment.

On a shared pool only a cell, or another act of the user, takes a place: opening a notebook does
not, nor typing after a cooldown. Requests that front ends make by themselves are answered here as
by a kernel that has run nothing. Once there is an environment everything goes there.

Such requests, from the clients' sources (VS Code's Jupyter extension 2026.6, JupyterLab 4.7,
jupyter-resource-usage 1.3): comm_info, debugInfo, history, completions, usage, and hidden code
(hidden.py). Set-up code among it is kept and runs ahead of the next cell (setup_code.py).
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from .early_status import EarlyStatus
from .hidden import INSPECTOR_QUERY, HiddenKind, has_mark, is_of_inspector, kind_of
from .kernel_info import version_of
from .publisher import Publisher
from .requests import Request
from .setup_code import SetupCode
from .widget_scripts import WidgetScripts

# With ipykernel's hash of cell texts and its seed. The file prefix has the process id of the remote
# kernel, which JupyterLab asks for again when the debugger is switched on.
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

# Replies of a kernel that has run nothing.
_EMPTY_REPLIES: dict[str, dict[str, Any]] = {
    "comm_info_request": {"comms": {}},
    "history_request": {"history": []},
    "inspect_request": {"found": False, "data": {}, "metadata": {}},
    # jupyter-resource-usage shows it behind "Reason: ", and needs all numbers if there is none.
    "usage_request": {"reason": "no session environment; the next cell gets one"},
}

# VS Code loads its widget scripts for the printed version. Each message of a widget waits for them,
# and the notebook with it (`determineVersionOfIPyWidgets`, kernel.ts).
_WIDGETS_PROBE = re.compile(r'print\("([^"]*:IPyWidgets:)" \+ _VSCODE_ipywidgets\.__version__\)')

# For a pool with unknown packages: the major version that it knows best.
_ASSUMED_WIDGETS = "8.0.0"

# "Debug Cell" is refused without a version of three numbers here (`isUsingIpykernel6OrLater` in
# notebooks/debugger/helper.ts). The debug_requests behind it then get an environment.
_IPYKERNEL_PROBE = re.compile(r'print\("([^"]*)" \+ ipykernel\.__version__ \+ "([^"]*)"\)')

# The variables view asks for names and types, printed as JSON (`variableScriptGenerator.ts`). It
# asks for more about one variable; without an answer it reports an error.
_NO_VARIABLES = {'_VSCODE_getVariable("types"': "[]\n", '_VSCODE_getVariable("info"': "{}\n"}


@dataclass(frozen=True)
class EarlyAnswer:
    """An answer that holds without an environment.

    content: of the reply. stdout: output of the request's code.
    messages: further ones on iopub, as type and content.
    is_kept: it is set-up code, which runs ahead of the next cell.
    assumes_widgets: its output is a guess about the environment's ipywidgets.
    """

    content: dict[str, Any]
    stdout: str = ""
    messages: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    is_kept: bool = False
    assumes_widgets: bool = False

    def give(self, request: Request, publisher: Publisher) -> None:
        """Answer a request with it, from busy to idle."""
        publisher.begin(request)
        if self.stdout:
            publisher.publish("stream", {"name": "stdout", "text": self.stdout}, request)
        for msg_type, content in self.messages:
            publisher.publish(msg_type, content, request)
        publisher.answer(request, self.content)


class EarlyAnswers:
    """Answers requests for which no environment is launched.

    is_embedded: environments will have the packages of this Python.
    """

    def __init__(
        self,
        publisher: Publisher,
        setup: SetupCode,
        widgets: WidgetScripts,
        announcer: EarlyStatus,
        *,
        is_embedded: bool,
    ) -> None:
        self._publisher = publisher
        self._announcer = announcer
        self._setup = setup
        self._widgets = widgets
        self._is_embedded = is_embedded
        self._has_run_cell = False
        # Of VS Code.
        self._sessions: set[Any] = set()

    def note(self, request: Request) -> None:
        """Note a request, however it is answered."""
        self._has_run_cell = self._has_run_cell or request.is_cell
        if not request.is_hidden:
            return
        if is_of_inspector(request.code) or request.content.get("silent", False):
            return  # it is known by itself
        session = request.header.get("session")
        if has_mark(request.code):
            self._sessions.add(session)
        # Hidden code of a script is run.
        request.is_hidden = session in self._sessions

    def answer(self, request: Request) -> bool:
        """Answer a request, from busy to idle; False if it needs an environment."""
        answer = self._answer_of(request)
        if answer is None:
            return False
        if answer.is_kept:
            self._setup.keep(request, is_sent=False)
        if answer.assumes_widgets:
            self._widgets.is_assumed = True
        answer.give(request, self._publisher)
        return True

    def answer_all(self, requests: Iterable[Request]) -> bool:
        """Answer requests if none of them needs an environment; False if one does."""
        waiting = list(requests)
        if any(self._answer_of(one) is None for one in waiting):
            return False
        for one in waiting:
            self.answer(one)
        return True

    def answer_hidden(self, requests: Iterable[Request]) -> None:
        """Answer the hidden ones of requests; set-up code waits for the next cell."""
        for one in requests:
            if one.is_hidden:
                self.answer(one)

    def began(self, request: Request) -> None:
        """Note that a remote kernel has started a request; later ones get its set-up code, too."""
        if request.is_hidden and _WIDGETS_PROBE.search(request.code):
            # Now the front end learns it from the environment.
            self._widgets.is_assumed = False
        if request.is_hidden and is_setup_code(request.code, has_run_cell=self._has_run_cell):
            self._setup.keep(request, is_sent=True)

    def _answer_of(self, request: Request) -> EarlyAnswer | None:
        if request.is_hidden:
            answer = _hidden_answer(request.code, self._is_embedded, self._has_run_cell)
            if answer is not None:
                answer.content["execution_count"] = self._announcer.last_count
            return answer
        return empty_answer(request)


def is_setup_code(code: str, *, has_run_cell: bool) -> bool:
    """Tell whether hidden code changes something for later cells.

    has_run_cell: the user has run a cell in this kernel. Before, code without a mark is the
    user's startup commands.
    """
    kind = kind_of(code)
    return kind is HiddenKind.SETUP or (kind is HiddenKind.UNKNOWN and not has_run_cell)


def empty_answer(request: Request) -> EarlyAnswer | None:
    """Return the answer of a kernel that has run nothing, None if it must run something for it."""
    content, msg_type = request.content, request.msg_type
    if msg_type in _EMPTY_REPLIES:
        return EarlyAnswer({"status": "ok", **_EMPTY_REPLIES[msg_type]})
    if msg_type == "complete_request":
        position = content.get("cursor_pos", 0)
        places = {"cursor_start": position, "cursor_end": position}
        return EarlyAnswer({"status": "ok", "matches": [], "metadata": {}, **places})
    if msg_type == "debug_request":
        return _debug_answer(content)
    if msg_type == "comm_open":
        # ipykernel's message for an unknown target.
        closed = {"comm_id": content.get("comm_id", ""), "data": {}}
        return EarlyAnswer({}, messages=[("comm_close", closed)])
    return EarlyAnswer({}) if msg_type.startswith("comm_") else None


def _debug_answer(content: dict[str, Any]) -> EarlyAnswer | None:
    """Answer requests that come without a debugging user.

    VS Code disconnects when the debugged cell has ended, perhaps with its environment.
    """
    command = content.get("command")
    body: dict[str, Any] = {}
    if command == "debugInfo":
        body = {"tmpFilePrefix": f"{tempfile.gettempdir()}/ipykernel_0/", **_DEBUG_INFO}
    elif command != "disconnect":
        return None
    answer = {"type": "response", "request_seq": content.get("seq", 0), "success": True}
    return EarlyAnswer({**answer, "command": command, "body": body})


def _hidden_answer(code: str, is_embedded: bool, has_run_cell: bool) -> EarlyAnswer | None:
    content = {"status": "ok", "user_expressions": {}, "payload": []}
    if probe := _WIDGETS_PROBE.search(code):
        version = version_of("ipywidgets") if is_embedded else _ASSUMED_WIDGETS
        printed = f"{probe[1]}{version}\n" if version else ""
        return EarlyAnswer(content, printed, assumes_widgets=not is_embedded)
    if probe := _IPYKERNEL_PROBE.search(code):
        version = version_of("ipykernel")
        return EarlyAnswer(content, f"{probe[1]}{version}{probe[2]}\n" if version else "")
    for query, printed in _NO_VARIABLES.items():
        if query in code:
            return EarlyAnswer(content, printed)
    if code == INSPECTOR_QUERY and not has_run_cell:
        # Later the list that it shows is that of the variables that come back.
        listed = {"data": {"text/plain": "'[]'"}, "metadata": {}, "execution_count": 0}
        return EarlyAnswer(content, messages=[("execute_result", listed)])
    if is_setup_code(code, has_run_cell=has_run_cell):
        return EarlyAnswer(content, is_kept=True)
    return EarlyAnswer(content) if kind_of(code) is HiddenKind.QUERY else None
