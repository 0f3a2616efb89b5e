"""`aca-kernel run`: many notebooks, several at a time."""

from __future__ import annotations

import asyncio
import contextlib
import io
import math
import os
import signal
import sys
import time
from contextlib import AsyncExitStack
from datetime import datetime, timezone
from typing import TYPE_CHECKING

from ..errors import SettingInvalid

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from ..batch.finding import Job
    from ..batch.kernels import Kernels, Target
    from ..batch.notebook import Options
    from ..batch.progress import Progress
    from ..batch.runner import Runner

# The shell's word for the status of a program that Ctrl-C ended.
_EXIT_INTERRUPTED = 130


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of `aca-kernel run`."""
    add = parser.add_argument
    add("notebooks", nargs="+", metavar="NOTEBOOK", help="notebooks, folders of them, or patterns")
    where = parser.add_mutually_exclusive_group()
    where.add_argument(
        "--output-dir",
        metavar="DIR",
        help="write the notebooks with their outputs below this folder, as they lie below the "
        "current one",
    )
    where.add_argument(
        "--inplace", action="store_true", help="write the outputs into the notebooks"
    )
    add(
        "--jobs",
        "-j",
        type=int,
        metavar="N",
        help="notebooks at a time (default: the pool's size, 5 if only its endpoint is known; "
        "the processors of this machine if cells run here)",
    )
    add("--kernel", metavar="NAME", help="kernel for all (default: a notebook's own, else aca)")
    add("--timeout", type=float, metavar="SECONDS", help="limit of each cell (default: none)")
    add(
        "-p",
        dest="parameters",
        action="append",
        nargs=2,
        default=[],
        metavar=("NAME", "VALUE"),
        help="a value to inject, by papermill's convention; repeatable",
    )
    add(
        "--parameters",
        dest="parameters_file",
        metavar="FILE",
        help="values to inject, in YAML or JSON; -p counts more",
    )
    add("--allow-errors", action="store_true", help="go on in a notebook behind a failed cell")
    add("--fail-fast", action="store_true", help="stop everything when a notebook has failed")
    add(
        "--resume",
        action="store_true",
        help="skip what an earlier run has done, unless notebook or parameters have changed",
    )
    add(
        "--retries",
        type=int,
        default=3,
        metavar="N",
        help="how often a notebook begins anew if its environment ends under it, which is no "
        "failure of its code (default: %(default)s)",
    )
    add(
        "--report",
        action="append",
        default=[],
        metavar="FILE",
        help="write a report: name.json, or name.xml for JUnit; repeatable",
    )


def run(namespace: argparse.Namespace) -> int:
    """Run notebooks; 0: all done, 1: not all, 130: stopped by Ctrl-C."""
    # Importing nbclient takes longer than everything that can be refused at once.
    from ..batch.finding import find_jobs, make_folders
    from ..batch.parameters import read_parameters
    from ..batch.reports import check_report

    _mend_streams()
    _check(namespace)
    for path in namespace.report:
        check_report(path)
    jobs = find_jobs(namespace.notebooks, namespace.output_dir)
    parameters = read_parameters(namespace.parameters_file, namespace.parameters)
    from ..batch.kernels import Kernels
    from ..batch.notebook import Options

    kernels = Kernels(namespace.kernel)
    if namespace.kernel is not None:
        kernels.target(namespace.kernel)
    make_folders(jobs)
    options = Options(
        timeout_seconds=namespace.timeout,
        allow_errors=namespace.allow_errors,
        resume=namespace.resume,
        retries=namespace.retries,
        parameters=parameters,
    )
    try:
        return asyncio.run(_run(namespace, jobs, kernels, options))
    except asyncio.CancelledError:
        return _EXIT_INTERRUPTED


def _mend_streams() -> None:
    """See to it that what is said can be written, or goes nowhere: notebooks run all the same."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            # Closed by who started this: else a file of ours would get the number.
            os.open(os.devnull, os.O_RDWR)
    if sys.stderr is None:
        sys.stderr = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115 - until the end
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")


def _check(namespace: argparse.Namespace) -> None:
    if not namespace.inplace and namespace.output_dir is None:
        raise SettingInvalid(
            "Where should the outputs go? Give --output-dir DIR, or --inplace to write them into "
            "the notebooks."
        )
    if namespace.output_dir == "":
        raise SettingInvalid("The name of --output-dir is empty: give a folder, or . for this one.")
    if namespace.jobs is not None and namespace.jobs < 1:
        raise SettingInvalid("--jobs must be 1 or more.")
    if namespace.timeout is not None and not namespace.timeout > 0:
        raise SettingInvalid("--timeout must be more than 0 seconds; leave it out for no limit.")
    if namespace.timeout == math.inf:
        namespace.timeout = None
    if namespace.retries < 0:
        raise SettingInvalid("--retries must be 0 or more.")


async def _run(
    namespace: argparse.Namespace, jobs: Sequence[Job], kernels: Kernels, options: Options
) -> int:
    from ..batch.progress import Progress
    from ..batch.reports import Batch, write_report
    from ..batch.runner import Runner
    from ..batch.shared_pool import local_pool

    started, clock = datetime.now(timezone.utc), time.monotonic()
    async with AsyncExitStack() as stack:
        progress = await stack.enter_async_context(Progress(sys.stderr, len(jobs)))
        runner = Runner(jobs, options, kernels, progress, fail_fast=namespace.fail_fast)
        interrupts = _on_interrupt(runner, progress)
        targets = _targets(jobs, kernels)
        parallel = namespace.jobs or max([await target.size() for target in targets], default=1)
        parallel = min(parallel, len(jobs))
        for target in targets:
            if target.is_embedded:
                pool = local_pool(target, parallel, progress.tell)
                await stack.enter_async_context(pool)
        await runner.run(parallel)
    outcomes = runner.outcomes
    batch = Batch(
        started.isoformat(timespec="seconds"),
        time.monotonic() - clock,
        parallel,
        runner.is_stopped,
    )
    # First, because who reads what is shown may have gone.
    failures = []
    for path in namespace.report:
        try:
            write_report(path, batch, outcomes)
        except SettingInvalid as error:
            failures.append(error)
    _show(runner, batch.seconds)
    if failures:
        raise failures[0]
    if interrupts:
        return _EXIT_INTERRUPTED
    return 0 if all(outcome.is_good for outcome in outcomes) else 1


def _targets(jobs: Sequence[Job], kernels: Kernels) -> list[Target]:
    """Return the kernels that will run something. Raises SettingInvalid: one is not there."""
    from ..batch.kernels import KernelInvalid
    from ..batch.notebook_io import NotebookInvalid, read_notebook

    targets: dict[str, Target] = {}
    for job in jobs:
        try:
            target = kernels.target_of(read_notebook(job.source))
        except (NotebookInvalid, KernelInvalid):
            continue  # said when its turn comes: the others need not wait for it
        targets[target.name] = target
    return list(targets.values())


def _on_interrupt(runner: Runner, progress: Progress) -> list[int]:
    """Let signals stop the batch, each one sooner; return the list that they are noted in."""
    task = asyncio.current_task()
    assert task is not None  # noqa: S101 - this is called by one
    received: list[int] = []

    def stop(number: int) -> None:
        received.append(number)
        if not runner.is_running:
            task.cancel()  # nothing has begun, or nothing is left but to clean up
        elif len(received) == 1:
            progress.tell("Stopping: running cells are interrupted. Ctrl-C again stops at once.")
            runner.stop()
        else:
            runner.stop_at_once()

    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, stop, number)
    return received


def _show(runner: Runner, seconds: float) -> None:
    """Print how it ended, if anybody reads that: it changes nothing about the notebooks."""
    with contextlib.suppress(OSError):
        _print(runner, seconds)
    for stream in (sys.stdout, sys.stderr):
        try:
            if stream is not None:
                stream.flush()
        except OSError:
            # Python would flush at its end, and fail at that. Source: the documentation of signal.
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def _print(runner: Runner, seconds: float) -> None:
    from ..batch.summary import print_problems, totals

    print_problems(sys.stdout, runner.outcomes)
    print(totals(runner.outcomes, seconds), flush=True)
    if runner.is_stopped:
        print("With --resume, it goes on with what is not done.", flush=True)
