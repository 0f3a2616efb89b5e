"""The life of one kernel's environments, and what their ends mean for requests.

    launched ──► ready ──► lost:     it has ended by itself; the next one gets what was stored
       │           │  └──► left:     the user has asked for another one
       │           └─────► buried:   its remote kernel has ended, and another one is started in it
       └─────────────────► given up: none starts in it, most likely for what cells have installed

However it ends, each request that was sent ends too, or is sent once more if it has certainly not
run. After an environment that was used, or taken over, is given up, there is another one; if none
starts in a new environment, that is what requests end with. What of the variables comes back says
recovery.py.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ..environment.exchange import Exchange
from ..errors import (
    CheckpointFailed,
    EnvironmentGone,
    RemoteKernelDied,
    RemoteKernelExited,
    RemoteKernelNotStarted,
    RemoteProtocolError,
)
from ..host.call import Restart
from ..messaging.loss_wording import failed_start
from .commands import FailCarried, Forget, LoseVariables
from .exchange_loop import ExchangeLoop
from .plain_mode import PlainMode
from .recovery import Recovery
from .send_queue import SendQueue
from .shared import Shared

# So many environments may be gone before anything has come from them, one after the other.
_MOST_LOST_UNUSED = 3

# So often a remote kernel may end before it was ready, one after the other, before its
# environment is given up.
_MOST_FAILED_STARTS = 2


class Lifecycle:
    """The present environment.

    loop: the exchanges with its remote kernel. plain: runs cells where there is none. Without an
    environment both are None.
    remote_info: the remote kernel's kernel_info, None before it is ready.
    holds_state: whether something is lost when it ends: a cell has begun in it, or variables
    were brought there.
    """

    def __init__(self, shared: Shared, backlog: SendQueue, recovery: Recovery) -> None:
        self.loop: ExchangeLoop | None = None
        self.plain: PlainMode | None = None
        self.remote_info: dict[str, Any] | None = None
        self.holds_state = False
        self._shared = shared
        self._table = shared.table
        self._backlog = backlog
        self._recovery = recovery
        self._failed_starts = 0
        # Whether no remote kernel has been ready in it yet, and whether it was another kernel's.
        self._is_unused = True
        self._is_taken_over = False
        # Environments, one after the other, that have ended before anything came from them.
        self._lost_unused = 0
        # The end of the last call, and how long the environment had not been used then.
        self._last_call = 0.0
        self._idle_seconds = 0.0

    # -- its use -------------------------------------------------------------------

    def is_current(self, generation: str) -> bool:
        """Tell whether something is said of the present environment, and not of one before it."""
        return self.loop is not None and self.loop.exchange.nonce == generation

    def idle_seconds(self, now: float) -> float:
        """Return the time since the last call."""
        return now - self._last_call

    @property
    def is_suspect(self) -> bool:
        """Whether no kernel should have it: the last attempt to start a remote kernel failed."""
        return self._failed_starts > 0

    def call_begins(self, now: float) -> None:
        """It is being used."""
        self._idle_seconds = self.idle_seconds(now)

    def call_ended(self, now: float) -> None:
        """It has been used."""
        self._last_call = now

    def answered(self) -> None:
        """Something has come from it."""
        self._lost_unused = 0

    # -- its beginning -------------------------------------------------------------

    def launched(
        self, exchange: Exchange | None, notices: Iterable[str], *, is_taken_over: bool
    ) -> None:
        """There is another one; exchange: None where only plain mode is possible."""
        self._failed_starts = 0
        self._is_unused, self._is_taken_over = True, is_taken_over
        self._shared.notices += notices
        if exchange is None:
            self.plain = PlainMode(self._shared.publisher, self._backlog)
            self._recovery.tell()
        else:
            self.loop = ExchangeLoop(exchange)
        self._shared.setup.begin_anew()

    def ready(self, head: dict[str, Any]) -> None:
        """The remote kernel answers. head: of the record that says so."""
        info = head.get("info")
        self.remote_info = info if isinstance(info, dict) else None
        self._failed_starts = 0
        self._is_unused = False
        self._shared.log.info("remote kernel is ready, pid %s", head.get("pid"))

    # -- its end -------------------------------------------------------------------

    def lose(self, error: EnvironmentGone) -> RemoteProtocolError | None:
        """End what ran in it; return what is wrong if it happens again and again."""
        loop, held_state = self.loop, self.holds_state
        self._forget()
        self._shared.log.info("environment lost: %s", error.message)
        if loop is not None:
            is_safe = loop.exchange.is_safe_to_repeat
            self._backlog.put_back(one for one in self._table if one.is_sent and is_safe(one.place))
        self._backlog.end_sent(
            "EnvironmentGone",
            "The session environment ended while this was running. Its variables and files "
            "are lost, and this was not run again. The next cell gets a new environment.",
        )
        if held_state:
            self._recovery.lost_environment(self._idle_seconds)
        self._lost_unused += 1
        if self._lost_unused <= _MOST_LOST_UNUSED:
            return None
        self._lost_unused = 0
        return RemoteProtocolError(
            "Every environment that the session pool launches is gone before its first "
            "use. Check the pool, then run the cell again."
        )

    def leave(self, restart: Restart, *, has_failed: bool) -> None:
        """Do what `%aca restart` asked for; what is queued behind its cell runs in the next one.

        The remote kernel begins no other cell by then (remote/magic.py), so none runs twice.
        has_failed: its cell has.
        """
        self._shared.log.info("the environment is left on request")
        self._forget()
        self._backlog.put_back(
            one for one in self._table if one.is_sent and not one.is_replied and one.waits_in_turn
        )
        if has_failed:
            self._backlog.abort(None)
        self._backlog.end_sent(
            "EnvironmentGone", "The session environment was restarted by another cell."
        )
        self._recovery.left(keeps_state=restart.keeps_state)

    def bury(self, head: dict[str, Any]) -> RemoteKernelNotStarted | None:
        """End what its remote kernel was doing; start another one, or give the environment up.

        head: of the record that says that it has ended. Returns what is wrong if none starts in a
        new environment.
        """
        code = int(head.get("code", 0))
        self._shared.log.warning("the remote kernel ended with status %s", code)
        if not head.get("ready"):
            return self._bury_unready(code, str(head.get("failure", "")), str(head.get("text", "")))
        told = self._recovery.died(code)
        kind = RemoteKernelDied if code < 0 else RemoteKernelExited
        is_seen = self._backlog.end_sent(kind.ename, told, kind.reason)
        if not self._recovery.is_restoring:
            if not is_seen:
                self._recovery.tell_later(told)
            self._backlog.abort(None)
        self._start_another()
        return None

    def _bury_unready(self, code: int, failure: str, log: str) -> RemoteKernelNotStarted | None:
        """Try once more, then give the environment up. failure: why there was no process at all."""
        self._shared.log.warning("the remote kernel did not start: %s", failure or log)
        self._failed_starts += 1
        # The agent holds back what is sent to a remote kernel that is not ready.
        self._backlog.put_back(one for one in self._table if one.is_sent)
        # The next one gets what this one was to.
        self._recovery.abandon()
        if failure or self._failed_starts >= _MOST_FAILED_STARTS:
            return self._give_up(failed_start(code, failure or log))
        self._start_another()
        return None

    def _start_another(self) -> None:
        self._shared.out += [
            LoseVariables(),
            FailCarried(CheckpointFailed("The remote kernel ended meanwhile.")),
        ]
        self._shared.subshells.forget()
        self._shared.announcer.forget()
        if self.loop is not None:
            self.loop.restart()
        self._shared.setup.begin_anew()

    def _give_up(self, reason: str) -> RemoteKernelNotStarted | None:
        """Leave an environment in which no remote kernel starts; reason: without a full stop."""
        is_new = self._is_unused and not self._is_taken_over
        held_state = self.holds_state
        self._forget(f"The remote kernel could not be started: {reason}.")
        if is_new:
            return RemoteKernelNotStarted(
                f"The remote kernel does not start in a new session environment: {reason}. "
                "The next cell tries another one."
            )
        if held_state:
            self._recovery.gave_up(
                f"The remote kernel ended and could not be started again: {reason}, "
                "so its environment was given up"
            )
        else:
            which = "an earlier kernel has left" if self._is_taken_over else "was used until now"
            self._shared.notices.append(
                f"No remote kernel starts in the environment that {which}: {reason}. "
                "It was given up. This cell runs in a new one."
            )
        return None

    def _forget(self, told: str = "The session environment has ended.") -> None:
        self._shared.out += [Forget(), FailCarried(EnvironmentGone(told))]
        self.loop = self.plain = self.remote_info = None
        self.holds_state = False
        self._recovery.lost_while_restoring()
        self._shared.subshells.forget()
        self._shared.announcer.forget()
