"""What a job becomes that is given up before it has begun."""

from __future__ import annotations

import asyncio
import logging
from types import SimpleNamespace
from typing import Any

from aca_kernel.kernel import commands as do
from aca_kernel.kernel import events as on
from aca_kernel.kernel.jobs import Jobs


def test_code_that_is_stopped_before_it_has_begun_does_not_run() -> None:
    async def scenario() -> tuple[list[on.Event], list[str]]:
        inbox: asyncio.Queue[on.Event] = asyncio.Queue()
        ran: list[str] = []

        async def run_python(code: str, **_: Any) -> object:
            ran.append(code)
            return object()

        launched = asyncio.get_running_loop().create_future()
        environment = SimpleNamespace(run_python=run_python)
        launched.set_result(SimpleNamespace(environment=environment, relay=None, notices=()))
        none: Any = None
        launcher: Any = SimpleNamespace(launch=lambda: launched)
        jobs = Jobs(none, launcher, none, none, inbox, logging.getLogger("test"))
        running = asyncio.ensure_future(jobs.run())
        jobs.put(do.Launch())
        found = [await inbox.get()]
        jobs.put(do.RunCode("while True: pass"))
        jobs.give_up()
        jobs.put(do.RunCode("2"))
        found += [await inbox.get(), await inbox.get()]
        running.cancel()
        return found, ran

    (ready, stopped, done), ran = asyncio.run(scenario())
    assert isinstance(ready, on.EnvironmentReady)
    assert isinstance(stopped, on.CodeFailed)
    assert stopped.error is None
    assert isinstance(done, on.CodeRan)
    assert ran == ["2"]
