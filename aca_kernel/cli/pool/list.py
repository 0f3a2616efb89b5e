"""`aca-kernel pool list`: the session pools of a subscription or a resource group."""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys

from ...batch.lines import print_table
from ..configuration import add_cloud
from ..setting_options import add_setting
from .common import connected, settings_of


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of `aca-kernel pool list`."""
    text = "Only the pools of this resource group (default: all)."
    add_setting(parser, "resource_group", "-g", text=text)
    add_cloud(parser)
    parser.add_argument("--json", action="store_true", help="print a JSON array")


async def run(namespace: argparse.Namespace) -> int:
    """Print the pools, one a line."""
    # ACA_RESOURCE_GROUP does not count here: the user is looking for something.
    given = namespace.resource_group
    settings = settings_of(namespace, *(["resource_group"] if given is not None else []))
    async with connected(settings) as control:
        group = control.group if given is not None else None
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
