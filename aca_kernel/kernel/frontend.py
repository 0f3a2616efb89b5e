"""The kernel as front ends see it: one face, answering from its first millisecond.

Everything is forwarded to the remote kernel (loop.py) except what must be answered here:
kernel_info (so that starting costs no front end its patience), interrupt and shutdown
(which act at once).
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any

from ..messaging.channels import Channels
from ..messaging.kernel_info import kernel_info
from ..messaging.publisher import Publisher
from ..messaging.requests import Request, RequestTable
from .loop import Pump

if TYPE_CHECKING:
    from jupyter_client.session import Session

    from ..environment.launch import Launcher
    from ..pool.backend import Backend
    from ..settings import AcaKernel


class Kernel:
    """One kernel: its front ends on one side, its pump on the other."""

    def __init__(
        self,
        channels: Channels,
        session: Session,
        backend: Backend,
        settings: AcaKernel,
        launcher: Launcher,
        log: logging.Logger,
    ) -> None:
        self._channels = channels
        self._backend = backend
        self._log = log
        self._table = RequestTable()
        self._publisher = Publisher(channels, session, self._table)
        self._pump = Pump(
            backend, settings, channels, self._publisher, self._table, launcher, self.stop, log
        )
        # kernel_info requests on shell wait for the cells that were there before them.
        self._deferred: list[tuple[Request, set[str]]] = []
        self._table.on_finish = self._answer_deferred
        self._stopped = asyncio.Event()
        self._is_restarting = False
        self._kernel_info = kernel_info()

    async def serve(self) -> None:
        """Answer front ends until told to shut down, then clean up within two seconds."""
        self._publisher.status("starting", None)
        self._channels.listen(self._on_message)
        pump = asyncio.ensure_future(self._pump.run())
        try:
            await self._stopped.wait()
        finally:
            pump.cancel()
            await asyncio.gather(pump, return_exceptions=True)
            await self._pump.close(for_restart=self._is_restarting)
            await self._backend.close()
            await self._channels.close()

    def stop(self) -> None:
        """End `serve`; safe to call from a signal handler of the event loop."""
        self._stopped.set()

    def interrupt(self) -> None:
        """Interrupt the running cell, as an interrupt_request does."""
        self._pump.interrupt()

    # -- messages ----------------------------------------------------------------

    def _on_message(
        self, channel: str, idents: list[bytes], frames: list[bytes], content: dict[str, Any]
    ) -> None:
        request = Request.of(channel, idents, frames, content)
        self._log.debug("%s on %s", request.msg_type, channel)
        if request.msg_type == "kernel_info_request":
            self._on_kernel_info(request)
        elif request.msg_type == "interrupt_request":
            self._on_interrupt(request)
        elif request.msg_type == "shutdown_request":
            self._on_shutdown(request)
        else:
            self._pump.submit(request)

    def _on_kernel_info(self, request: Request) -> None:
        cells = {one.msg_id for one in self._table if one.is_execute}
        if request.channel == "shell" and cells:
            self._deferred.append((request, cells))
        else:
            self._publisher.answer(request, self._kernel_info)

    def _answer_deferred(self, finished: Request) -> None:
        waiting, self._deferred = self._deferred, []
        for request, cells in waiting:
            cells.discard(finished.msg_id)
            if cells:
                self._deferred.append((request, cells))
            else:
                self._publisher.answer(request, self._kernel_info)

    def _on_interrupt(self, request: Request) -> None:
        self._publisher.begin(request)
        self._pump.interrupt()
        self._publisher.answer(request, {"status": "ok"})

    def _on_shutdown(self, request: Request) -> None:
        restart = self._is_restarting = bool(request.content.get("restart", False))
        self._log.info("shutting down, restart: %s", restart)
        reply = {"status": "ok", "restart": restart}
        self._publisher.begin(request)
        self._publisher.reply(request, reply)
        # Other front ends of this kernel learn of it on iopub, as from ipykernel.
        self._publisher.publish("shutdown_reply", reply, request)
        self._publisher.status("idle", request)
        self.stop()
