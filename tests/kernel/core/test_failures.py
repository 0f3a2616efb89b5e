"""What nobody expected ends in a sentence, and not in silence."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from aca_kernel.app import AcaKernelApp
from aca_kernel.checkpoint.schedule import Schedule
from aca_kernel.host import checkpoint_commands
from aca_kernel.host.call import Call, Concerned, Later
from aca_kernel.host.calls import Calls
from aca_kernel.kernel import commands as do
from aca_kernel.kernel import events as on
from aca_kernel.kernel.core import Doing
from aca_kernel.kernel.driver import Driver
from aca_kernel.kernel.jobs import Jobs
from aca_kernel.kernel.tasks import Tasks
from aca_kernel.remote.wire import Record
from aca_kernel.settings import AcaKernel

from .invariants import check
from .world import World

NewWorld = Callable[..., World]
LOG = logging.getLogger("test")

FULL = OSError(28, "No space left on device")


async def fail() -> None:
    raise FULL


def test_every_request_ends_if_the_core_or_its_driver_fails(new_world: NewWorld) -> None:
    world = new_world()
    cells = [world.cell("a", seconds=50.0), world.cell("b")]
    world.run(2.0)
    world.tell(on.DriverFailed(world.clock.now, "go on", is_fatal=True))
    for cell in cells:
        assert "its log says how" in world.reply(cell)["evalue"]
    check(world)
    world.run(60.0)
    again = world.cell("c")
    world.settle()
    assert world.text(again) == "c"
    check(world)


@pytest.mark.parametrize("latency", [0.002, 0.04])
def test_a_cell_that_finds_its_environment_gone_runs_in_the_next(
    new_world: NewWorld, latency: float
) -> None:
    world = new_world(latency=latency)
    world.cell("a")
    world.settle()
    world.faults[world.calls + 1] = "gone"
    cells = [world.cell("b"), world.cell("c")]
    world.settle()
    assert [world.text(cell) for cell in cells] == ["b", "c"]
    check(world)


def test_what_is_finished_holds_no_large_messages(new_world: NewWorld) -> None:
    world = new_world()
    world.cell("a")
    world.settle()
    world.send("comm_msg", {"comm_id": "1", "data": {"state": {"value": "x" * 1_000_000}}})
    world.settle()
    kept = [one for one in world.core.table._finished.values() if one.msg_type == "comm_msg"]
    assert [len(repr(one)) < 2000 for one in kept] == [True]


def test_an_answer_to_a_prompt_that_is_gone_launches_nothing(new_world: NewWorld) -> None:
    world = new_world()
    world.cell("a")
    world.settle()
    cell = world.cell("b", seconds=50.0)
    world.run(1.0)
    world.faults[world.calls + 1] = "gone"
    world.settle()
    assert "not run again" in world.reply(cell)["evalue"]
    world.send("input_reply", {"value": "late"}, channel="stdin")
    world.run(5.0)
    assert world.launches == 1
    check(world)


def test_what_failed_beside_the_cells_is_told_with_the_next_one(new_world: NewWorld) -> None:
    world = new_world()
    world.tell(on.DriverFailed(world.clock.now, "interrupt", is_fatal=False))
    cell = world.cell("a")
    world.settle()
    (told,) = [one.content["text"] for one in world.heard(cell) if one.msg_type == "stream"][:1]
    assert "could not interrupt; its log says why" in " ".join(told.split())
    assert world.text(cell) == "a"
    check(world)


def test_a_task_that_fails_is_logged_and_told(caplog: pytest.LogCaptureFixture) -> None:
    inbox: asyncio.Queue[on.Event] = asyncio.Queue()

    async def run() -> None:
        await asyncio.wait([Tasks(inbox, LOG).start(fail(), "end a call early")])
        await asyncio.sleep(0)

    asyncio.run(run())
    assert "could not end a call early" in caplog.text
    assert "No space left on device" in caplog.text
    assert isinstance(inbox.get_nowait(), on.DriverFailed)


def test_a_job_that_fails_ends_its_turn(caplog: pytest.LogCaptureFixture) -> None:
    inbox: asyncio.Queue[on.Event] = asyncio.Queue()

    async def run() -> on.Event:
        launcher: Any = SimpleNamespace(launch=lambda: asyncio.ensure_future(fail()))
        none: Any = None
        jobs = Jobs(none, launcher, none, none, inbox, LOG)
        running = asyncio.ensure_future(jobs.run())
        jobs.put(do.Launch())
        event = await inbox.get()
        running.cancel()
        return event

    event = asyncio.run(asyncio.wait_for(run(), 10))
    assert isinstance(event, on.DriverFailed)
    assert event.is_fatal
    assert event.ends_turn
    assert "No space left on device" in caplog.text


def test_a_kernel_whose_core_cannot_go_on_ends_and_says_why() -> None:
    def fail_at_once(_: on.Event) -> list[do.Command]:
        raise FULL

    async def run() -> None:
        kernel: Any = Driver.__new__(Driver)
        kernel._log, kernel._stopped, kernel._inbox = LOG, asyncio.Event(), asyncio.Queue()
        kernel._core = SimpleNamespace(start=lambda _: [], handle=fail_at_once)
        kernel._channels = SimpleNamespace(listen=lambda _: None)
        kernel._tasks = Tasks(kernel._inbox, LOG)
        kernel._schedule = kernel._jobs = SimpleNamespace(run=asyncio.Event().wait)
        kernel._close = lambda: asyncio.sleep(0)
        kernel.interrupt()
        await kernel.serve()

    with pytest.raises(OSError, match="No space left on device"):
        asyncio.run(asyncio.wait_for(run(), 10))


def test_automatic_checkpoints_go_on_after_an_error_that_nobody_expected(
    caplog: pytest.LogCaptureFixture,
) -> None:
    taken: list[int] = []

    async def take() -> str:
        taken.append(1)
        if len(taken) == 1:
            raise FULL
        return "stored"

    checkpoints: Any = SimpleNamespace(
        take=take, cells_since=1, is_busy=False, is_claimed=False, ran_cell=lambda: None
    )
    settings = AcaKernel(checkpoint_after_seconds=1e-9)

    inbox: asyncio.Queue[Any] = asyncio.Queue()

    async def run() -> None:
        schedule = Schedule(settings, checkpoints, inbox, LOG)
        running = asyncio.ensure_future(schedule.run())
        schedule.begin(SimpleNamespace(idle_seconds=lambda: 0.0))  # type: ignore[arg-type]
        for number in (1, 2):
            schedule.ran_cell(1.0)
            while len(taken) < number:
                await asyncio.sleep(0)
        running.cancel()

    asyncio.run(asyncio.wait_for(run(), 10))
    assert "No space left on device" in inbox.get_nowait().problem
    assert "No space left on device" in caplog.text


@pytest.mark.parametrize("name", ["checkpoint", "checkpoint_end", "restore"])
def test_a_cell_that_stores_or_restores_is_answered_whatever_happens(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checkpoint_commands, "find_permission", lambda *_: None)
    checkpoints: Any = SimpleNamespace(begin=fail, end=fail, begin_restoring=fail)
    none: Any = None
    calls = Calls(Concerned(none, none, AcaKernel(), checkpoints, none, none, {}), LOG)
    call = Call({"id": "7", "op": name, "line": "checkpoint"}, (), none)

    async def run() -> Record:
        later = await calls.answer(call)
        assert isinstance(later, Later)
        return await calls.finish(later)

    answer = asyncio.run(run())
    assert answer.head["id"] == "7"
    assert "No space left on device" in answer.head["error"]


def test_a_kernel_that_is_told_to_quit_ends_behind_the_reply(new_world: NewWorld) -> None:
    """A front end that sees the process end reads no reply, and does not know that it is to end."""
    world = new_world()
    cell = world.cell(end="exit")
    while not any(one.content.get("execution_state") == "idle" for one in world.heard(cell)):
        assert world.clock.step(world.clock.now + 600)
    assert world.reply(cell)["payload"][0]["source"] == "ask_exit"
    assert not world.has_exited
    launches = world.launches
    world.agent.expire()
    later = world.cell("never")
    world.run(10)
    assert world.has_exited
    assert world.heard(later) == []
    assert world.launches == launches


def test_kernels_without_a_key_are_told_apart_by_their_connection_files(tmp_path: Any) -> None:
    def kernel_id(name: str, key: bytes) -> str:
        app: Any = AcaKernelApp(connection_file=str(tmp_path / name))
        return str(app._kernel_id(key))

    assert kernel_id("a.json", b"") == kernel_id("a.json", b"")
    assert kernel_id("a.json", b"") != kernel_id("b.json", b"")
    assert kernel_id("a.json", b"key") == kernel_id("b.json", b"key")


def test_a_cell_is_busy_as_soon_as_an_environment_is_launched_for_it(new_world: NewWorld) -> None:
    """What comes before it is idle by then: a console would take that for the end of the cell."""
    world = new_world()
    for launches in (1, 2):
        cell, behind = world.cell("a"), world.cell("b")
        while world.core.doing is not Doing.LAUNCH:
            assert world.clock.step(world.clock.now + 600)
        assert [one.content for one in world.heard(cell)] == [{"execution_state": "busy"}]
        world.settle()
        assert world.text(behind) == "b"
        assert world.launches == launches
        world.agent.expire()
    check(world)
