"""What a batch costs the machine that drives it, for `python -m tests.benchmark --only batch`.

The cells of the large counts run nowhere (stand_in_pool.py): all that is measured is the batch and,
where it has any, its kernels' processes.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import nbformat
import psutil

from aca_kernel.batch.client import BatchClient
from aca_kernel.batch.kernels import Kernels
from aca_kernel.batch.shared_pool import local_pool

from ..support import Pool, running_pool
from .support import RUN, environment, family, state, write_notebook

# Where a row's samples go: name, unit, samples by kernel, aim.
AddRow = Callable[[str, str, dict[str, list[float]]], None]

_TEN = [f"x{n} = {n}\nprint(x{n})" for n in range(10)]


def batch(pythons: Mapping[str, str], rounds: int, add: AddRow) -> None:
    """Measure batches. pythons: the interpreters of what is compared, by their columns' names."""
    places = {"max_concurrent_sessions": 600, "isolation": "process"}
    with running_pool("tests.batch.stand_in_pool", **places) as pool:
        memory: dict[str, list[float]] = {name: [] for name in pythons}
        cpu: dict[str, list[float]] = {name: [] for name in pythons}
        for _ in range(rounds):
            for name, python in pythons.items():
                few, many = (_peak_mb(python, pool, count, 15) for count in (2, 22))
                memory[name].append((many - few) / 20)
                few, many = (_cpu_ms(python, pool, count) for count in (4, 44))
                cpu[name].append((many - few) / 40)
        add("a notebook that runs: memory here (cells run nowhere)", "MB", memory)
        add("a notebook of ten short cells: CPU here (cells run nowhere)", "ms", cpu)
        began = time.monotonic()
        peak = _peak_mb(pythons["aca"], pool, 500, 60)
        add("500 notebooks at a time: memory here (cells run nowhere)", "MB", {"aca": [peak]})
        seconds = time.monotonic() - began
        add("the same: seconds with a cell of 60 s", "s", {"aca": [seconds]})


def _command(python: str, jobs: int) -> list[str]:
    return [python, *RUN[1:], ".", "--output-dir", "out", "--jobs", str(jobs), "--kernel", "aca"]


def _environment(folder: Path, pool: Pool) -> dict[str, str]:
    (folder / "settings").mkdir()
    settings = folder / "settings" / "aca_kernel_config.py"
    settings.write_text("c.AcaKernel.checkpoint = 'off'\n")
    return environment({**pool.env, "JUPYTER_CONFIG_DIR": str(settings.parent)})


def _peak_mb(python: str, pool: Pool, count: int, hold: int) -> float:
    """Return the most memory that a batch has with so many notebooks at a time."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        names = [f"{n:03}.ipynb" for n in range(count)]
        for name in names:
            write_notebook(folder / name, f"hold {hold}", "2")
        env = _environment(folder, pool)
        peak = 0.0
        with subprocess.Popen(
            _command(python, count), cwd=folder, env=env, stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        ) as run:  # fmt: skip
            while run.poll() is None:
                processes = [psutil.Process(run.pid), *family(run.pid)]
                size = 0
                for one in processes:
                    with contextlib.suppress(psutil.NoSuchProcess):
                        # What is shared counts in parts.
                        size += one.memory_full_info().pss
                peak = max(peak, size / 1e6)
                time.sleep(0.5)
        assert run.returncode == 0
        assert {state(folder / "out" / name) for name in names} == {"done"}
        return peak


def _cpu_ms(python: str, pool: Pool, count: int) -> float:
    """Return the processor time of a batch and all that it has started, two at a time."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        for n in range(count):
            write_notebook(folder / f"{n:03}.ipynb", *_TEN)
        env = _environment(folder, pool)
        run = subprocess.Popen(
            _command(python, 2), cwd=folder, env=env, stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )  # fmt: skip
        _, status, used = os.wait4(run.pid, 0)
        run.returncode = os.waitstatus_to_exitcode(status)
        assert run.returncode == 0
        return (used.ru_utime + used.ru_stime) * 1000


def in_process_ms(book: nbformat.NotebookNode) -> float:
    """Return how long a notebook takes with a kernel in this process, and a pool of its own."""

    async def run(folder: str) -> None:
        target = Kernels("aca").target("aca")
        async with local_pool(target, 1, print):
            client = BatchClient(
                book,
                target,
                folder=folder,
                timeout_seconds=None,
                allow_errors=False,
                tell=lambda _: None,
                on_cell=lambda _: None,
                on_end=lambda *_: None,
            )
            await client.async_execute(env=dict(os.environ))
            assert not client.errors
            await target.close()

    with tempfile.TemporaryDirectory() as folder:
        began = time.perf_counter()
        asyncio.run(run(folder))
        return (time.perf_counter() - began) * 1000
