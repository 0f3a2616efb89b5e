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
