"""Asynchronous operations of Resource Manager, followed to their end.

A PUT or DELETE is answered before it is done. The answer gives an address to poll:
Azure-AsyncOperation, whose body has a status, or Location, which answers 202 until the end.
Source: Azure Resource Manager, "Track asynchronous Azure operations".
"""

from __future__ import annotations

import time
from typing import Any

from ...errors import AzureRefused, PoolBusy
from .arm import Arm, ArmAnswer, retry_after
from .refusals import refusal_by_code, shortened
from .shapes import SUCCEEDED, error_from, is_failure, state_of

# Without a Retry-After, which is mostly 15 s.
_FIRST_POLL_SECONDS = 1.0
_LONGEST_POLL_SECONDS = 10.0
# A Retry-After of minutes would leave a finished operation unseen.
_LONGEST_RETRY_AFTER_SECONDS = 60.0


class Wait:
    """Polling of an operation on one resource.

    what: for the progress and the errors, e.g. "Creating the session pool west".
    path: of the resource.
    Every method raises PoolBusy: it goes on after the timeout; AzureRefused and its like: it
    failed; and the errors of Arm.request.
    """

    def __init__(self, arm: Arm, what: str, path: str) -> None:
        self._arm = arm
        self._what = what
        self._path = path
        self._timeout_seconds = arm.operation_timeout_seconds

    async def request(
        self, method: str, api_version: str, body: dict[str, Any] | None = None
    ) -> None:
        """Send a request about the resource, and wait until the operation is done."""
        self._arm.tell(self._what)
        answer = await self._arm.request(method, self._path, api_version, body)
        watched = answer.headers.get("azure-asyncoperation")
        location = answer.headers.get("location")
        if not watched and not (answer.status == 202 and location):
            return
        started, pause = time.monotonic(), _FIRST_POLL_SECONDS
        while True:
            await self._pause(answer, pause, started)
            pause = min(pause * 1.5, _LONGEST_POLL_SECONDS)
            answer = await self._arm.follow(str(watched or location))
            # The body at Location is the operation's result, which has no state.
            state = state_of(answer.body) if watched else ""
            self._check(state, answer.body)
            if state == SUCCEEDED or (not state and answer.status != 202):
                return

    async def settled(self, api_version: str) -> dict[str, Any]:
        """Return the resource when its provisioningState is final."""
        started, pause = time.monotonic(), _FIRST_POLL_SECONDS
        while True:
            answer = await self._arm.request("GET", self._path, api_version)
            state = state_of(answer.body)
            self._check(state, answer.body)
            if state in ("", SUCCEEDED):
                return answer.body
            await self._pause(answer, pause, started)
            pause = min(pause * 1.5, _LONGEST_POLL_SECONDS)

    async def _pause(self, answer: ArmAnswer, pause: float, started: float) -> None:
        """Wait for the next poll, with progress each second."""
        wanted = retry_after(answer.headers)
        if wanted is not None:
            pause = min(wanted, _LONGEST_RETRY_AFTER_SECONDS)
        left = started + self._timeout_seconds - time.monotonic()
        await self._arm.tell_for(min(pause, left), self._what, started)
        if time.monotonic() - started >= self._timeout_seconds:
            raise PoolBusy(
                f"{self._what}: Azure is still at it after {self._timeout_seconds:.0f} s, and goes "
                "on by itself. Look at it later with `aca-kernel pool show`."
            )

    def _check(self, state: str, body: dict[str, Any]) -> None:
        if is_failure(state):
            code, message = error_from(body)
            detail = f"{state} {code}"
            raise refusal_by_code(code, message, self._path, detail) or AzureRefused(
                f"{self._what} failed in Azure{f' ({code})' if code else ''}: {shortened(message)}",
                detail=detail,
            )
