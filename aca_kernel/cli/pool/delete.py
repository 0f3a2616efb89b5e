"""`aca-kernel pool delete`: end a pool, or the whole resource group that it is in."""

from __future__ import annotations

import argparse
import sys

from ...errors import PoolNotFound, SettingInvalid
from ...pool.azure.resource_groups import delete_group, group_location
from ..configuration import add_cloud
from .common import add_pool, add_timeout, connected, settings_of


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of `aca-kernel pool delete`."""
    add_pool(parser)
    parser.add_argument(
        "--delete-resource-group",
        action="store_true",
        help="delete the whole resource group, with everything else in it; --name is not needed",
    )
    parser.add_argument("--yes", "-y", action="store_true", help="do not ask")
    add_cloud(parser)
    add_timeout(parser)


async def run(namespace: argparse.Namespace) -> int:
    """Ask, delete, and return when it is gone; 1 if the answer was no."""
    is_whole_group = namespace.delete_resource_group
    needed = ("resource_group",) if is_whole_group else ("resource_group", "session_pool")
    settings = settings_of(namespace, *needed)
    # Ahead of anything else.
    if not namespace.yes and not sys.stdin.isatty():
        raise SettingInvalid("Nobody can be asked here, so nothing is deleted: add --yes.")
    async with connected(settings, timeout_seconds=namespace.timeout_seconds) as control:
        group, pool = control.group, control.pool
        # First of all: nobody is asked about a pool that does not exist.
        if not is_whole_group:
            await control.pools.get(pool)
            question = (
                f"Delete the session pool {pool}, and its environments with all that is in them?"
            )
            done = f"Deleted the session pool {pool}."
        elif await group_location(control.arm, group) is None:
            raise PoolNotFound(
                f"There is no resource group {group.name} in this subscription. Check its name and "
                "the subscription."
            )
        else:
            question = (
                f"Delete the resource group {group.name} of subscription {group.subscription}, "
                "with EVERYTHING in it, session pools or not?"
            )
            done = f"Deleted the resource group {group.name} with everything in it."
        if not (namespace.yes or _is_confirmed(question)):
            print("Nothing was deleted.")
            return 1
        if is_whole_group:
            await delete_group(control.arm, group)
        else:
            await control.pools.delete(pool)
    print(done)
    return 0


def _is_confirmed(question: str) -> bool:
    try:
        answer = input(f"{question} [y/N] ")
    except EOFError:
        answer = ""
    return answer.strip().lower() in ("y", "yes")
