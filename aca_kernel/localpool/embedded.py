"""The second half of an embedded pool's start, and its life until the parent goes."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
from typing import TYPE_CHECKING, Any

from .service import open_service

if TYPE_CHECKING:
    from collections.abc import Callable

    from .prepare import Prepared


def serve_parent(prepared: Prepared, say: Callable[[dict[str, Any]], None]) -> int:
    """Serve until stdin ends or SIGTERM comes; returns the exit code."""
    return asyncio.run(_serve(prepared, say))


async def _serve(prepared: Prepared, say: Callable[[dict[str, Any]], None]) -> int:
    service = open_service(prepared)
    loop = asyncio.get_running_loop()
    ended = asyncio.Event()

    def read_stdin() -> None:
        if not os.read(0, 1 << 16):
            loop.remove_reader(0)
            ended.set()

    loop.add_reader(0, read_stdin)
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, ended.set)
    message: dict[str, Any] = {
        "endpoint": service.endpoint,
        "api_key": service.keys.current,
        "isolation": service.isolation,
    }
    if service.notice:
        message["notice"] = service.notice
    if service.near:
        message["near"] = service.near
    if service.environment:
        message["environment"] = service.environment
    say(message)
    service.sweep()
    gc.freeze()
    gc.enable()
    try:
        await ended.wait()
    finally:
        await service.close()
    return 0
