"""The debugger is imported at its first use; until then a stand-in answers for it."""

from __future__ import annotations

import asyncio
import sys
import types
from typing import Any

import pytest

from aca_kernel.remote import late_debugger
from aca_kernel.remote.late_debugger import LateDebugger

NAME = "ipykernel.debugger"


class Debugger:
    """What ipykernel's own has of methods, as far as kernels use it."""

    def __init__(self, *arguments: Any) -> None:
        self.arguments = arguments
        self.stops = asyncio.Queue[str]()
        self.handled: list[str] = []

    async def process_request(self, message: dict[str, Any]) -> dict[str, Any]:
        self.stops.put_nowait("breakpoint")
        return {"command": message["command"]}

    async def handle_stopped_event(self) -> None:
        self.handled.append(await self.stops.get())


@pytest.fixture
def real(monkeypatch: pytest.MonkeyPatch) -> types.ModuleType:
    module: Any = types.ModuleType(NAME)
    module.Debugger, module._is_debugpy_available = Debugger, True
    monkeypatch.setitem(sys.modules, NAME, module)
    return module


def made_late() -> LateDebugger:
    return LateDebugger("log", "stream", ["kernel.py"], True, False)


def test_a_stop_is_waited_for_before_there_is_a_debugger(real: types.ModuleType) -> None:
    async def debug() -> list[str]:
        debugger = made_late()
        waiting = asyncio.create_task(debugger.handle_stopped_event())
        await asyncio.sleep(0)
        assert await debugger.process_request({"command": "attach"}) == {"command": "attach"}
        await waiting
        await debugger.process_request({"command": "next"})
        await debugger.handle_stopped_event()
        return list(debugger.handled)

    assert asyncio.run(debug()) == ["breakpoint", "breakpoint"]


def test_it_is_made_once_with_all_that_ipykernel_gave(real: types.ModuleType) -> None:
    debugger = made_late()
    log, stream, modules, just_my_code, filter_frames = debugger.arguments
    assert (log, stream, just_my_code, filter_frames) == ("log", "stream", True, False)
    assert modules[0] == "kernel.py"
    assert debugger.handled is debugger.handled


def test_steps_go_over_what_its_import_brings(real: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def import_module(_name: str) -> Any:
        for name in ("xmlrpc.server", "debugpy.server", "users_own"):
            module = types.ModuleType(name)
            module.__file__ = f"/lib/{name}.py"
            monkeypatch.setitem(sys.modules, name, module)
        return real

    for name in ("xmlrpc.server", "debugpy.server"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    monkeypatch.setattr(late_debugger.importlib, "import_module", import_module)
    modules = made_late().arguments[2]
    assert {"/lib/xmlrpc.server.py", "/lib/debugpy.server.py"} <= set(modules)
    assert "/lib/users_own.py" not in modules


def test_without_debugpy_a_request_is_answered_as_ipykernel_does(real: Any) -> None:
    real._is_debugpy_available = False
    assert asyncio.run(made_late().process_request({"command": "initialize"})) is None


def test_what_is_imported_already_stays(real: types.ModuleType) -> None:
    late_debugger.import_late()
    assert sys.modules[NAME] is real
