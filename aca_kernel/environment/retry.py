"""Calls repeated through what passes by itself: a full pool, a lost line, a key in rotation.

Who repeats a call knows that it may run twice; nothing is repeated that could run a user's code
twice.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from typing import NamedTuple, TypeVar

from ..errors import (
    AcaKernelError,
    AccessDenied,
    KeyPending,
    PoolBusy,
    PoolUnreachable,
    ResultUnknown,
    WaitInterrupted,
)
from ..messaging.inbox import Inbox, Noticed
from ..pool.mcp_errors import POOL_FULL
from ..settings import AcaKernel
from .handover import Claim
from .waiting_line import WaitingLine

T = TypeVar("T")

# The first repetition comes at once, since most losses are a closed idle connection.
_FIRST_PAUSE_SECONDS = 0.02
_LONGEST_PAUSE_SECONDS = 5.0

# Contact with a pool that never answered before is given up sooner: more likely the
# endpoint is wrong than the network down.
_FIRST_CONTACT_SECONDS = 5.0

# How often who waits looks whether it is its turn, or what others have left; no call is made.
_TURN_SECONDS = 0.5

# Beyond this, what keeps the user waiting is told.
QUIET_SECONDS = 3.0


class PoolWaits(NamedTuple):
    """The pool keeps the user waiting, for so long already."""

    now: float
    error: AcaKernelError
    waited_seconds: float


class CallRepeated(NamedTuple):
    """A call to the pool has failed, and is made again."""

    now: float
    error: AcaKernelError


CallEvent = PoolWaits | CallRepeated | Noticed


class EnvironmentLeft(Exception):
    """While a place in the pool was waited for, another kernel has left its environment.

    claim: on that one; who gets this uses or releases it.
    """

    def __init__(self, claim: Claim) -> None:
        super().__init__(claim.environment_id)
        self.claim = claim


async def persist(
    call: Callable[[], Awaitable[T]],
    settings: AcaKernel,
    inbox: Inbox[PoolWaits],
    *,
    is_first_contact: bool = False,
    line: WaitingLine | None = None,
    is_stopped: Callable[[], bool] = lambda: False,
) -> T:
    """Repeat an idempotent call through what passes by itself, with growing pauses.

    is_first_contact: with a pool that has not answered yet.
    line: of a call that needs a place in the pool: it is made in turn with other kernels'.
    inbox: told whenever it waits, from the moment the wait is no longer short.
    is_stopped: asked while it waits, at least each half second.
    Raises EnvironmentLeft: there is another way to a place; the line is not left.
    Raises WaitInterrupted: it is stopped.
    Raises the last error when its time is over, and any other error at once; AccessDenied
    when a key has been refused for longer than a rotation takes.
    """
    started = time.monotonic()
    if line is not None and line.joined is not None:
        started = line.joined
    reconnect_seconds = settings.reconnect_timeout_seconds
    if is_first_contact:
        reconnect_seconds = min(_FIRST_CONTACT_SECONDS, reconnect_seconds)
    limits = {
        PoolBusy: settings.pool_full_timeout_seconds,
        KeyPending: settings.key_rotation_timeout_seconds,
    }
    pause = _FIRST_PAUSE_SECONDS
    while True:
        await _wait_for_turn(line, inbox, started, settings.pool_full_timeout_seconds)
        try:
            return await call()
        except (PoolBusy, PoolUnreachable, ResultUnknown, KeyPending) as error:
            waited = time.monotonic() - started
            limit = limits.get(type(error), reconnect_seconds)
            if waited >= limit:
                if isinstance(error, KeyPending):
                    raise AccessDenied(
                        "The session pool has refused the API key that Azure gives for it for "
                        f"{waited:.0f} s, longer than it may after a rotation. Run "
                        "`aca-kernel pool rotate-key`, wait five minutes, then run the cell again."
                    ) from error
                raise
            if waited >= QUIET_SECONDS or isinstance(error, (PoolBusy, KeyPending)):
                inbox.put_nowait(PoolWaits(time.monotonic(), error, waited))
            wanted = getattr(error, "retry_after_seconds", None)
            wait = pause * random.uniform(0.75, 1.25) if wanted is None else wanted  # noqa: S311
            if isinstance(error, PoolBusy):
                wait = max(wait, 0.5)
                if line is not None:
                    line.join()
            await _sleep(min(wait, max(0.0, limit - waited) + 0.01), line, is_stopped)
            pause = min(pause * 2, _LONGEST_PAUSE_SECONDS)


async def _wait_for_turn(
    line: WaitingLine | None, inbox: Inbox[PoolWaits], started: float, busy_seconds: float
) -> None:
    """Wait until nobody is ahead in the line. Raises PoolBusy: it takes too long."""
    while line is not None and not line.is_first():
        # Who comes when others wait goes behind them.
        line.join()
        error = PoolBusy(POOL_FULL)
        waited = time.monotonic() - started
        if waited >= busy_seconds:
            raise error
        inbox.put_nowait(PoolWaits(time.monotonic(), error, waited))
        await asyncio.sleep(_TURN_SECONDS)


async def _sleep(seconds: float, line: WaitingLine | None, is_stopped: Callable[[], bool]) -> None:
    """Sleep, unless what is waited for comes meanwhile by another way: then EnvironmentLeft."""
    end = time.monotonic() + seconds
    while (left := end - time.monotonic()) > 0:
        if is_stopped():
            raise WaitInterrupted("Interrupted while waiting for the session pool. Nothing ran.")
        if line is not None and line.joined is not None and line.is_first():
            for claim in line.left():
                raise EnvironmentLeft(claim)
        await asyncio.sleep(min(left, _TURN_SECONDS))
