"""The directories of pools, made, ended and swept at the same time."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from aca_kernel.localpool.directories import PoolDirectory


def test_pools_may_end_while_another_one_sweeps(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    ending = """
from aca_kernel.localpool.directories import PoolDirectory
while True:
    pools = [PoolDirectory() for _ in range(20)]
    for pool in pools:
        pool.close()
    print(flush=True)
"""
    own = PoolDirectory()
    with subprocess.Popen([sys.executable, "-c", ending], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        try:
            process.stdout.readline()
            for _ in range(1500):
                own.sweep()
            assert process.poll() is None
        finally:
            process.kill()
    assert os.path.isdir(own.path)
    own.sweep()
    left = [path for path in Path(own.path).parent.iterdir() if path.is_dir()]
    assert left == [Path(own.path)]
    own.close()


def test_the_last_pool_takes_the_common_directory_along(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    first, last = PoolDirectory(), PoolDirectory()
    first.close()
    assert os.path.isdir(last.path)
    last.close()
    assert list(tmp_path.iterdir()) == []


COMING_AND_GOING = """
from aca_kernel.localpool.directories import PoolDirectory
for _ in range(300):
    pool = PoolDirectory()
    open(pool.new_session(), "w").close()
    pool.close()
"""


def test_one_may_begin_while_the_last_one_ends(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    argv = [sys.executable, "-c", COMING_AND_GOING]
    processes = [subprocess.Popen(argv) for _ in range(4)]
    assert [process.wait() for process in processes] == [0, 0, 0, 0]
    assert list(tmp_path.iterdir()) == []


def test_a_link_leads_to_a_directory_whose_path_is_long(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    long = tmp_path / ("T" * 60)
    long.mkdir()
    monkeypatch.setenv("TMPDIR", str(long))
    pool = PoolDirectory()
    assert pool.path.startswith(str(long))
    assert len(pool.short) < 40
    assert os.path.samefile(pool.short, pool.path)
    pool.close()
    assert not os.path.lexists(pool.short)


def test_the_link_of_a_killed_pool_is_swept_with_its_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    long = tmp_path / ("T" * 60)
    long.mkdir()
    monkeypatch.setenv("TMPDIR", str(long))
    killed = """
import os
from aca_kernel.localpool.directories import PoolDirectory
print(PoolDirectory().short, flush=True)
os.kill(os.getpid(), 9)
"""
    argv = [sys.executable, "-c", killed]
    link = subprocess.run(argv, check=False, capture_output=True, text=True).stdout.strip()
    assert os.path.islink(link)
    pool = PoolDirectory()
    pool.sweep()
    assert not os.path.lexists(link)
    pool.close()
    assert list(long.iterdir()) == []
