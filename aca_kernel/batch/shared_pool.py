"""The session pool on this machine that the kernels of a batch share.

A kernel by itself starts an embedded pool of its own. For a batch one is enough: an ordinary
pool, with a place for each notebook that runs. The kernels hand its environments over, as on
any pool (environment/handover.py); where the setting `reuse` forbids that, each kernel keeps a
pool of its own.
"""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from ..environment.lock_files import forget_pool
from ..environment.variables import OF_TOOLS
from ..pool.embedded_backend import greeting_of
from ..pool.embedded_process import configure, start_pool_process, stop

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from .kernels import Target


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
    if settings.reuse != "user":
        yield
        return
    endpoint = ""
    process = start_pool_process()
    try:
        configure(
            process,
            settings,
            max_concurrent_sessions=kernels,
            ready_sessions=kernels,
        )
        greeting = await greeting_of(process)
        endpoint = str(greeting["endpoint"])
        if greeting.get("notice"):
            tell(str(greeting["notice"]))
        # The endpoint as an argument, which counts more than a configuration file; the key
        # never stands in a command line.
        target.arguments = (
            f"--AcaKernel.endpoint={endpoint}",
            # What is the default on an embedded pool, which this one stands for.
            f"--AcaKernel.files={settings.files_mode}",
            f"--AcaKernel.environment={OF_TOOLS} {settings.environment}",
            # Its first cell comes as soon as the kernel is there.
            "--AcaKernel.start=kernel",
        )
        target.variables = {"ACA_MCP_API_KEY": str(greeting["api_key"])}
        yield
    finally:
        await asyncio.to_thread(stop, process)
        if endpoint:
            forget_pool(endpoint)
