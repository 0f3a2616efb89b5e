"""The session pool on this machine that the kernels of a batch share.

It has a place for each running notebook, and its kernels hand environments over, as on any
pool (environment/handover.py). Where the setting `reuse` forbids that, each kernel starts an
embedded pool of its own.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from ..environment.lock_files import forget_pool
from ..environment.variables import OF_TOOLS
from ..pool.embedded_backend import greeting_of
from ..pool.embedded_process import configure, start_pool_process, stop
from .kernels import Target


@asynccontextmanager
async def local_pool(
    target: Target, kernels: int, tell: Callable[[str], None]
) -> AsyncIterator[None]:
    """Start a pool and let this target's kernels use it, for as long as the context lasts.

    kernels: how many run at a time. tell: called with notices for the user.
    Raises PoolNotStarted.
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
            # A notebook that leaves its environment has no place for the next one otherwise.
            ends_environments=True,
        )
        greeting = await greeting_of(process)
        endpoint = str(greeting["endpoint"])
        if greeting.get("notice"):
            tell(str(greeting["notice"]))
        # An argument takes precedence over a configuration file; the key is never in one.
        target.arguments = (
            f"--AcaKernel.endpoint={endpoint}",
            # As on an embedded pool.
            f"--AcaKernel.files={settings.files_mode}",
            f"--AcaKernel.environment={OF_TOOLS} {settings.environment}",
            "--AcaKernel.start=kernel",
        )
        target.variables = {"ACA_MCP_API_KEY": str(greeting["api_key"])}
        yield
    finally:
        await asyncio.to_thread(stop, process)
        if endpoint:
            forget_pool(endpoint)
