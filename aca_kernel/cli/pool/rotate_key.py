"""`aca-kernel pool rotate-key`: replace a pool's API key, which is never shown."""

from __future__ import annotations

import argparse

from ..configuration import add_cloud
from .common import add_pool, connected, settings_of


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of `aca-kernel pool rotate-key`."""
    parser.description = (
        "Replace the API key of a session pool. Kernels that know the pool by its name fetch the "
        "new one by themselves."
    )
    add_pool(parser)
    add_cloud(parser)


async def run(namespace: argparse.Namespace) -> int:
    """Rotate the key and say what that means for those who use it."""
    async with connected(settings_of(namespace, "resource_group", "session_pool")) as control:
        await control.pools.rotate_key(control.pool)
    print(f"The API key of the session pool {control.pool} was replaced.")
    print(
        "For up to five minutes the old key may still work and the new one be refused. Kernels "
        "that know the pool by its name fetch it themselves; wherever ACA_MCP_API_KEY or another "
        "client has the old key, set the new one."
    )
    return 0
