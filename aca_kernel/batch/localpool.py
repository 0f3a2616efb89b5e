"""The session pool on this machine that the kernels of a batch share.

A kernel by itself starts an embedded pool of its own. For a batch one is enough, and it
has sessions ready when the next notebook begins.
"""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from ..early import start_pool_process
from ..embedded import configure, greeting_of, stop

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from .kernels import Target

# An environment that its notebook has left lives so long. None is used again by another
# notebook, and between two cells of a notebook there are milliseconds; this is for a
# machine that swaps.
COOLDOWN_SECONDS = 15

# Places beyond the kernels that run: for environments that cool down. A notebook takes a
# second at least, so this suffices; a kernel that finds none waits for one.
_PLACES_FOR_EACH_KERNEL = 1 + COOLDOWN_SECONDS


@asynccontextmanager
async def local_pool(
    target: Target, kernels: int, tell: Callable[[str], None]
) -> AsyncIterator[None]:
    """Start a pool and let this target's kernels use it, for as long as the context lasts.

    kernels: how many will run at a time. tell: is given what the user should know.
    Raises PoolNotStarted: it says why it cannot start.
    """
    settings = target.settings
    assert settings is not None  # noqa: S101 - an embedded target has them
    process = start_pool_process()
    try:
        configure(
            process,
            settings,
            cooldown_seconds=COOLDOWN_SECONDS,
            max_concurrent_sessions=kernels * _PLACES_FOR_EACH_KERNEL,
            ready_sessions=kernels,
            replenish=True,
        )
        greeting = await greeting_of(process)
        if greeting.get("notice"):
            tell(str(greeting["notice"]))
        # The endpoint as an argument, which counts more than a configuration file; the key
        # never stands in a command line.
        target.arguments = (
            f"--AcaKernel.endpoint={greeting['endpoint']}",
            f"--AcaKernel.cooldown_seconds={COOLDOWN_SECONDS}",
            # Its first cell comes as soon as the kernel is there.
            "--AcaKernel.start=kernel",
        )
        target.variables = {"ACA_MCP_API_KEY": str(greeting["api_key"])}
        yield
    finally:
        await asyncio.to_thread(stop, process)
