"""`aca-kernel run`: many notebooks, several at a time."""

from __future__ import annotations

import argparse
import math
import os
import sys

from ..errors import SettingInvalid
from ..system import run_loop


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
        help="values to inject, in YAML or JSON; -p takes precedence",
    )
    add(
        "--allow-errors",
        action="store_true",
        help="continue after a failed cell, and report the notebook as done",
    )
    add("--fail-fast", action="store_true", help="stop everything when a notebook has failed")
    add(
        "--resume",
        action="store_true",
        help="skip notebooks that an earlier run has done, unless they or the parameters have "
        "changed",
    )
    add(
        "--retries",
        type=int,
        default=3,
        metavar="N",
        help="how often to restart a notebook whose environment was lost (default: %(default)s)",
    )
    add(
        "--report",
        action="append",
        default=[],
        metavar="FILE",
        help="write a report: name.json, name.xml for JUnit, name.html for a page; repeatable",
    )
    add(
        "--kernel-processes",
        action="store_true",
        help="start a process for each kernel; without it, aca kernels run in this one",
    )
    add(
        "--shard",
        metavar="I/N",
        help="run the I-th of N parts of the notebooks, for machines that share them",
    )


def run(namespace: argparse.Namespace) -> int:
    """Run notebooks; 0: all done, 1: not all, 130: stopped by Ctrl-C."""
    # Importing nbclient takes longer than everything that can be refused at once.
    from ..batch.finding import find_jobs, make_folders
    from ..batch.parameters import read_parameters
    from ..batch.reports import check_report, make_folder_of
    from ..batch.shards import Shard

    _mend_streams()
    _check(namespace)
    for path in namespace.report:
        check_report(path)
    shard = None if namespace.shard is None else Shard.parse(namespace.shard)
    jobs = find_jobs(namespace.notebooks, namespace.output_dir)
    if shard is not None:
        jobs = shard.of(jobs)
    parameters = read_parameters(namespace.parameters_file, namespace.parameters)
    from ..batch.quick_import import import_nbformat

    import_nbformat()
    from ..batch.kernels import Kernels
    from ..batch.notebook import Options
    from ..batch.whole_run import run_batch

    kernels = Kernels(namespace.kernel, in_process=not namespace.kernel_processes)
    if namespace.kernel is not None:
        kernels.target(namespace.kernel)
    make_folders(jobs)
    for path in namespace.report:
        make_folder_of(path)
    options = Options(
        timeout_seconds=namespace.timeout,
        allow_errors=namespace.allow_errors,
        resume=namespace.resume,
        retries=namespace.retries,
        parameters=parameters,
    )
    return run_loop(
        run_batch(
            jobs,
            options,
            kernels,
            parallel=namespace.jobs,
            fail_fast=namespace.fail_fast,
            reports=namespace.report,
            shard=shard,
        )
    )


def _mend_streams() -> None:
    """Make every stream writable, to nowhere if need be: notebooks run all the same."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            # Closed by the parent: else a file of ours would get the number.
            os.open(os.devnull, os.O_RDWR)
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115 - to the end


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
