"""An interrupt of the running cell, by the way that reaches the cell where it is."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any

from ..environment.retry import QUIET_SECONDS
from ..messaging.publisher import Notice

if TYPE_CHECKING:
    from ..checkpoint.carrier import Carrier
    from ..environment.relay import Relay
    from ..messaging.publisher import Publisher
    from ..messaging.requests import Request, RequestTable
    from .lifecycle import Lifecycle

# While a restore does not end that was interrupted.
_AGAIN_SECONDS = 0.3


class Interrupter:
    """Interrupts what the front end waits for.

    is_pending: the cell had not begun, as far as was known; it is to be interrupted when it has.
    aside: runs a coroutine beside the exchanges. sent: called when there may be something to fetch.
    """

    def __init__(
        self,
        life: Lifecycle,
        table: RequestTable,
        publisher: Publisher,
        aside: Callable[[Coroutine[Any, Any, None]], None],
        sent: Callable[[], None],
    ) -> None:
        self.is_pending = False
        self._life = life
        self._table = table
        self._publisher = publisher
        self._aside = aside
        self._sent = sent

    def interrupt(self, carrier: Carrier, restoring: asyncio.Future[bool] | None) -> None:
        """Interrupt the oldest cell; what is queued behind it follows ipykernel's rules.

        carrier, restoring: of a restore that the cell waits for.
        """
        if self._life.interrupt_launch():
            return
        if self._life.plain is not None:
            self._life.plain.interrupt()
            return
        relay = self._life.relay
        cell = next((one for one in self._table if one.is_execute), None)
        if relay is None or cell is None:
            return
        if restoring is not None:
            self.is_pending = True
            relay.stop_waiting(None)
            self._aside(self._interrupt_restore(relay, carrier, restoring))
        elif cell.is_started:
            self._aside(self._send(relay, cell))
        else:
            # Not begun as far as we know: a signal now might come before the cell, which
            # ipykernel ignores. It is sent when the cell's busy arrives.
            self.is_pending = True
            relay.stop_waiting(cell.place)
            self._aside(relay.wake())

    def begun(self, cell: Request) -> None:
        """A cell has begun."""
        if self.is_pending and self._life.relay is not None:
            self._aside(self._send(self._life.relay, cell))

    async def _send(self, relay: Relay, cell: Request) -> None:
        self.is_pending = False
        await relay.interrupt()
        self._sent()
        await asyncio.sleep(QUIET_SECONDS)
        if relay.trouble is not None and self._table.find(cell.msg_id) is cell:
            text = (
                f"{relay.trouble.message} The cell is interrupted as soon as the pool answers; "
                "restart the kernel to wait no longer."
            )
            self._publisher.tell(Notice(text, relay.trouble.reason), cell)

    async def _interrupt_restore(
        self, relay: Relay, carrier: Carrier, restoring: asyncio.Future[bool]
    ) -> None:
        if not carrier.awaits_reply:
            # Nothing runs over there yet that a signal could reach.
            restoring.cancel()
        while not restoring.done():
            # ipykernel ignores what comes before it has begun with a request.
            await relay.interrupt()
            await asyncio.wait([restoring], timeout=_AGAIN_SECONDS)
