"""What a session pool needs before it can be created: the provider and a resource group."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

from ...errors import AccessDenied, AzureRefused, PoolBusy, PoolNotFound
from .arm import found
from .long_running import Wait
from .resource_names import (
    FEATURES_API_VERSION,
    MCP_FEATURE,
    PROVIDER,
    RESOURCES_API_VERSION,
)

if TYPE_CHECKING:
    from .arm import Arm
    from .resource_names import ResourceGroupId

# Short, so that the seconds that are shown move.
_POLL_SECONDS = 1.0

# Features that need no approval are registered in minutes.
_LONGEST_FEATURE_SECONDS = 300.0


async def register_provider(arm: Arm, subscription: str, *, timeout_seconds: float) -> bool:
    """Register Microsoft.App for a subscription; return False if it was registered already.

    A login that must not look is taken at its word: it may have a role on a resource group
    only, in a subscription that somebody else has registered.
    Raises AccessDenied: it is not registered and this login must not do it.
    Raises PoolBusy: it takes longer than timeout_seconds.
    """
    path = f"/subscriptions/{subscription}/providers/{PROVIDER}"
    try:
        state = await _registration(arm, path)
    except AccessDenied as error:
        if error.detail.startswith("HTTP 401"):
            raise
        return False
    if state == "Registered":
        return False
    arm.tell(f"Registering {PROVIDER}")
    await arm.request("POST", f"{path}/register", RESOURCES_API_VERSION)
    started = time.monotonic()
    while await _registration(arm, path) != "Registered":
        waited = time.monotonic() - started
        if waited >= timeout_seconds:
            raise PoolBusy(
                f"Registering {PROVIDER} takes longer than {timeout_seconds:.0f} s. It goes on by "
                "itself; try again in a few minutes."
            )
        arm.tell(f"Registering {PROVIDER}", waited)
        await asyncio.sleep(_POLL_SECONDS)
    return True


async def register_mcp_feature(arm: Arm, subscription: str, *, timeout_seconds: float) -> str:
    """Register the preview of MCP servers for a subscription, unless it is registered.

    Returns a sentence about it, empty if there was nothing to do. A refusal is no failure: whether
    a pool needs it is not documented, and what comes of it shows when the pool is there.
    """
    path = (
        f"/subscriptions/{subscription}/providers/Microsoft.Features/providers/{PROVIDER}"
        f"/features/{MCP_FEATURE}"
    )
    feature = f"feature {PROVIDER}/{MCP_FEATURE}"
    try:
        state = await _feature_state(arm, path)
    except (AccessDenied, AzureRefused, PoolNotFound):
        return ""
    if state not in ("NotRegistered", "Unregistered", "Registering"):
        return ""
    try:
        if state != "Registering":
            await arm.request("POST", f"{path}/register", FEATURES_API_VERSION)
        arm.tell(f"Registering the {feature}")
        state = await _settled_feature(arm, path, min(timeout_seconds, _LONGEST_FEATURE_SECONDS))
        if state == "Registered":
            # So that the provider learns of it, says the documentation of Microsoft.Features.
            provider = f"/subscriptions/{subscription}/providers/{PROVIDER}"
            await arm.request("POST", f"{provider}/register", RESOURCES_API_VERSION)
            return f"Registered the {feature} for the subscription."
    except (AccessDenied, AzureRefused, PoolNotFound) as error:
        return (
            f"The {feature} is {state}, and this login could not register it ({error.detail}). If "
            "the pool gets no MCP server, ask the owner of the subscription to register it."
        )
    return (
        f"The {feature} is {state}. If the pool gets no MCP server, wait until it is registered, "
        "then create the pool again."
    )


async def _settled_feature(arm: Arm, path: str, timeout_seconds: float) -> str:
    """Return a feature's state when it is no longer being registered, or after that time."""
    started = time.monotonic()
    while (state := await _feature_state(arm, path)) == "Registering":
        waited = time.monotonic() - started
        if waited >= timeout_seconds:
            break
        arm.tell(f"Registering the feature {PROVIDER}/{MCP_FEATURE}", waited)
        await asyncio.sleep(_POLL_SECONDS)
    return state


async def group_location(arm: Arm, group: ResourceGroupId) -> str | None:
    """Return where a resource group is; None if there is none of that name."""
    answer = await found(arm.request("GET", group.path, RESOURCES_API_VERSION))
    return None if answer is None else str(answer.body.get("location") or "")


async def create_group(arm: Arm, group: ResourceGroupId, location: str) -> None:
    """Make a resource group, or leave it as it is."""
    await arm.request("PUT", group.path, RESOURCES_API_VERSION, {"location": location})


async def delete_group(arm: Arm, group: ResourceGroupId, *, timeout_seconds: float) -> None:
    """Delete a resource group with everything in it; return when it is gone.

    Raises PoolNotFound: there is none. Raises as Wait.finish.
    """
    what = f"Deleting the resource group {group.name}"
    arm.tell(what)
    answer = await arm.request("DELETE", group.path, RESOURCES_API_VERSION)
    await Wait(arm, what, group.path, timeout_seconds).finish(answer)


async def _feature_state(arm: Arm, path: str) -> str:
    answer = await arm.request("GET", path, FEATURES_API_VERSION)
    properties = answer.body.get("properties")
    return str(properties.get("state", "")) if isinstance(properties, dict) else ""


async def _registration(arm: Arm, path: str) -> str:
    answer = await arm.request("GET", path, RESOURCES_API_VERSION)
    return str(answer.body.get("registrationState", ""))
