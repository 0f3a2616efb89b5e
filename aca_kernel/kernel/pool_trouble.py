"""Trouble with the pool: why the user waits, and telling so."""

from __future__ import annotations

from ..errors import AcaKernelError
from ..messaging.publisher import Notice, Publisher
from ..messaging.requests import Request

# The user is told of a wait again after so long.
_REPEAT_SECONDS = 60.0


class PoolTrouble:
    """error: what calls are repeated for; None: the pool has answered."""

    def __init__(self, publisher: Publisher) -> None:
        self._publisher = publisher
        self.error: AcaKernelError | None = None
        # When the user was told, by the reason.
        self._told: dict[str, float] = {}

    def forget_told(self) -> None:
        """Whatever is waited for from now on is told at once."""
        self._told.clear()

    def tell(self, error: AcaKernelError, waited_seconds: float, now: float) -> None:
        """Tell the user, in the first waiting cell, what it waits for."""
        self.error = error
        last = self._told.get(error.reason)
        if last is not None and now - last < _REPEAT_SECONDS:
            return
        suffix = f" Waiting since {waited_seconds:.0f} s." if last is not None else " Waiting…"
        if self._publisher.tell_waiting_cell(Notice(error.message + suffix, error.reason)):
            self._told[error.reason] = now

    def tell_interrupted(self, cell: Request) -> None:
        """Tell the user why a cell that was interrupted goes on, if that is the pool's doing."""
        if self.error is not None:
            text = (
                f"{self.error.message} The cell is interrupted as soon as the pool answers; "
                "restart the kernel to wait no longer."
            )
            self._publisher.tell(Notice(text, self.error.reason), cell)
