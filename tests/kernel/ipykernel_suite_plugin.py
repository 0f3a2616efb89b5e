"""pytest plugin for ipykernel's own tests: points them at a kernel and writes down how they went.

test_ipykernel_suite.py copies it next to the unpacked tests and loads it there, in a
pytest of its own. Environment variables: SUITE_KERNEL, the kernelspec; SUITE_RESULTS,
the JSON file to write: {test id: [outcome, why]}.
"""

from __future__ import annotations

import functools
import json
import os
import sys
import types
from typing import Any

import pytest
from jupyter_client import manager

# Worst first: a test whose fixture fails after it has passed is an error.
_RANK = ("error", "failed", "skipped", "passed")

_results: dict[str, list[str]] = {}

# The tests name no kernel. All of them start theirs through this function, looked up in
# its module, so that a default is all it takes.
_start = functools.partial(manager.start_new_kernel, kernel_name=os.environ["SUITE_KERNEL"])


def _start_and_read(*arguments: Any, **options: Any) -> tuple[Any, Any]:
    """Start a kernel; leave no answer to the questions of `wait_for_ready`.

    It asks a slow one several times, and the tests take what is left for an answer of theirs.
    """
    started, client = _start(*arguments, **options)
    msg_id = client.kernel_info()
    while client.get_shell_msg(timeout=60)["parent_header"].get("msg_id") != msg_id:
        pass
    while True:
        message = client.get_iopub_msg(timeout=60)
        is_its = message["parent_header"].get("msg_id") == msg_id
        if is_its and message["content"].get("execution_state") == "idle":
            return started, client


manager.start_new_kernel = _start_and_read

# Their conftest.py declares in-process fixtures with this plug-in, which no test that
# goes through a client uses. Installing it would change every other run of pytest here.
sys.modules.setdefault("pytest_asyncio", types.SimpleNamespace(fixture=pytest.fixture))


def pytest_addoption(parser: pytest.Parser) -> None:
    try:
        parser.addoption("--cov", help="pytest-cov's; the tests ask whether it is given")
    except ValueError:  # pytest-cov is installed
        return


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    outcome = report.outcome
    if outcome == "failed" and report.when != "call":
        outcome = "error"
    if report.when != "call" and outcome == "passed":
        return
    known = _results.get(report.nodeid)
    if known is None or _RANK.index(outcome) < _RANK.index(known[0]):
        _results[report.nodeid] = [outcome, report.longreprtext[-2000:]]


def pytest_sessionfinish() -> None:
    with open(os.environ["SUITE_RESULTS"], "w", encoding="utf-8") as file:
        json.dump(_results, file)
