"""The tree of errors: one leaf for each thing that a caller can do about one.

    AcaKernelError
    ├── SettingInvalid          the configuration cannot work: show what to change
    ├── PoolNotFound            the endpoint answers, but there is no pool there
    ├── CredentialUnavailable   no credential applied: try the next, or log in
    ├── AccessDenied            a credential was refused: stop, name the role or the login
    │   ├── KeyRefused          the pool refused its API key: fetch it again, if that is possible
    │   └── KeyPending          it refuses the key fetched just now: wait, it may be a new one
    ├── AzureRefused            Resource Manager will not do it: show its reason
    ├── PoolNotStarted          the embedded pool does not start: show why, stop
    ├── PoolUnreachable         the request never left: repeat with backoff
    ├── PoolBusy                throttled or full: wait as told, then repeat
    ├── ResultUnknown           sent, answer lost: repeat idempotent requests only
    ├── WaitInterrupted         the user no longer waits: nothing ran
    ├── EnvironmentGone         cooled down or silently replaced: launch another
    ├── RemoteKernelDied        killed, for instance by lack of memory: another one follows
    │   └── RemoteKernelExited    the user's code has ended it: it would do so again
    ├── RemoteKernelNotStarted  none starts in a new environment: show why, stop
    ├── RequestLost             the environment has forgotten it: say so, run nothing again
    ├── NotSupported            this environment cannot do it: name the missing part
    ├── ToolFailed              the tool ran and reported a failure: show its text
    ├── CallRefused             the environment may not have what it asks for: tell it why
    ├── CheckpointFailed        the state was not stored or brought back: tell why, go on
    │   ├── CheckpointDamaged     the stored state is lost: store all again
    │   └── CheckpointSuperseded  a cell does it itself: nothing need be told
    ├── LocalProtocolError      our message is wrong: a bug here
    └── RemoteProtocolError     their message is wrong: show the message

Each error is a sentence for the person at the notebook that ends in what to do.
`reason`, the name of its class in lower case, is for programs: it stands in logs and in the
metadata of the messages that report the error (messaging/publisher.py). `detail` is for the log
only. None of the three ever holds a key, a token or cell text.
"""

from __future__ import annotations

import re
from typing import ClassVar

# The reason of each error by the name that a cell shows.
_REASONS: dict[str, str] = {}


class AcaKernelError(Exception):
    """Root of all errors raised by this package."""

    reason: ClassVar[str] = "error"
    # The name that a cell shows: the class's, unless it gives another one.
    ename: ClassVar[str] = "AcaKernelError"

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        # PoolBusy: pool-busy.
        cls.reason = re.sub(r"(?<!^)([A-Z])", r"-\1", cls.__name__).lower()
        cls.ename = vars(cls).get("ename", cls.__name__)
        # Of several with one name the general one, which is defined first.
        _REASONS.setdefault(cls.ename, cls.reason)

    def __init__(self, message: str, *, detail: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.detail = detail


class SettingInvalid(AcaKernelError):
    """A setting cannot work as it stands."""


class PoolNotFound(AcaKernelError):
    """There is no session pool with an MCP server at the configured place."""


class CredentialUnavailable(AcaKernelError):
    """No credential is configured, or none of the configured ways applies here."""


class AccessDenied(AcaKernelError):
    """A credential was presented and refused."""


class KeyRefused(AccessDenied):
    """The session pool refused its API key: nothing ran."""


class KeyPending(AccessDenied):
    """The pool refuses the key that Azure gives for it, as it may for minutes after a rotation."""


class AzureRefused(AcaKernelError):
    """Azure Resource Manager understood the request and will not do it."""


class PoolNotStarted(AcaKernelError):
    """The embedded pool's process ended, or said why it cannot start."""


class PoolUnreachable(AcaKernelError):
    """The request never reached the pool: nothing ran, repeating is safe."""


class PoolBusy(AcaKernelError):
    """The pool is full or throttles: nothing ran, repeating after a wait is safe."""

    def __init__(
        self, message: str, *, detail: str = "", retry_after_seconds: float | None = None
    ) -> None:
        super().__init__(message, detail=detail)
        self.retry_after_seconds = retry_after_seconds


class ResultUnknown(AcaKernelError):
    """The request was sent and its answer was lost: it may have run."""

    # Said to the user of a cell that met it.
    ADVICE = "This may have run, or be running still: look before you run it again."


class WaitInterrupted(AcaKernelError):
    """The user has interrupted what waited for the pool: nothing ran."""

    ename = "KeyboardInterrupt"  # as ipykernel ends what is interrupted


class EnvironmentGone(AcaKernelError):
    """The session environment no longer exists, or was replaced by an empty one.

    has_begun: the pool says that it ended while the call ran.
    """

    def __init__(self, message: str, *, detail: str = "", has_begun: bool = False) -> None:
        super().__init__(message, detail=detail)
        self.has_begun = has_begun


class RemoteKernelDied(AcaKernelError):
    """The process that runs the cells was ended by a signal, most likely for lack of memory."""


class RemoteKernelExited(RemoteKernelDied):
    """The process that runs the cells has ended itself, as its code wanted."""

    ename = "RemoteKernelDied"


class RemoteKernelNotStarted(AcaKernelError):
    """The process that runs cells ends before it is ready, in a new environment."""


class RequestLost(AcaKernelError):
    """A request has arrived in the environment, which knows nothing of it any more."""


class NotSupported(AcaKernelError):
    """The environment lacks what the request needs."""


class ToolFailed(AcaKernelError):
    """The tool ran and reported a failure of its own."""


class CallRefused(AcaKernelError):
    """The environment asked this machine for something that it may not have, or that failed."""


class CheckpointFailed(AcaKernelError):
    """The notebook's state could not be stored or brought back; the one before is kept."""


class CheckpointDamaged(CheckpointFailed):
    """The stored state is damaged and was removed: the next checkpoint stores everything."""


class CheckpointSuperseded(CheckpointFailed):
    """The running cell stores or restores the state itself, which goes before."""


class LocalProtocolError(AcaKernelError):
    """We were about to send something that the protocol does not allow."""


class RemoteProtocolError(AcaKernelError):
    """The other side sent something that the protocol does not allow."""


def reason_of(ename: str) -> str:
    """Return the reason of the error that a cell shows under this name."""
    return _REASONS.get(ename, AcaKernelError.reason)
