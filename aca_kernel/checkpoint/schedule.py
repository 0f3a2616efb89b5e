"""When checkpoints are taken, and environments kept alive: by the clock of the last call.

A checkpoint before the end of the cooldown is a call, so it prolongs the environment's life, by
one cooldown. It does so once: nothing is taken again before another cell has run.
"""

from __future__ import annotations

import asyncio
import logging
import math
import time
from typing import NamedTuple

from ..environment.environment import Environment
from ..errors import AcaKernelError, CheckpointSuperseded, EnvironmentGone
from ..messaging.inbox import Inbox
from ..settings import AcaKernel
from .checkpoints import Checkpoints

# A kept environment is called when so much of its cooldown has passed.
_KEEP_SHARE = 0.5


class Poked(NamedTuple):
    """The environment is to be called, so that it lives on."""

    now: float


class CheckpointMissed(NamedTuple):
    """A checkpoint could not be taken. problem: a sentence that says why."""

    now: float
    problem: str


class Schedule:
    """Does what is due for one kernel, between cells."""

    def __init__(
        self,
        settings: AcaKernel,
        checkpoints: Checkpoints,
        inbox: Inbox[Poked | CheckpointMissed],
        log: logging.Logger,
    ) -> None:
        self._settings = settings
        self._checkpoints = checkpoints
        self._inbox = inbox
        self._log = log
        self._changed = asyncio.Event()
        # Until then `run` waits for a change; what happens later needs none.
        self._waits_until = math.inf
        self._environment: Environment | None = None
        self._is_due_now = False
        self._is_idle = True
        # How many cells have run, ever, and had when a checkpoint failed: it is not tried again
        # for the same ones.
        self._cells = 0
        self._failed_after = 0
        # Until then the environment is kept; None: as the setting says.
        self._keep_until: float | None = None
        self._last_cell = time.monotonic()

    # -- what happens --------------------------------------------------------------

    def begin(self, environment: Environment) -> None:
        """There is an environment, with a remote kernel in it."""
        self._environment = environment
        self._changed.set()

    def end(self) -> None:
        """There is none any more."""
        self._environment = None
        self._is_due_now = False
        self._changed.set()

    def set_idle(self, *, is_idle: bool) -> None:
        """Take note whether cells wait or run: what is due then is done when they have ended."""
        self._is_idle = is_idle
        self._look()

    def ran_cell(self, seconds: float) -> None:
        """A cell has ended, after so many seconds."""
        self._checkpoints.ran_cell()
        self._cells += 1
        self._last_cell = time.monotonic()
        limit = self._settings.checkpoint_after_seconds
        if limit and seconds > limit and self._settings.checkpoint != "off":
            self._is_due_now = True
        self._look()

    def _look(self) -> None:
        """Have `run` go on if something is due earlier than it waits for."""
        left = 0.0 if self._is_due_now and self._is_wanted() else self._seconds_left()
        if left is not None and time.monotonic() + left < self._waits_until:
            self._changed.set()

    def keep(self, seconds: int) -> None:
        """Keep the environment for so long, from now on; 0: no longer."""
        self._keep_until = time.monotonic() + seconds
        self._changed.set()

    def kept_seconds(self) -> float:
        """Return for how much longer the environment is kept without use."""
        until = self._keep_until
        if until is None:
            until = self._last_cell + 60 * self._settings.keep_alive_minutes
        return max(0.0, until - time.monotonic())

    # -- what is due ---------------------------------------------------------------

    async def run(self) -> None:
        """Do what is due, when it is, until cancelled."""
        while True:
            self._changed.clear()
            if self._is_due_now and self._is_wanted():
                # Between the cells that wait, too: a long one is worth it.
                await self._act()
                continue
            left = self._seconds_left()
            self._waits_until = math.inf if left is None else time.monotonic() + left
            try:
                await asyncio.wait_for(self._changed.wait(), left)
            except asyncio.TimeoutError:
                if self._is_idle:
                    await self._act()

    def _seconds_left(self) -> float | None:
        """Return the time until something is due, None if nothing is as things are."""
        environment = self._environment
        if environment is None or not self._is_idle:
            return None
        idle = environment.idle_seconds()
        due = []
        if self._is_wanted() and self._settings.checkpoint == "auto":
            due.append(self._checkpoint_at() - idle)
        if self.kept_seconds() > 0:
            due.append(self._keep_at() - idle)
        # Never at once again: what is due may not be possible just now.
        return max(0.05, min(due)) if due else None

    def _is_wanted(self) -> bool:
        checkpoints = self._checkpoints
        is_free = not (checkpoints.is_busy or checkpoints.is_claimed)
        return bool(checkpoints.cells_since) and self._cells != self._failed_after and is_free

    def _checkpoint_at(self) -> float:
        """Return the idle time after which a checkpoint is taken."""
        cooldown = self._settings.cooldown_seconds
        return max(cooldown / 2, cooldown - self._settings.checkpoint_before_seconds)

    async def _act(self) -> None:
        environment = self._environment
        if environment is None:
            return
        idle = environment.idle_seconds()
        is_call_due = self.kept_seconds() > 0 and idle >= self._keep_at()
        is_time = self._settings.checkpoint == "auto" and (
            idle >= self._checkpoint_at() or is_call_due
        )
        if self._is_wanted() and (self._is_due_now or is_time):
            self._is_due_now = False
            await self._take()
        elif is_call_due:
            self._inbox.put_nowait(Poked(time.monotonic()))

    def _keep_at(self) -> float:
        """Return the idle time after which an environment that is kept is called.

        A checkpoint is a call, and is the first of them: what is kept may end all the same.
        """
        return _KEEP_SHARE * self._settings.cooldown_seconds

    async def _take(self) -> None:
        cells = self._cells
        try:
            self._log.info("%s", await self._checkpoints.take())
        except (EnvironmentGone, CheckpointSuperseded):
            return
        except AcaKernelError as error:
            self._miss(cells, error.message)
            self._log.warning("%s %s", error.message, error.detail)
        except Exception as error:  # noqa: BLE001 - it is logged and told, and the next is tried
            reason = f"The last checkpoint failed: {_sentence_of(error)}."
            self._miss(cells, f"{reason} The kernel's log has more.")
            self._log.exception("a checkpoint failed")

    def _miss(self, cells: int, problem: str) -> None:
        self._failed_after = cells
        self._inbox.put_nowait(CheckpointMissed(time.monotonic(), problem))


def _sentence_of(error: Exception) -> str:
    """Say what is wrong, as far as that holds nothing of the user's."""
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return type(error).__name__
