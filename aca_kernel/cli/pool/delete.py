"""`aca-kernel pool delete`: end a pool, or the whole resource group that it is in."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from ...errors import PoolNotFound
from ...pool.azure.resource_groups import delete_group, group_location
from ...pool.azure.resource_names import PoolId
from .common import (
    Place,
    add_place,
    add_pool,
    add_timeout,
    check_can_ask,
    confirm,
)

if TYPE_CHECKING:
    import argparse

    from .common import Control

_NOTHING_DONE = "Nothing was deleted."


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of `aca-kernel pool delete`."""
    add_pool(parser)
    parser.add_argument(
        "--delete-resource-group",
        action="store_true",
        help="delete the whole resource group, with everything else in it; --name is not needed",
    )
    parser.add_argument("--yes", "-y", action="store_true", help="do not ask")
    add_place(parser)
    add_timeout(parser)


def run(namespace: argparse.Namespace) -> int:
    """Ask, delete, and return when it is gone; 1 if the answer was no."""
    return asyncio.run(_run(namespace))


async def _run(namespace: argparse.Namespace) -> int:
    place = Place.of(namespace)
    group = place.need_group()
    name = "" if namespace.delete_resource_group else place.need_name()
    check_can_ask(is_agreed=namespace.yes)
    async with place.connected() as control:
        if namespace.delete_resource_group:
            done = await _delete_group(control, group, namespace)
        else:
            done = await _delete_pool(control, group, name, namespace)
    print(done)
    return 1 if done == _NOTHING_DONE else 0


async def _delete_pool(
    control: Control, group: str, name: str, namespace: argparse.Namespace
) -> str:
    pool = PoolId(control.group(group), name)
    # First of all: a question about what is not there would be a riddle.
    await control.pools.get(pool)
    question = f"Delete the session pool {pool}, and its environments with all that is in them?"
    if not confirm(question, is_agreed=namespace.yes):
        return _NOTHING_DONE
    await control.pools.delete(pool, timeout_seconds=namespace.timeout_seconds)
    return f"Deleted the session pool {pool}."


async def _delete_group(control: Control, name: str, namespace: argparse.Namespace) -> str:
    group = control.group(name)
    if await group_location(control.arm, group) is None:
        raise PoolNotFound(
            f"There is no resource group {name} in this subscription. Check its name and the "
            "subscription."
        )
    question = (
        f"Delete the resource group {name} of subscription {group.subscription}, with EVERYTHING "
        "in it, session pools or not?"
    )
    if not confirm(question, is_agreed=namespace.yes):
        return _NOTHING_DONE
    await delete_group(control.arm, group, timeout_seconds=namespace.timeout_seconds)
    return f"Deleted the resource group {name} with everything in it."
