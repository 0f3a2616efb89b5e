"""Interrupting a cell, wherever it is."""

from __future__ import annotations

import time

import pytest

from ..support import AT_ONCE, Client, eventually, running_kernel, running_pool

CASES = {
    "busy loop": "while True:\n    pass",
    "sleep": "import time\ntime.sleep(60)",
    "await": "import asyncio\nawait asyncio.sleep(60)",
    "input": "input('? ')",
}


@pytest.mark.parametrize("name", CASES)
def test_an_interrupt_ends_the_cell_and_keeps_its_state(shared_kernel: Client, name: str) -> None:
    shared_kernel.run("state = 'kept'")
    msg_id = shared_kernel.send("print('started', flush=True)\n" + CASES[name])
    shared_kernel.wait_for_stream(msg_id, "started")
    started = time.monotonic()
    shared_kernel.interrupt()
    cell = shared_kernel.collect(msg_id)
    assert time.monotonic() - started < AT_ONCE
    error = cell.error
    assert error is not None
    assert error["ename"] in ("KeyboardInterrupt", "CancelledError")
    assert shared_kernel.run("state").result == "'kept'"


def test_an_interrupt_sent_right_after_its_cell_is_not_lost(shared_kernel: Client) -> None:
    for _ in range(5):
        msg_id = shared_kernel.send("import time\ntime.sleep(60)")
        # Two sockets: what is sent over one may overtake the other by a little.
        time.sleep(0.03)
        shared_kernel.interrupt()
        assert shared_kernel.collect(msg_id, timeout=20).status == "error"


def test_an_interrupt_of_nothing_does_nothing(shared_kernel: Client) -> None:
    shared_kernel.interrupt()
    assert shared_kernel.run("1 + 1").result == "2"


def test_an_interrupt_aborts_the_queued_cells(shared_kernel: Client) -> None:
    first = shared_kernel.send("print('started', flush=True)\nimport time\ntime.sleep(60)")
    second = shared_kernel.send("print('never')")
    shared_kernel.wait_for_stream(first, "started")
    shared_kernel.interrupt()
    assert shared_kernel.collect(first).status == "error"
    assert shared_kernel.collect(second).status == "aborted"


def test_an_interrupt_stops_a_shell_command(shared_kernel: Client) -> None:
    msg_id = shared_kernel.send("!echo started; sleep 61")
    shared_kernel.wait_for_stream(msg_id, "started")
    started = time.monotonic()
    shared_kernel.interrupt()
    # As ipykernel's terminal shows it, with the end of the line.
    assert shared_kernel.collect(msg_id).text.endswith("^C\r\n")
    assert time.monotonic() - started < AT_ONCE
    assert shared_kernel.run("!pgrep -fx 'sleep 61' | wc -l").text.strip() == "0"


def test_an_interrupted_command_whose_output_is_taken_gives_none(shared_kernel: Client) -> None:
    msg_id = shared_kernel.send("x = !echo taken; touch is-there; sleep 62\nprint(x)")
    is_there = "__import__('os').path.exists('is-there')"
    assert eventually(lambda: shared_kernel.run_in_subshell("", is_there) == "True")
    shared_kernel.interrupt()
    # As with ipykernel: the cell goes on.
    cell = shared_kernel.collect(msg_id)
    assert (cell.text, cell.status) == ("^C\n[]\n", "ok")


def test_an_interrupt_is_felt_where_the_pool_serialises_its_tools() -> None:
    with (
        running_pool(quirks=["serialise_tools"]) as pool,
        running_kernel(pool.env) as kernel,
    ):
        msg_id = kernel.send("print('started', flush=True)\nimport time\ntime.sleep(60)")
        kernel.wait_for_stream(msg_id, "started")
        time.sleep(4)  # long enough for the kernel to find out
        started = time.monotonic()
        kernel.interrupt()
        assert kernel.collect(msg_id).status == "error"
        assert time.monotonic() - started < AT_ONCE
