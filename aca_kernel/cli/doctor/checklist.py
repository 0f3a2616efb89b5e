"""A run of checks: what one hands on to the next, and the consequence of a failed one."""

from __future__ import annotations

import contextlib
import time
import traceback
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import PurePath
from typing import Any

from ...environment.environment import Environment
from ...errors import AcaKernelError
from ...pool.azure.arm import Arm
from ...pool.azure.resource_names import PoolId
from ...pool.azure.shapes import SessionPool
from ...pool.backend import Backend
from ...pool.mcp_client import McpClient
from ...settings import AcaKernel
from ..pool.common import ProgressLine
from .report import CheckOutcome, Report, failed, failure


class Skipped(Exception):
    """A check cannot be tried; the text says why."""


@dataclass
class Found:
    """Results of the checks so far.

    Those without a default are set by checks that the others need.
    given: settings of the command line. kernel: name of the kernelspec, and whether it was
    asked for. stack: closes connections. address: the pool's MCP endpoint.
    reach_url: an address that cells should be able to reach.
    """

    given: dict[str, Any]
    kernel: str
    is_kernel_asked_for: bool
    reach_url: str
    stack: contextlib.AsyncExitStack
    kernel_arguments: list[str] = field(default_factory=list)
    settings: AcaKernel = field(init=False)
    sources: dict[str, str] = field(init=False)
    arm: Arm = field(init=False)
    pool_id: PoolId = field(init=False)
    pool: SessionPool | AcaKernelError | None = None
    key: str | AcaKernelError = field(default="", repr=False)
    address: str = ""
    backend: Backend = field(init=False)
    client: McpClient = field(init=False)
    environment: Environment = field(init=False)
    look: dict[str, Any] = field(init=False)


@dataclass(frozen=True)
class Step:
    """One check. is_needed: without it, those that follow cannot be tried."""

    name: str
    check: Callable[[Found], Awaitable[CheckOutcome]]
    is_needed: bool = True


class Course:
    """Runs checks. An exception in one does not end the others.

    blocked: why nothing more can be tried, once a needed check has failed or was skipped.
    """

    def __init__(self, found: Found, report: Report, progress: ProgressLine | None) -> None:
        self._found = found
        self._report = report
        self._progress = progress
        self.blocked = ""

    async def run(self, steps: list[Step]) -> None:
        """Run each check, or say why it cannot be tried."""
        for step in steps:
            if self.blocked:
                self._report.add(step.name, CheckOutcome(self.blocked, status="skipped"), 0.0)
                continue
            started = time.monotonic()
            if self._progress is not None:
                self._progress(step.name, 0.0)
            outcome = await self._outcome(step)
            if self._progress is not None:
                self._progress.clear()
            self._report.add(step.name, outcome, time.monotonic() - started)
            if step.is_needed and outcome.status in ("failed", "skipped"):
                self.blocked = f"because {step.name} {_PAST[outcome.status]}"

    async def _outcome(self, step: Step) -> CheckOutcome:
        try:
            return await step.check(self._found)
        except Skipped as reason:
            return CheckOutcome(str(reason), status="skipped")
        except AcaKernelError as error:
            return failure(error)
        except Exception as error:  # noqa: BLE001 - the other checks are still worth having
            # Its place, without its text, which may hold anything.
            place = traceback.extract_tb(error.__traceback__)[-1]
            return failed(
                f"This check itself failed: {type(error).__name__} in "
                f"{PurePath(place.filename).name}, line {place.lineno}.",
                "Please report it with this line.",
            )


_PAST = {"failed": "failed", "skipped": "was skipped"}
