"""What is sent to an environment: all that lies in remote/, as old as the kernel that sends it."""

from __future__ import annotations

import shutil
from pathlib import Path

import aca_kernel
from aca_kernel.environment import remote_sources

from ..support import Pool, running_kernel

PACKAGE = Path(aca_kernel.__file__).parent


def test_every_module_in_the_folder_is_sent_by_one_way() -> None:
    folder = PACKAGE / "remote"
    there = {path.relative_to(folder).as_posix() for path in folder.rglob("*.py")}
    agent, checkpoint = set(remote_sources.relay_half()), set(remote_sources.checkpoint_half())
    assert agent | checkpoint == there
    assert not agent & checkpoint
    assert {"agent.py", "notebook_files/mirror.py"} <= agent
    assert {name.partition("/")[0] for name in checkpoint} == {"checkpoint"}


def test_a_package_that_is_updated_meanwhile_is_not_sent(pool: Pool, tmp_path: Path) -> None:
    updated = tmp_path / "packages" / "aca_kernel"
    shutil.copytree(PACKAGE, updated, ignore=shutil.ignore_patterns("__pycache__"))
    with running_kernel({**pool.env, "PYTHONPATH": str(updated.parent)}) as kernel:
        for path in (updated / "remote").rglob("*.py"):
            path.write_text("raise ImportError('another version')\n")
        assert kernel.run("x = 40 + 2\nx").result == "42"
        assert kernel.run("%aca checkpoint").status == "ok"
        assert kernel.run("%aca restart --keep").status == "ok"
        assert kernel.run("x").result == "42"
