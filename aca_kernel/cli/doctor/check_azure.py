"""Checks of what a kernel asks Azure for: login, subscription, role, pool and key."""

from __future__ import annotations

from ...errors import AcaKernelError, AccessDenied, CredentialUnavailable, PoolNotFound
from ...pool.azure.account import subscription_of
from ...pool.azure.arm import Arm
from ...pool.azure.azure_backend import names_of
from ...pool.azure.clouds import cloud_at
from ...pool.azure.credentials import Tokens
from ...pool.azure.pools import SessionPools, endpoint_of
from ...pool.azure.resource_names import MCP_FEATURE, PROVIDER, pool_id
from ...pool.azure.shapes import CONTAINER_TYPE, SessionPool
from ...pool.backend import check_endpoint
from ..configuration import DEFAULT
from .check_machine import public_address
from .checklist import Found, Skipped, Step
from .report import CheckOutcome, failed, failure, warning


def steps() -> list[Step]:
    """Return the checks of a pool that is known by its name, up to its key."""
    return [
        Step("login", _login),
        Step("subscription", _subscription),
        # The checks that follow say more about what it could not do.
        Step("role", _role, is_needed=False),
        Step("pool", _pool),
        Step("mcp-server", _mcp_server),
        Step("key", _key),
    ]


async def _login(found: Found) -> CheckOutcome:
    settings = found.settings
    cloud = cloud_at(settings.arm_endpoint, allow_plain_http=settings.allow_plain_http)
    tokens = Tokens(cloud)
    found.arm = Arm(cloud, tokens, connect_timeout_seconds=settings.connect_timeout_seconds)
    found.stack.push_async_callback(found.arm.close)
    try:
        await tokens.token()
    except CredentialUnavailable as error:
        return failed(error.message, f"Run `{cloud.login_command}`, then this command again.")
    return CheckOutcome(f"logged in by {tokens.credential_name or 'azure-identity'}")


async def _subscription(found: Found) -> CheckOutcome:
    settings = found.settings
    subscription = await subscription_of(settings.subscription)
    group, name = names_of(settings)
    found.pool_id = pool_id(subscription, group, name)
    source = found.sources["subscription"]
    if source == DEFAULT:
        source = "the Azure CLI's current account"
    return CheckOutcome(f"{subscription} ({source})")


async def _role(found: Found) -> CheckOutcome:
    """Do all that needs the login; the checks that follow report the results."""
    pools = SessionPools(found.arm)
    try:
        found.pool = await pools.get_in_full(found.pool_id)
    except AcaKernelError as error:
        found.pool = error
        if isinstance(error, AccessDenied):
            return failure(error)
        raise Skipped("it shows only on a pool that can be read") from error
    try:
        found.key = await pools.fetch_key(found.pool_id)
    except AcaKernelError as error:
        found.key = error
        if isinstance(error, AccessDenied):
            return failure(error)
        return CheckOutcome("this login may read the pool and ask for its key")
    return CheckOutcome("this login may read the pool and fetch its key")


def _described(found: Found) -> SessionPool:
    if isinstance(found.pool, AccessDenied):
        raise Skipped("this login may not read it")
    if isinstance(found.pool, AcaKernelError):
        raise found.pool
    assert found.pool is not None  # noqa: S101 - the check `role` has looked
    return found.pool


async def _pool(found: Found) -> CheckOutcome:
    pool = _described(found)
    detail = f"{pool.name} in {pool.location or 'an unnamed location'}, {pool.state}"
    if pool.container_type != CONTAINER_TYPE:
        return warning(
            f"{detail}, container type {pool.container_type or 'unknown'}",
            f"A notebook needs a pool with container type {CONTAINER_TYPE}: create one with "
            "`aca-kernel pool create`.",
        )
    if not pool.is_settled:
        return warning(detail, "Wait until Azure is done with it.")
    return CheckOutcome(
        f"{detail}, at most {pool.max_sessions or 'an unknown number of'} environments"
    )


async def _mcp_server(found: Found) -> CheckOutcome:
    pool = _described(found)
    try:
        endpoint = endpoint_of(pool)
    except PoolNotFound as error:
        outcome = failure(error)
        if pool.has_mcp_settings:
            return outcome
        # Seen by a public measurement with the flag registered: that it is missing is a guess.
        return failed(
            f"{outcome.detail} Azure gives no MCP settings for it (null).",
            f"{outcome.remedy} If a new pool has none either, the preview may be missing: `az "
            f"feature register --namespace {PROVIDER} --name {MCP_FEATURE}`, then `az provider "
            f"register --namespace {PROVIDER}`.",
        )
    found.address = check_endpoint(endpoint, found.settings.allow_plain_http)
    return CheckOutcome(f"on, at {public_address(endpoint)}")


async def _key(found: Found) -> CheckOutcome:
    if isinstance(found.key, AccessDenied):
        raise Skipped("this login may not fetch it")
    if isinstance(found.key, AcaKernelError):
        raise found.key
    return CheckOutcome("fetched; it is kept in memory only")
