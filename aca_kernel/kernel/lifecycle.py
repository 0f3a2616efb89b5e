"""One environment after the other: the present one, whether anything is in it, and its end."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from ..errors import EnvironmentGone

if TYPE_CHECKING:
    from ..environment.environment import Environment
    from ..environment.launch import Launched, Launcher
    from ..environment.relay import Relay
    from .plain_mode import PlainSession


class Lifecycle:
    """The environment of a kernel; there may be none.

    relay: the way to its remote kernel. plain: what runs cells where there is no remote kernel.
    idle_seconds: how long it had not been used before what was sent last.
    holds_state: whether a cell has begun in it, or variables were brought there, so that
    something is lost when it ends.
    """

    def __init__(self, launcher: Launcher) -> None:
        self.environment: Environment | None = None
        self.relay: Relay | None = None
        self.plain: PlainSession | None = None
        self.idle_seconds = 0.0
        self.holds_state = False
        self._launcher = launcher
        self._launching: asyncio.Task[Launched] | None = None

    @property
    def is_launching(self) -> bool:
        """Whether an environment is being got."""
        return self._launching is not None

    def has_likely_ended(self, cooldown_seconds: float) -> bool:
        """Tell whether the cooldown has passed since the last call.

        It may live all the same: the next cell asks. What is not worth a place does not.
        """
        return self.environment is not None and self.environment.idle_seconds() > cooldown_seconds

    def interrupt_launch(self) -> bool:
        """Give up launching; tell whether that is what was being done."""
        if self._launching is None or self._launching.done():
            return False
        return self._launching.cancel()

    async def launch(self) -> Launched | None:
        """Get an environment, None when interrupted; `plain` is the caller's to set.

        Raises the errors of Launcher.launch.
        """
        launching = self._launching = self._launcher.launch()
        try:
            await asyncio.wait([launching])
        finally:
            self._launching = None
            launching.cancel()
        if launching.cancelled():
            return None
        launched = launching.result()
        self.environment, self.relay = launched.environment, launched.relay
        self.holds_state = False
        return launched

    def note_use(self) -> None:
        """Something is about to be sent."""
        if self.environment is not None:
            self.idle_seconds = self.environment.idle_seconds()

    def check_cooldown(self, cooldown_seconds: float) -> None:
        """Raises EnvironmentGone: so much time has passed that it must have ended.

        For plain mode only, where nothing in it could tell whether it is still the same one.
        """
        environment = self.environment
        if self.holds_state and environment and environment.idle_seconds() > cooldown_seconds:
            raise EnvironmentGone("The cooldown has passed since the last call.")

    def forget(self) -> None:
        """It has ended, or is given up: no kernel is to have it."""
        if self.environment is not None:
            self.environment.release(keep=False)
        self.relay = self.plain = self.environment = None
        self.holds_state = False

    async def close(self, *, is_embedded: bool, for_restart: bool) -> None:
        """The kernel ends: end the remote kernel if that can be done at once, and let go.

        for_restart: see Claim.release.
        """
        if self._launching is not None:
            self._launching.cancel()
        self._launcher.close()
        if self.relay is not None and not is_embedded:
            await self.relay.kill()
        if self.environment is not None:
            self.environment.release(keep=True, for_restart=for_restart)
