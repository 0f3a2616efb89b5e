"""Checks one after the other, what they hand on, and what follows from a failed one."""

from __future__ import annotations

import contextlib
import time
import traceback
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import PurePath
from typing import TYPE_CHECKING, Any

from ...errors import AcaKernelError
from ...settings import AcaKernel
from .report import CheckOutcome, Finding, Report, failure

if TYPE_CHECKING:
    from ...environment.environment import Environment
    from ...pool.azure.arm import Arm
    from ...pool.azure.credentials import Tokens
    from ...pool.azure.resource_names import PoolId
    from ...pool.azure.shapes import SessionPool
    from ...pool.backend import Backend
    from ...pool.mcp_client import McpClient
    from ..pool.common import ProgressLine


class Skipped(Exception):
    """A check cannot be tried; the text says why."""


@dataclass
class Found:
    """What the checks have found so far, for those that follow.

    given: settings of the command line. kernel: name of the kernelspec, and whether it was
    asked for. stack: closes what was opened. address: what the pool is reached at.
    reach_url: what cells should be able to reach.
    """

    given: dict[str, Any]
    kernel: str
    is_kernel_asked_for: bool
    reach_url: str
    stack: contextlib.AsyncExitStack
    kernel_arguments: list[str] = field(default_factory=list)
    settings: AcaKernel | None = None
    sources: dict[str, str] = field(default_factory=dict)
    tokens: Tokens | None = None
    arm: Arm | None = None
    pool_id: PoolId | None = None
    pool: SessionPool | AcaKernelError | None = None
    key: str | AcaKernelError = field(default="", repr=False)
    address: str = ""
    backend: Backend | None = None
    client: McpClient | None = None
    environment: Environment | None = None
    look: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Step:
    """One check. is_needed: without it, those that follow cannot be tried."""

    name: str
    check: Callable[[Found], Awaitable[CheckOutcome]]
    is_needed: bool = True


class Course:
    """Runs checks, of which none ends the others by an exception."""

    def __init__(self, found: Found, report: Report, progress: ProgressLine | None) -> None:
        self._found = found
        self._report = report
        self._progress = progress
        self._blocked = ""

    @property
    def is_blocked(self) -> bool:
        """Whether a check that the others need did not succeed."""
        return bool(self._blocked)

    async def run(self, steps: list[Step]) -> None:
        """Run each check, or say why it cannot be tried."""
        for step in steps:
            if self._blocked:
                self._report.add(Finding(step.name, "skipped", self._blocked, "", 0.0))
                continue
            started = time.monotonic()
            if self._progress is not None:
                self._progress(step.name, 0.0)
            outcome = await self._outcome(step)
            if self._progress is not None:
                self._progress.clear()
            seconds = round(time.monotonic() - started, 3)
            self._report.add(
                Finding(step.name, outcome.status, outcome.detail, outcome.remedy, seconds)
            )
            if step.is_needed and outcome.status in ("failed", "skipped"):
                self._blocked = f"because {step.name} {_PAST[outcome.status]}"

    async def _outcome(self, step: Step) -> CheckOutcome:
        try:
            return await step.check(self._found)
        except Skipped as reason:
            return CheckOutcome(str(reason), status="skipped")
        except AcaKernelError as error:
            return failure(error)
        except Exception as error:  # noqa: BLE001 - the other checks are still worth having
            # Where it was, and no text: that may hold anything.
            place = traceback.extract_tb(error.__traceback__)[-1]
            return CheckOutcome(
                f"This check itself failed: {type(error).__name__} in "
                f"{PurePath(place.filename).name}, line {place.lineno}.",
                "Please report it with this line.",
                "failed",
            )


_PAST = {"failed": "failed", "skipped": "was skipped"}
