"""Events of a kernel: whatever the core is told of.

now: the time of the event, by a monotonic clock; the core has no other. generation: tells one
environment from those before it; events of one that has been given up are ignored. Events of other
rooms are defined there.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from ..checkpoint.carrier import CarryAsked
from ..checkpoint.checkpoints import CheckpointKept
from ..checkpoint.schedule import CheckpointMissed, Poked
from ..environment.exchange import Exchange
from ..environment.retry import CallRepeated, PoolWaits
from ..errors import AcaKernelError, EnvironmentGone
from ..host.call import Restart
from ..messaging.inbox import Noticed, Received
from ..pool.tool_result import ToolResult
from ..remote.wire import Record

# Of other rooms, and events like those that are defined here.
__all__ = [
    "CallRepeated",
    "CarryAsked",
    "CheckpointKept",
    "CheckpointMissed",
    "Noticed",
    "Poked",
    "PoolWaits",
    "Received",
]


class InterruptAsked(NamedTuple):
    """An interrupt that is no message: SIGINT."""

    now: float


class TimeCame(NamedTuple):
    """The time that the core wanted to be told of has come."""

    now: float


# -- exchanges ---------------------------------------------------------------------


class Exchanged(NamedTuple):
    """An exchange has brought these records; the rest of what it said is in the Exchange."""

    now: float
    generation: str
    records: list[Record]


class ExchangeFailed(NamedTuple):
    """An exchange came to nothing, however often its calls were repeated."""

    now: float
    generation: str
    error: AcaKernelError


class Interrupted(NamedTuple):
    """The remote kernel has been interrupted, or will be by the next exchange."""

    now: float
    generation: str


# -- what the remote side asks of this one -----------------------------------------


class HostAnswered(NamedTuple):
    """Calls of the remote side have been done, and these are the answers that are due.

    is_late: it took exchanges to find the answer, so that they went on meanwhile.
    may_continue: a file was sent, and who has it may have the next question.
    """

    now: float
    generation: str
    answers: tuple[Record, ...]
    restart: Restart | None = None
    is_late: bool = False
    may_continue: bool = False


class LossFound(NamedTuple):
    """Something else than an exchange has found out that the environment has ended."""

    now: float
    generation: str
    error: EnvironmentGone


# -- an environment's life ---------------------------------------------------------


class EnvironmentReady(NamedTuple):
    """There is an environment. exchange: with its agent, None where only plain mode is possible.

    is_taken_over: another kernel has used it.
    """

    now: float
    exchange: Exchange | None
    notices: tuple[str, ...] = ()
    is_taken_over: bool = False


class LaunchFailed(NamedTuple):
    """No environment could be got."""

    now: float
    error: AcaKernelError


class LaunchInterrupted(NamedTuple):
    """Launching was given up, as the core wanted it."""

    now: float


class Left(NamedTuple):
    """The environment that was to be left has been left."""

    now: float


class Restored(NamedTuple):
    """What was to be brought back has been.

    report: the environment's, None if there was nothing. cells_since: cells that had run after
    the checkpoint.
    """

    now: float
    number: int
    report: dict[str, Any] | None
    cells_since: int = 0


class RestoreFailed(NamedTuple):
    """It could not be brought back; error None: it was cancelled."""

    now: float
    number: int
    error: AcaKernelError | None


# -- plain mode --------------------------------------------------------------------


class CodeRan(NamedTuple):
    """The text of a cell has run."""

    now: float
    result: ToolResult


class CodeFailed(NamedTuple):
    """It could not be run, or it is not known; error None: nobody waits for it any longer."""

    now: float
    error: AcaKernelError | None


# -- the kernel's own --------------------------------------------------------------


class DriverFailed(NamedTuple):
    """Something has failed in a way that nobody expected; it has been logged.

    what: what could not be done, behind "The kernel could not". is_fatal: requests wait for it.
    ends_turn: what was under way (`Doing`) has ended by it.
    """

    now: float
    what: str
    is_fatal: bool
    ends_turn: bool = False


Event = (
    Received
    | InterruptAsked
    | TimeCame
    | Exchanged
    | ExchangeFailed
    | CallRepeated
    | PoolWaits
    | Noticed
    | Interrupted
    | HostAnswered
    | LossFound
    | CarryAsked
    | Poked
    | CheckpointKept
    | CheckpointMissed
    | EnvironmentReady
    | LaunchFailed
    | LaunchInterrupted
    | Left
    | Restored
    | RestoreFailed
    | CodeRan
    | CodeFailed
    | DriverFailed
)
