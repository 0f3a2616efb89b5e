"""Kernels wait for a full pool in order; only the first asks it."""

from __future__ import annotations

import stat
import subprocess
import sys
from pathlib import Path

import pytest

from aca_kernel.environment.waiting_line import WaitingLine

from ..support import running_kernel, running_pool

WAIT = """\
import sys
from aca_kernel.environment.waiting_line import WaitingLine
line = WaitingLine("pool")
line.join()
print("joined", flush=True)
sys.stdin.read()
"""


@pytest.fixture(autouse=True)
def runtime(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("JUPYTER_RUNTIME_DIR", str(tmp_path / "runtime"))
    return tmp_path / "runtime"


def test_the_first_is_who_came_first_and_then_the_next() -> None:
    first, second, third = (WaitingLine("pool") for _ in range(3))
    newcomer, other = WaitingLine("pool"), WaitingLine("another pool")
    assert newcomer.is_first()
    for line in (first, second, third):
        line.join()
    other.join()
    assert [line.is_first() for line in (first, second, third)] == [True, False, False]
    assert not newcomer.is_first()
    assert other.is_first()
    second.leave()
    assert not third.is_first()
    first.leave()
    assert third.is_first()
    third.leave()
    assert newcomer.is_first()


def test_a_killed_waiter_blocks_nobody_and_its_file_is_removed(runtime: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", WAIT], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"joined\n"
        line = WaitingLine("pool")
        line.join()
        assert not line.is_first()
        process.kill()
        process.wait()
        assert line.is_first()
    line.leave()
    assert not [path for path in runtime.rglob("*") if path.is_file()]


def test_the_line_is_the_owners_only(runtime: Path) -> None:
    line = WaitingLine("https://pool.example/mcp")
    line.join()
    (ticket,) = [path for path in runtime.rglob("*") if path.is_file()]
    assert stat.S_IMODE(ticket.stat().st_mode) == 0o600
    assert stat.S_IMODE(ticket.parent.stat().st_mode) == 0o700
    assert ticket.read_bytes() == b""
    assert "pool.example" not in str(ticket)
    line.leave()


def test_where_nothing_can_be_written_everybody_is_first(runtime: Path) -> None:
    runtime.write_text("no folder")
    line = WaitingLine("pool")
    line.join()
    assert line.is_first()
    assert not line.is_joined
    line.leave()


@pytest.mark.parametrize("retry_after", [None, 1])
def test_kernels_get_places_in_the_order_of_their_coming(retry_after: int | None) -> None:
    with (
        running_pool(
            max_concurrent_sessions=1, cooldown_seconds=3, retry_after_seconds=retry_after
        ) as pool,
        running_kernel(pool.env) as first,
        running_kernel(pool.env) as second,
    ):
        pool.take_a_place()
        code = "import time; time.time()"
        early = first.send(code)
        first.wait_for_stream(early, "Waiting")
        late = second.send(code)
        second.wait_for_stream(late, "Waiting")
        got = [float(str(first.collect(early).result)), float(str(second.collect(late).result))]
        # The second had to wait until the first one's environment had cooled down.
        assert got[1] - got[0] > 2


def test_who_waits_behind_others_gives_up_with_the_rule_for_the_size() -> None:
    short = ("--AcaKernel.pool_full_timeout_seconds=1",)
    with (
        running_pool(max_concurrent_sessions=1, cooldown_seconds=60) as pool,
        running_kernel(pool.env) as first,
        running_kernel(pool.env, arguments=short) as second,
    ):
        pool.take_a_place()
        waiting = first.send("1")
        first.wait_for_stream(waiting, "Waiting")
        error = second.run("1").error
        assert error is not None
        assert error["ename"] == "PoolBusy"
        assert "sessions started per second × cooldown seconds" in error["evalue"]
