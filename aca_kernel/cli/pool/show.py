"""`aca-kernel pool show`: what Azure says about one pool."""

from __future__ import annotations

import asyncio
import dataclasses
import json
from typing import TYPE_CHECKING

from ...pool.azure.refusals import keys_are_disabled, mcp_is_off
from ...pool.azure.resource_names import PoolId
from .common import Place, add_place, add_pool

if TYPE_CHECKING:
    import argparse

    from ...pool.azure.shapes import SessionPool


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of `aca-kernel pool show`."""
    add_pool(parser)
    add_place(parser)
    parser.add_argument("--json", action="store_true", help="print a JSON object")


def run(namespace: argparse.Namespace) -> int:
    """Print a pool."""
    return asyncio.run(_run(namespace))


async def _run(namespace: argparse.Namespace) -> int:
    place = Place.of(namespace)
    group, name = place.need_group(), place.need_name()
    async with place.connected() as control:
        pool_id = PoolId(control.group(group), name)
        pool = await control.pools.get_in_full(pool_id)
    if namespace.json:
        print(json.dumps(dataclasses.asdict(pool), indent=2))
        return 0
    lines = _lines(pool)
    width = max(len(head) for head, _ in lines)
    for head, value in lines:
        print(f"{head.ljust(width)}  {value}")
    if pool.is_mcp_enabled and pool.is_key_disabled:
        print(keys_are_disabled(pool.name).message)
    elif pool.is_mcp_enabled:
        print(f"Next: {place.install_command(pool_id)}")
    else:
        print(mcp_is_off(pool.name).message)
    return 0


def _lines(pool: SessionPool) -> list[tuple[str, str]]:
    return [
        ("Name", pool.name),
        ("Subscription", pool.subscription),
        ("Resource group", pool.resource_group),
        ("Location", pool.location),
        ("State", pool.state),
        ("Container type", pool.container_type),
        ("MCP endpoint", pool.mcp_endpoint or "none" if pool.is_mcp_enabled else "none, it is off"),
        ("API key", "disabled" if pool.is_key_disabled else "enabled"),
        ("Max sessions", _or_unknown(pool.max_sessions)),
        ("Cooldown", f"{_or_unknown(pool.cooldown_seconds)} s"),
        ("Egress", _or_unknown(pool.egress)),
    ]


def _or_unknown(value: object) -> str:
    return "unknown" if value is None else str(value)
