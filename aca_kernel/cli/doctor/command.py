"""`aca-kernel doctor`: check, step by step, what a kernel start would do."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import sys
from typing import Any

from ...pool.transport.contract import web_address
from ..configuration import add_pool_options, given_options
from ..kernelspec import DEFAULT_NAME
from ..pool.common import ProgressLine
from . import check_azure, check_environment, check_machine, check_network, check_pool
from .checklist import Course, Found, Step
from .report import Report

# A page of the service's vendor, to whom a pool in Azure is known anyway. `--reach` names another
# place, for instance the package index that `%pip install` uses.
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
        help="what cells should be able to reach, to check egress (default: %(default)s)",
    )
    add_pool_options(parser)


def _web_address(given: str) -> str:
    if web_address(given) is None:
        raise argparse.ArgumentTypeError(f"it is not a web address, like {DEFAULT_REACH}")
    return given


def run(namespace: argparse.Namespace) -> int:
    """Run all checks; return 1 if one has failed. Raises SettingInvalid: bad usage."""
    given = given_options(namespace)
    report = Report(sys.stdout, is_json=namespace.json)
    asyncio.run(_examine(namespace, given, report))
    report.close()
    return 1 if report.count("failed") else 0


async def _examine(namespace: argparse.Namespace, given: dict[str, Any], report: Report) -> None:
    async with contextlib.AsyncExitStack() as stack:
        found = Found(
            given=given,
            kernel=namespace.kernel or DEFAULT_NAME,
            is_kernel_asked_for=namespace.kernel is not None,
            reach_url=namespace.reach,
            stack=stack,
        )
        course = Course(found, report, _progress(stack, is_json=namespace.json))
        await course.run(check_machine.steps(found))
        await course.run(_steps_of_place(found) if not course.is_blocked else [])
        await course.run([*check_pool.steps(), *check_environment.steps()])


def _progress(stack: contextlib.AsyncExitStack, *, is_json: bool) -> ProgressLine | None:
    """Return what tells a person at a terminal which check is at work."""
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
