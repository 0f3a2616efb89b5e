"""One run from its kernels and pools to its reports and exit status."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import replace
from datetime import datetime, timezone

from ..errors import SettingInvalid
from ..system import END_SIGNALS, on_signal
from .finding import Job
from .kernels import KernelInvalid, Kernels, Target
from .notebook import Options
from .notebook_io import NotebookInvalid, read_notebook
from .outcomes import Batch, Outcome
from .progress import Progress
from .reports import write_report
from .runner import Runner
from .shards import Shard
from .shared_pool import local_pool
from .summary import print_problems, totals

# The shell's: 128 + SIGINT.
_EXIT_INTERRUPTED = 130


async def run_batch(
    jobs: Sequence[Job],
    options: Options,
    kernels: Kernels,
    *,
    parallel: int | None,
    fail_fast: bool,
    reports: Sequence[str],
    shard: Shard | None = None,
) -> int:
    """Run notebooks, show and report their ends, and return the exit status.

    parallel: how many at a time; None: as many as fit the pools.
    shard: the part of a larger batch that these are, for the reports.
    Raises SettingInvalid: a report cannot be written. Raises the errors of Target.size.
    """
    started, clock = datetime.now(timezone.utc), time.monotonic()
    interrupts: list[int] = []
    has_run, at_a_time = False, 0
    try:
        async with AsyncExitStack() as stack:
            progress = await stack.enter_async_context(Progress(sys.stderr, len(jobs)))
            runner = Runner(jobs, options, kernels, progress, fail_fast=fail_fast)
            _on_interrupt(runner, progress, interrupts)
            targets = _targets(jobs, kernels)
            fitting = parallel or max([await target.size() for target in targets], default=1)
            at_a_time = min(fitting, len(jobs))
            for target in targets:
                if target.is_embedded:
                    pool = local_pool(target, at_a_time, progress.tell)
                    await stack.enter_async_context(pool)
                stack.push_async_callback(target.close)
            await runner.run(at_a_time)
            has_run = True
    except asyncio.CancelledError:
        # While it was cleaned up: the notebooks have their outcomes.
        if not has_run:
            return _EXIT_INTERRUPTED
    seconds = time.monotonic() - clock
    batch = Batch(
        started.isoformat(timespec="seconds"), seconds, at_a_time, runner.is_stopped, shard
    )
    named = _by_all_names(jobs, runner.outcomes)
    # First, because nobody may read the terminal any more.
    failures = []
    for path in reports:
        try:
            write_report(path, batch, named)
        except SettingInvalid as error:
            failures.append(error)
    _show(runner, named, seconds)
    if failures:
        raise failures[0]
    if interrupts:
        return _EXIT_INTERRUPTED
    return 0 if all(outcome.is_good for outcome in runner.outcomes) else 1


def _targets(jobs: Sequence[Job], kernels: Kernels) -> list[Target]:
    """Return the kernels that will run something. Raises SettingInvalid: one is not there."""
    targets: dict[str, Target] = {}
    for job in jobs:
        # Said when its turn comes: the others need not wait for it.
        with contextlib.suppress(NotebookInvalid, KernelInvalid):
            target = kernels.target_of(read_notebook(job.source))
            targets[target.name] = target
    return list(targets.values())


def _on_interrupt(runner: Runner, progress: Progress, received: list[int]) -> None:
    """Let signals stop the batch, each one sooner, and note them in `received`."""
    task = asyncio.current_task()
    assert task is not None  # noqa: S101 - this is called by one

    def stop(number: int) -> None:
        received.append(number)
        if not runner.is_running:
            task.cancel()  # nothing has started, or nothing is left but to clean up
        elif len(received) == 1:
            progress.tell("Stopping: running cells are interrupted. Ctrl-C again stops at once.")
            runner.stop()
        else:
            runner.stop_at_once()

    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, *END_SIGNALS):
        on_signal(loop, number, stop, number)


def _by_all_names(jobs: Sequence[Job], outcomes: Sequence[Outcome]) -> list[Outcome]:
    """Return the outcomes, of a file that was given by two names under each of them."""
    return [
        replace(outcome, name=name)
        for job, outcome in zip(jobs, outcomes, strict=True)
        for name in (job.name, *job.other_names)
    ]


def _show(runner: Runner, named: Sequence[Outcome], seconds: float) -> None:
    """Print the end, if anybody reads it: it changes nothing about the notebooks."""
    with contextlib.suppress(OSError):
        print_problems(sys.stdout, named)
        lines = [totals(runner.outcomes, seconds)]
        if runner.is_stopped:
            lines.append("With --resume, it goes on with what is not done.")
        sys.stdout.write("\n".join([*lines, ""]))
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:
            # Else Python fails when it flushes at its end. Source: the documentation of signal.
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
