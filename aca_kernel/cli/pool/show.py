"""`aca-kernel pool show`: one pool as Azure describes it."""

from __future__ import annotations

import argparse
import dataclasses
import json

from ...pool.azure.refusals import keys_are_disabled, mcp_is_off
from ...pool.azure.shapes import SessionPool
from ..configuration import add_cloud
from .common import add_pool, connected, settings_of


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of `aca-kernel pool show`."""
    add_pool(parser)
    add_cloud(parser)
    parser.add_argument("--json", action="store_true", help="print a JSON object")


async def run(namespace: argparse.Namespace) -> int:
    """Print a pool."""
    async with connected(settings_of(namespace, "resource_group", "session_pool")) as control:
        pool = await control.pools.get_in_full(control.pool)
    if namespace.json:
        print(json.dumps(dataclasses.asdict(pool), indent=2))
        return 0
    lines = _lines(pool)
    width = max(map(len, lines))
    for head, value in lines.items():
        print(f"{head.ljust(width)}  {value}")
    if pool.is_mcp_enabled and pool.is_key_disabled:
        print(keys_are_disabled(pool.name).message)
    elif pool.is_mcp_enabled:
        print(f"Next: {control.install_command()}")
    else:
        print(mcp_is_off(pool.name).message)
    return 0


def _lines(pool: SessionPool) -> dict[str, str]:
    endpoint = pool.mcp_endpoint or "none" if pool.is_mcp_enabled else "none, it is off"
    return {
        "Name": pool.name,
        "Subscription": pool.subscription,
        "Resource group": pool.resource_group,
        "Location": pool.location,
        "State": pool.state,
        "Container type": pool.container_type,
        "MCP endpoint": endpoint,
        "API key": "disabled" if pool.is_key_disabled else "enabled",
        "Max sessions": _or_unknown(pool.max_sessions),
        "Cooldown": f"{_or_unknown(pool.cooldown_seconds)} s",
        "Egress": _or_unknown(pool.egress),
    }


def _or_unknown(value: object) -> str:
    return "unknown" if value is None else str(value)
