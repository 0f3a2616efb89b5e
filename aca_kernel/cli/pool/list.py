"""`aca-kernel pool list`: the session pools of a subscription or a resource group."""

from __future__ import annotations

import asyncio
import dataclasses
import json
import sys
from typing import TYPE_CHECKING

from ...batch.lines import print_table
from .common import Place, add_place, add_resource_group

if TYPE_CHECKING:
    import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of `aca-kernel pool list`."""
    add_resource_group(parser, "only the pools of this resource group (default: all)")
    add_place(parser)
    parser.add_argument("--json", action="store_true", help="print a JSON array")


def run(namespace: argparse.Namespace) -> int:
    """Print the pools, one a line."""
    return asyncio.run(_run(namespace))


async def _run(namespace: argparse.Namespace) -> int:
    place = Place.of(namespace)
    async with place.connected() as control:
        # ACA_RESOURCE_GROUP does not count here: who lists is looking for something.
        given = namespace.resource_group
        group = control.group(place.need_group()) if given is not None else None
        pools = await control.pools.list_in(control.subscription, group)
    if namespace.json:
        print(json.dumps([dataclasses.asdict(pool) for pool in pools], indent=2))
    elif not pools:
        where = f"resource group {given}" if given is not None else "this subscription"
        print(f"There are no session pools in {where}.", file=sys.stderr)
    else:
        print_table(
            sys.stdout,
            ("NAME", "RESOURCE GROUP", "LOCATION", "STATE", "MCP", "MAX SESSIONS", "COOLDOWN"),
            [
                (
                    pool.name,
                    pool.resource_group,
                    pool.location,
                    pool.state,
                    "on" if pool.is_mcp_enabled else "off",
                    "?" if pool.max_sessions is None else str(pool.max_sessions),
                    "?" if pool.cooldown_seconds is None else f"{pool.cooldown_seconds} s",
                )
                for pool in pools
            ],
        )
    return 0
