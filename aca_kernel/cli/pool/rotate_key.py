"""`aca-kernel pool rotate-key`: replace a pool's API key, which nobody gets to see."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from ...pool.azure.resource_names import PoolId
from .common import Place, add_place, add_pool

if TYPE_CHECKING:
    import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of `aca-kernel pool rotate-key`."""
    parser.description = (
        "Replace the API key of a session pool. Kernels that know the pool by its name fetch the "
        "new one by themselves."
    )
    add_pool(parser)
    add_place(parser)


def run(namespace: argparse.Namespace) -> int:
    """Rotate the key and say what that means for those who use it."""
    return asyncio.run(_run(namespace))


async def _run(namespace: argparse.Namespace) -> int:
    place = Place.of(namespace)
    group, name = place.need_group(), place.need_name()
    async with place.connected() as control:
        pool = PoolId(control.group(group), name)
        await control.pools.rotate_key(pool)
    print(f"The API key of the session pool {pool} was replaced.")
    print(
        "For up to five minutes the old key may still work and the new one be refused. Kernels "
        "that know the pool by its name fetch it themselves; wherever ACA_MCP_API_KEY or another "
        "client has the old key, set the new one."
    )
    return 0
