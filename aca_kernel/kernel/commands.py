"""Commands of a core: whatever the driver is to do, in this order.

Those that take time are answered by events (events.py). At most one `Job` is under way at a time.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from ..errors import AcaKernelError
from ..messaging.outgoing import Outgoing
from ..remote.wire import Record

# -- to the environment ------------------------------------------------------------


class DoExchange(NamedTuple):
    """Begin and do an exchange: `Exchanged`, `ExchangeFailed`."""

    wait_seconds: float


@dataclass(frozen=True, slots=True)
class SendAlong:
    """Make another call for what was queued while the exchange is under way."""


class StartAhead(NamedTuple):
    """Have a starter wait for the `!` commands of a cell that is sent with the next exchange."""

    msg_id: str
    commands: tuple[str, ...]


class LookAhead(NamedTuple):
    """Send along with the next exchange what is known of files that `!` commands name."""

    commands: tuple[str, ...]


class StopWaiting(NamedTuple):
    """Let the pending exchange fail with WaitInterrupted when it would have to be repeated.

    place: what must not have reached the agent then; None: it has not been sent at all.
    """

    place: int | None


@dataclass(frozen=True, slots=True)
class Wake:
    """Have the agent end the pending exchange now."""


@dataclass(frozen=True, slots=True)
class Interrupt:
    """Send SIGINT to the remote kernel: `Interrupted`."""


class CallHost(NamedTuple):
    """Do what the remote side asks for, in this order: `HostAnswered`, `LossFound`."""

    calls: tuple[Record, ...]


class RunCode(NamedTuple):
    """Run the text of a cell in the session interpreter: `CodeRan`, `CodeFailed`."""

    code: str


@dataclass(frozen=True, slots=True)
class GiveUp:
    """Wait no longer for a launch, or for the text of a cell: `LaunchInterrupted`, `CodeFailed`."""


# -- its life ----------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Launch:
    """Get an environment: `EnvironmentReady`, `LaunchFailed`, `LaunchInterrupted`."""


@dataclass(frozen=True, slots=True)
class Prepare:
    """The environment has most likely cooled down: get ready what the next one needs."""


@dataclass(frozen=True, slots=True)
class Forget:
    """The environment has ended, or is given up: no kernel is to have it."""


class Leave(NamedTuple):
    """End what runs in the environment that was forgotten last, and discard it: `Left`."""

    keeps_state: bool


# -- checkpoints -------------------------------------------------------------------


class Restore(NamedTuple):
    """Bring the last checkpoint back: `Restored`, `RestoreFailed`.

    number: of this attempt. after_death: the remote kernel ended when it was tried before, and
    there is another one.
    """

    number: int
    after_death: bool


@dataclass(frozen=True, slots=True)
class CancelRestore:
    """Give up bringing it back."""


class Deliver(NamedTuple):
    """Hand an answer to the checkpoint engine."""

    record: Record


class FailCarried(NamedTuple):
    """Tell the checkpoint engine that what it has asked will not be answered."""

    error: AcaKernelError


@dataclass(frozen=True, slots=True)
class LoseVariables:
    """Tell the checkpoint engine that there is another remote kernel in the same environment."""


class TellIdle(NamedTuple):
    """Tell the checkpoint engine whether no cell waits or runs."""

    is_idle: bool


class CellEnded(NamedTuple):
    """Tell the checkpoint engine that a cell has run for so long."""

    seconds: float


# -- the kernel's own --------------------------------------------------------------


class WaitUntil(NamedTuple):
    """Tell the core when it is so late: `TimeCame`. One that is told too early is harmless."""

    at: float


class Exit(NamedTuple):
    """End the kernel. for_restart: its front end is about to start it again."""

    for_restart: bool = False


# What is done in turn, one at a time.
Job = DoExchange | CallHost | RunCode | Launch | Leave

Command = (
    Outgoing
    | Job
    | SendAlong
    | StartAhead
    | LookAhead
    | StopWaiting
    | Wake
    | Interrupt
    | GiveUp
    | Prepare
    | Forget
    | Restore
    | CancelRestore
    | Deliver
    | FailCarried
    | LoseVariables
    | TellIdle
    | CellEnded
    | WaitUntil
    | Exit
)
