"""What the remote kernel uses of memory and processors, for a panel that shows it.

jupyter-resource-usage sends a usage_request every 5 s as long as its panel is open. An idle
notebook makes no calls, so that what is known is told again until something can have changed;
none of these requests launches an environment, or waits for one; and what a thread does beside
the cells keeps no environment for ever.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ..messaging.requests import Request
    from .lifecycle import Lifecycle
    from .recovery import Recovery
    from .shared import Shared

# psutil counts processor time from the question before, and says 0 to the first.
_ANSWERS_AT_REST = 2

# Less is the remote kernel's own, in percent of a processor.
_CPU_AT_REST = 1.0

# The panel shows them behind "Reason: ", and a full stop. The answer without an environment is in
# messaging/unlaunched.py.
_STARTING = "a session environment is being started"
_RESTORING = "variables are being brought back"
_NO_IPYKERNEL = "the session environment has no ipykernel"
_IS_LEFT = "no cell has run for so long that the session environment may end"
_NO_ANSWER_YET = "the session environment has not answered yet"


class Usage:
    """The remote kernel's last answer, and whether another one would tell more."""

    def __init__(
        self, shared: Shared, life: Lifecycle, recovery: Recovery, cooldown_seconds: float
    ) -> None:
        self._shared = shared
        self._life = life
        self._recovery = recovery
        self._cooldown_seconds = cooldown_seconds
        # When something else was under way for the last time, as far as it was seen.
        self._worked_at = 0.0
        self._last: dict[str, Any] | None = None
        # Since something else was sent to the remote kernel, and all of it had ended.
        self._answers = 0

    def sent(self, request: Request, now: float) -> None:
        """Note a request that goes to the remote kernel, where it may change what is used."""
        if not request.asks_usage:
            self._answers, self._worked_at = 0, now

    def heard(self, frames: list[bytes]) -> None:
        """Note an answer of the remote kernel."""
        content = json.loads(frames[3])
        if isinstance(content, dict):
            cpu = content.get("kernel_cpu")  # without psutil it is not there
            is_busy = isinstance(cpu, (int, float)) and cpu >= _CPU_AT_REST
            # What runs now may rest, for a while.
            is_busy = is_busy or self._is_at_work
            self._last = content
            self._answers = 0 if is_busy else self._answers + 1

    def forget(self) -> None:
        """Forget what a remote kernel has answered that has ended, or is given up."""
        self._last = None
        self._answers = 0

    @property
    def _is_at_work(self) -> bool:
        return any(not one.asks_usage for one in self._shared.table)

    def answer(self, request: Request, now: float, *, has_remote_kernel: bool) -> bool:
        """Answer a usage_request if there is an environment, or one is coming.

        False if it goes to the remote kernel.
        """
        if self._is_at_work:
            self._worked_at = now
        obstacle = self._obstacle(has_remote_kernel=has_remote_kernel)
        is_asked = any(one.asks_usage for one in self._shared.table)
        is_at_rest = self._answers >= _ANSWERS_AT_REST
        if not (obstacle or is_at_rest) and now - self._worked_at > self._cooldown_seconds:
            obstacle = _IS_LEFT
        if not (obstacle or is_asked or is_at_rest):
            return False
        known = None if obstacle else self._last
        self._shared.publisher.begin(request)
        self._shared.publisher.answer(request, known or {"reason": obstacle or _NO_ANSWER_YET})
        return True

    def _obstacle(self, *, has_remote_kernel: bool) -> str:
        if self._life.plain is not None:
            return _NO_IPYKERNEL
        if self._recovery.is_restoring:
            return _RESTORING
        return "" if has_remote_kernel else _STARTING
