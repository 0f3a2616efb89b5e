"""Resource groups, and the registration of the provider: the preconditions of a pool."""

from __future__ import annotations

import asyncio
import time

from ...errors import AccessDenied, AzureRefused, PoolBusy, PoolNotFound
from .arm import Arm, found
from .long_running import Wait
from .resource_names import (
    FEATURES_API_VERSION,
    MCP_FEATURE,
    PROVIDER,
    RESOURCES_API_VERSION,
    ResourceGroupId,
)

# So that the seconds that are shown move.
_POLL_SECONDS = 1.0

# Features that need no approval are registered in minutes.
_LONGEST_FEATURE_SECONDS = 300.0


async def register_provider(arm: Arm, subscription: str) -> bool:
    """Register Microsoft.App for a subscription; return False if it was registered already.

    False also for a login that may not look: it may have a role on a resource group only, in a
    subscription that is registered.
    Raises AccessDenied: this login may not register it.
    Raises PoolBusy: it takes longer than other operations may.
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
        if waited >= arm.operation_timeout_seconds:
            raise PoolBusy(
                f"Registering {PROVIDER} takes longer than {arm.operation_timeout_seconds:.0f} s. "
                "It goes on by itself; try again in a few minutes."
            )
        arm.tell(f"Registering {PROVIDER}", waited)
        await asyncio.sleep(_POLL_SECONDS)
    return True


async def register_mcp_feature(arm: Arm, subscription: str) -> str:
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
        state = await _settled_feature(arm, path)
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


async def _settled_feature(arm: Arm, path: str) -> str:
    """Return a feature's state when it is no longer being registered, or takes too long."""
    longest = min(arm.operation_timeout_seconds, _LONGEST_FEATURE_SECONDS)
    started = time.monotonic()
    while (state := await _feature_state(arm, path)) == "Registering":
        waited = time.monotonic() - started
        if waited >= longest:
            break
        arm.tell(f"Registering the feature {PROVIDER}/{MCP_FEATURE}", waited)
        await asyncio.sleep(_POLL_SECONDS)
    return state


async def group_location(arm: Arm, group: ResourceGroupId) -> str | None:
    """Return the location of a resource group, None if there is no such group."""
    answer = await found(arm.request("GET", group.path, RESOURCES_API_VERSION))
    return None if answer is None else str(answer.body.get("location") or "")


async def create_group(arm: Arm, group: ResourceGroupId, location: str) -> None:
    """Make a resource group, or leave it as it is."""
    await arm.request("PUT", group.path, RESOURCES_API_VERSION, {"location": location})


async def delete_group(arm: Arm, group: ResourceGroupId) -> None:
    """Delete a resource group with everything in it; return when it is gone.

    Raises PoolNotFound: there is none. Raises the errors of Wait.
    """
    wait = Wait(arm, f"Deleting the resource group {group.name}", group.path)
    await wait.request("DELETE", RESOURCES_API_VERSION)


async def _feature_state(arm: Arm, path: str) -> str:
    answer = await arm.request("GET", path, FEATURES_API_VERSION)
    properties = answer.body.get("properties")
    return str(properties.get("state", "")) if isinstance(properties, dict) else ""


async def _registration(arm: Arm, path: str) -> str:
    answer = await arm.request("GET", path, RESOURCES_API_VERSION)
    return str(answer.body.get("registrationState", ""))
