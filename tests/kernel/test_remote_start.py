"""The start of remote kernels in Pythons that are not as this one."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from ..support import Pool, running_kernel, running_pool

# As Python's own since 3.14.
NO_LOOP = """
import asyncio, sys

if sys.version_info < (3, 14):
    class Policy(asyncio.DefaultEventLoopPolicy):
        def get_event_loop(self):
            if self._local._loop is None:
                raise RuntimeError("There is no current event loop")
            return super().get_event_loop()

    asyncio.set_event_loop_policy(Policy())
"""

NO_WAKEUP = """
import signal

def set_wakeup_fd(*_, **__):
    raise ValueError("signals are taken")

signal.set_wakeup_fd = set_wakeup_fd
"""


@pytest.fixture(scope="module")
def pool() -> Iterator[Pool]:
    """A pool whose environments see the files of this machine."""
    with running_pool(isolation="process") as one:
        yield one


def started_with(folder: Path, code: str) -> tuple[str, ...]:
    """Arguments with which remote kernels run this code first."""
    (folder / "sitecustomize.py").write_text(code, encoding="utf-8")
    return (f"--AcaKernel.environment=PYTHONPATH={folder}", "--AcaKernel.reuse=never")


def test_cells_run_where_python_makes_no_event_loop_by_itself(pool: Pool, tmp_path: Path) -> None:
    with running_kernel(pool.env, arguments=started_with(tmp_path, NO_LOOP)) as kernel:
        cell = kernel.run("import asyncio\nawait asyncio.sleep(0)\n1 + 1")
    assert cell.result == "2", cell.evalue


@pytest.mark.parametrize("more", [(), ("-c", "X = 1")])
def test_an_error_behind_the_set_up_of_ipykernel_is_told(
    pool: Pool, tmp_path: Path, more: tuple[str, ...]
) -> None:
    arguments = (*started_with(tmp_path, NO_WAKEUP), *more)
    with running_kernel(pool.env, arguments=arguments) as kernel:
        cell = kernel.run("1 + 1")
    assert cell.error is not None
    assert cell.error["ename"] == "RemoteKernelNotStarted"
    assert "environment: ValueError: signals are taken." in cell.evalue
