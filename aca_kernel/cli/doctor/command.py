"""`aca-kernel doctor`: check the steps of a kernel start."""

from __future__ import annotations

import argparse
import contextlib
import sys

from ...pool.transport.contract import web_address
from ..configuration import add_pool_options, given_options
from ..kernelspec import DEFAULT_NAME
from ..pool.common import ProgressLine
from . import check_azure, check_environment, check_machine, check_network, check_pool
from .checklist import Course, Found, Step
from .report import Report

# A page of the service's vendor. `--reach` names another place, e.g. the package index of
# `%pip install`.
DEFAULT_REACH = "https://www.microsoft.com/"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of `aca-kernel doctor`."""
    parser.description = (
        "Check, step by step, what a kernel start would do: settings, network, login, pool, and "
        "what an environment of it offers. At most one environment is launched; it takes one of "
        "the pool's places until its cooldown is over. Exit status: 0 if a notebook can run, "
        "with or without warnings; 1 if a check failed; 2 for bad usage."
    )
    parser.add_argument(
        "--kernel",
        metavar="NAME",
        help=f"look at this kernelspec and its settings (default: {DEFAULT_NAME})",
    )
    parser.add_argument("--json", action="store_true", help="print a list of JSON objects")
    parser.add_argument(
        "--reach",
        type=_web_address,
        default=DEFAULT_REACH,
        metavar="URL",
        help="address that cells should be able to reach, to check egress (default: %(default)s)",
    )
    add_pool_options(parser)


def _web_address(given: str) -> str:
    if web_address(given) is None:
        raise argparse.ArgumentTypeError(f"it is not a web address, like {DEFAULT_REACH}")
    return given


async def run(namespace: argparse.Namespace) -> int:
    """Run all checks; return 1 if one has failed. Raises SettingInvalid: bad usage."""
    report = Report(sys.stdout, is_json=namespace.json)
    async with contextlib.AsyncExitStack() as stack:
        found = Found(
            given=given_options(namespace),
            kernel=namespace.kernel or DEFAULT_NAME,
            is_kernel_asked_for=namespace.kernel is not None,
            reach_url=namespace.reach,
            stack=stack,
        )
        course = Course(found, report, _progress(stack, is_json=namespace.json))
        await course.run(check_machine.steps(found))
        await course.run(_steps_of_place(found) if not course.blocked else [])
        await course.run([*check_pool.steps(), *check_environment.steps()])
    report.close()
    return 1 if report.count("failed") else 0


def _progress(stack: contextlib.AsyncExitStack, *, is_json: bool) -> ProgressLine | None:
    """Return a line that shows the present check on a terminal."""
    if is_json or not (sys.stderr.isatty() and sys.stdout.isatty()):
        return None
    progress = ProgressLine(sys.stderr)
    stack.callback(progress.clear)
    return progress


def _steps_of_place(found: Found) -> list[Step]:
    """Return the checks between the settings and the MCP server."""
    settings = found.settings
    if settings.place == "embedded":
        return check_pool.steps_to_embedded()
    if settings.place == "endpoint":
        found.address = settings.endpoint
        return [
            *check_network.steps("pool", lambda one: one.address),
            *check_pool.steps_to_endpoint(),
        ]
    return [
        *check_network.steps("azure", lambda one: one.settings.arm_endpoint),
        *check_azure.steps(),
        *check_network.steps("pool", lambda one: one.address),
    ]
