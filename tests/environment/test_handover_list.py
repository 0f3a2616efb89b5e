"""The list of environments that outlive their kernel: who is offered which."""

from __future__ import annotations

import fcntl
import logging
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from aca_kernel.environment import handover
from aca_kernel.environment.handover import ClaimState, WarmEnvironments
from aca_kernel.environment.lock_files import forget_pool

LOG = logging.getLogger("test")


@pytest.fixture
def runtime(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A runtime directory of the test's own."""
    monkeypatch.setenv("JUPYTER_RUNTIME_DIR", str(tmp_path))
    return tmp_path


@pytest.fixture
def swept_each_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(handover, "_SWEEP_SECONDS", 0.0)


def environments(owner: str, *, is_shared: bool = True) -> WarmEnvironments:
    return WarmEnvironments("https://pool.example", owner, is_shared=is_shared, log=LOG)


def left_by(owner: str, state: ClaimState | None, environment_id: str = "id") -> None:
    """List an environment whose kernel has ended, in one way or another."""
    claim = environments(owner).add(environment_id)
    assert claim is not None
    claim.write(ClaimState.USED if state is not ClaimState.NEW else state)
    if state in (ClaimState.LEFT, ClaimState.RESTARTING):
        claim.release(keep=True, for_restart=state is ClaimState.RESTARTING)
    else:
        os.close(claim.file.descriptor)


def taken(warm: WarmEnvironments, **options: bool) -> list[str]:
    """What a kernel would be offered; it lets all of it go again, as a killed one does."""
    found = []
    for claim in warm.take(300, **options):
        found.append(claim.environment_id)
        os.close(claim.file.descriptor)
    return found


@pytest.mark.parametrize(
    ("state", "by_others", "by_waiting"),
    [
        (ClaimState.LEFT, ["id"], ["id"]),
        (ClaimState.USED, ["id"], []),
        (ClaimState.RESTARTING, [], []),
        (ClaimState.NEW, [], []),
    ],
)
def test_who_may_have_an_environment_depends_on_how_its_kernel_ended(
    runtime: Path, state: ClaimState, by_others: list[str], by_waiting: list[str]
) -> None:
    left_by("one", state)
    assert taken(environments("two", is_shared=False)) == []
    assert taken(environments("two"), others_wait=True) == []
    assert taken(environments("two"), is_waiting=True) == by_waiting
    left_by("one", state)
    assert taken(environments("two")) == by_others
    left_by("one", state)
    own = [] if state is ClaimState.NEW else ["id"]
    assert taken(environments("one", is_shared=False), others_wait=True, is_waiting=True) == own
    assert len(list(runtime.glob("aca-kernel/*/*.json"))) == len(own)


def test_what_nobody_comes_back_for_is_everybodys_after_a_while(
    runtime: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert runtime.is_dir()
    left_by("one", ClaimState.RESTARTING, "first")
    left_by("one", ClaimState.USED, "second")
    waiting = environments("two")
    assert taken(waiting, is_waiting=True) == []
    monkeypatch.setattr("aca_kernel.environment.handover._RESTART_SECONDS", 0.0)
    assert sorted(taken(waiting, is_waiting=True)) == ["first", "second"]


def test_what_a_pool_leaves_that_has_ended_is_removed(runtime: Path) -> None:
    left_by("one", ClaimState.LEFT)
    forget_pool("https://pool.example")
    assert list(runtime.glob("aca-kernel/*")) == []
    assert taken(environments("one")) == []


@pytest.mark.usefixtures("swept_each_time")
def test_folders_of_pools_that_nobody_uses_any_more_go(runtime: Path) -> None:
    left_by("one", ClaimState.LEFT)
    (folder,) = runtime.glob("aca-kernel/*")
    long_ago = time.time() - 2 * 24 * 3600
    for path in (*folder.iterdir(), folder):
        os.utime(path, (long_ago, long_ago))
    other = WarmEnvironments("https://other.example", "two", is_shared=True, log=LOG)
    for environment_id in ("its file goes", "and it, a day later"):
        assert other.add(environment_id) is not None
        if folder.exists():
            assert list(folder.iterdir()) == []
            os.utime(folder, (long_ago, long_ago))
    assert not folder.exists()


@pytest.mark.usefixtures("runtime")
def test_a_batch_looks_through_the_list_once_in_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    looked_at: list[Path] = []

    def listed(directory: Path) -> list[Path]:
        looked_at.append(directory)
        return []

    monkeypatch.setattr(handover, "_listed", listed)
    for number in range(100):
        assert environments(f"kernel {number}").add(f"id-{number}") is not None
    assert len(looked_at) == 1


@pytest.mark.usefixtures("swept_each_time")
def test_pools_may_end_while_an_environment_is_listed(runtime: Path) -> None:
    assert runtime.is_dir()
    # Another process, which does not have to wait for this one's interpreter lock.
    ending = """
from aca_kernel.environment.handover import WarmEnvironments
from aca_kernel.environment.lock_files import forget_pool
import logging
pools = [f"https://pool-{n}.example" for n in range(20)]
while True:
    for pool in pools:
        warm = WarmEnvironments(pool, "one", is_shared=True, log=logging.getLogger())
        warm.add("id").release(keep=True)
    for pool in pools:
        forget_pool(pool)
    print(flush=True)
"""
    with subprocess.Popen([sys.executable, "-c", ending], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        try:
            assert process.stdout.readline()
            for n in range(1500):
                claim = environments("two").add(f"id {n}")
                assert claim is not None
                claim.release(keep=False)
            assert process.poll() is None
        finally:
            process.kill()


def test_nobody_sees_an_environment_before_its_kernel_holds_it(
    runtime: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[Path] = []
    lock = fcntl.flock

    def look_and_lock(descriptor: int, operation: int) -> None:
        seen.extend(runtime.glob("aca-kernel/*/*.json"))
        lock(descriptor, operation)

    monkeypatch.setattr(fcntl, "flock", look_and_lock)
    claim = environments("one").add("id")
    assert claim is not None
    assert seen == []
    assert list(runtime.glob("aca-kernel/*/*")) == [claim.file.path]
    claim.release(keep=False)
    assert list(runtime.glob("aca-kernel/*/*")) == []
