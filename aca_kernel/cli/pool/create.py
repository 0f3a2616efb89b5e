"""`aca-kernel pool create`: create or change a pool, with all that it needs."""

from __future__ import annotations

import argparse

from ...errors import AccessDenied, SettingInvalid
from ...pool.azure.refusals import keys_are_disabled
from ...pool.azure.resource_groups import (
    create_group,
    group_location,
    register_mcp_feature,
    register_provider,
)
from ...pool.azure.resource_names import PROVIDER, check_location
from ...pool.azure.shapes import LONGEST_COOLDOWN_SECONDS, PoolChoices, SessionPool, is_failure
from ..configuration import add_cloud
from .common import Control, add_choices, add_pool, add_timeout, choices_of, connected, settings_of


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of `aca-kernel pool create`."""
    parser.description = (
        f"Register {PROVIDER} and its preview of MCP servers for the subscription, make the "
        "resource group if there is none, create a session pool for Python with its MCP server "
        "on, and say how to use it. A pool that exists already gets the options that are given "
        "and keeps the others."
    )
    add_pool(parser, "Resource group, made if there is none (default: $ACA_RESOURCE_GROUP).")
    parser.add_argument(
        "--location", "-l", help="location, e.g. eastus (default: that of the resource group)"
    )
    add_choices(parser)
    add_cloud(parser)
    add_timeout(parser)


async def run(namespace: argparse.Namespace) -> int:
    """Create or change a pool and print its endpoint and the next step."""
    settings = settings_of(namespace, "resource_group", "session_pool")
    options = choices_of(namespace)
    location = check_location(namespace.location) if namespace.location is not None else None
    async with connected(settings, timeout_seconds=namespace.timeout_seconds) as control:
        ready, done = await _create(control, location, options)
    print(f"The session pool {control.pool} {done}.")
    print(f"MCP endpoint: {ready.mcp_endpoint}")
    if ready.cooldown_seconds is not None:
        print(_billing_sentence(ready.cooldown_seconds))
    if ready.is_key_disabled:
        print(keys_are_disabled(control.pool.name).message)
    else:
        print(f"Next: {control.install_command()}")
    return 0


def _billing_sentence(cooldown_seconds: int) -> str:
    """Say what a cooldown means for the bill. Source: docs/azure.md, "What a place costs"."""
    text = (
        "Billing: Azure bills an environment by the hour begun, until it has been idle for the "
        f"cooldown. With {cooldown_seconds} s, each pause longer than that begins another hour"
    )
    if cooldown_seconds < LONGEST_COOLDOWN_SECONDS:
        text += (
            f"; a longer cooldown, up to {LONGEST_COOLDOWN_SECONDS} s, can cost less but holds a "
            "place longer"
        )
    return f"{text}. More: aca-kernel help azure"


async def _create(
    control: Control, location: str | None, options: PoolChoices
) -> tuple[SessionPool, str]:
    """Return the pool when it is ready, and a report of the change."""
    pool = control.pool
    group_at = await _find_group(control, location)
    if await register_provider(control.arm, control.subscription):
        control.progress.say(f"Registered {PROVIDER} for the subscription.")
    existing = await control.pools.find(pool) if group_at is not None else None
    if existing is not None:
        return await _change(control, existing, location, options)
    location = location or group_at
    assert location is not None  # noqa: S101 - _find_group has seen to it
    await _register_feature(control)
    if group_at is None:
        await create_group(control.arm, pool.group, location)
        control.progress.say(f"Made the resource group {pool.group.name} in {location}.")
    created = await control.pools.create(pool, location, options)
    return created, "is ready"


async def _register_feature(control: Control) -> None:
    said = await register_mcp_feature(control.arm, control.subscription)
    if said:
        control.progress.say(said)


async def _find_group(control: Control, location: str | None) -> str | None:
    """Return the location of the resource group, None if it has to be made.

    Raises SettingInvalid: it has to be made, and no location was given.
    """
    try:
        found = await group_location(control.arm, control.group)
    except AccessDenied:
        # A login may work with pools and not look at their group.
        if location is None:
            raise
        return location
    if found is None and location is None:
        raise SettingInvalid(
            f"There is no resource group {control.group.name} in this subscription: give "
            "--location to say where to make it, e.g. eastus."
        )
    return found


async def _change(
    control: Control, existing: SessionPool, location: str | None, options: PoolChoices
) -> tuple[SessionPool, str]:
    pool, at = control.pool, check_location(existing.location)
    if location is not None and location != at:
        raise SettingInvalid(
            f"The session pool {pool} exists in {at} and cannot be moved to {location}: choose "
            "another name, or delete it first."
        )
    if not existing.is_settled:
        existing = await control.pools.settled(pool)
    changes = _differences(existing, options)
    if not changes and existing.is_mcp_enabled and not is_failure(existing.state):
        return existing, "exists already and was left as it is"
    if not existing.is_mcp_enabled:
        await _register_feature(control)
    changed = await control.pools.change(pool, options)
    if not existing.is_mcp_enabled:
        changes.append("MCP server on")
    elif not changes:
        changes.append(f"{existing.state.lower()} → {changed.state.lower()}")
    return changed, f"existed and was changed: {', '.join(changes)}"


def _differences(existing: SessionPool, options: PoolChoices) -> list[str]:
    """Return the options that change, for the report."""
    pairs = [
        ("max sessions", existing.max_sessions, options.max_sessions),
        ("cooldown seconds", existing.cooldown_seconds, options.cooldown_seconds),
        ("egress", existing.egress, options.egress),
    ]
    return [
        f"{name} {'unknown' if before is None else before} → {after}"
        for name, before, after in pairs
        if after is not None and after != before
    ]
