"""Operations on session pools: find, create, change, delete, and their keys."""

from __future__ import annotations

from typing import Any

from ...errors import AzureRefused, PoolBusy, PoolNotFound, SettingInvalid
from .arm import Arm, found
from .long_running import Wait
from .refusals import MCP_REMEDY, is_no_such_action, keys_are_disabled, mcp_is_off
from .resource_names import (
    MCP_FEATURE,
    POOLS_API_VERSION,
    PROVIDER,
    SPECIFIED_API_VERSION,
    PoolId,
    ResourceGroupId,
)
from .shapes import (
    CONTAINER_TYPE,
    PoolChoices,
    SessionPool,
    changed_pool,
    key_from,
    new_pool,
    pool_from,
)


class SessionPools:
    """Session pools over one connection. Every method also raises the errors of Arm.request."""

    def __init__(self, arm: Arm) -> None:
        self._arm = arm

    async def get(self, pool: PoolId) -> SessionPool:
        """Return a pool. Raises PoolNotFound."""
        return pool_from(await self._resource(pool))

    async def get_in_full(self, pool: PoolId) -> SessionPool:
        """Return a pool with what only a newer api-version tells. Raises PoolNotFound."""
        resource, _ = await self._in_full(pool)
        return pool_from(resource)

    async def find(self, pool: PoolId) -> SessionPool | None:
        """Return a pool, None if there is none. Raises PoolNotFound: no such subscription."""
        return await found(self.get_in_full(pool))

    async def list_in(self, subscription: str, group: ResourceGroupId | None) -> list[SessionPool]:
        """Return the pools of a resource group, or of the whole subscription, by name."""
        within = group.path if group is not None else f"/subscriptions/{subscription}"
        resources = await self._arm.get_all(
            f"{within}/providers/{PROVIDER}/sessionPools", POOLS_API_VERSION
        )
        return sorted(map(pool_from, resources), key=lambda one: (one.resource_group, one.name))

    async def create(self, pool: PoolId, location: str, options: PoolChoices) -> SessionPool:
        """Create a pool and return it when it is ready.

        Raises PoolNotFound: it was created, but without an MCP server.
        """
        what = f"Creating the session pool {pool.name}"
        return await self._put(what, pool, new_pool(location, options))

    async def change(self, pool: PoolId, options: PoolChoices) -> SessionPool:
        """Give an existing pool these options, and keep the others; raises as create.

        Raises SettingInvalid: it is a pool of another kind.
        """
        resource, version = await self._in_full(pool)
        kind = pool_from(resource).container_type
        if kind != CONTAINER_TYPE:
            raise SettingInvalid(
                f"The session pool {pool} exists and has the container type {kind}; a notebook "
                f"needs {CONTAINER_TYPE}. Choose another name."
            )
        what = f"Changing the session pool {pool.name}"
        return await self._put(what, pool, changed_pool(resource, options), version)

    async def settled(self, pool: PoolId) -> SessionPool:
        """Return a pool when nobody else makes or changes it any more."""
        wait = Wait(self._arm, f"Waiting for the session pool {pool.name}", pool.path)
        return pool_from(await wait.settled(POOLS_API_VERSION))

    async def delete(self, pool: PoolId) -> None:
        """Delete a pool with its environments; return when it is gone."""
        wait = Wait(self._arm, f"Deleting the session pool {pool.name}", pool.path)
        await wait.request("DELETE", POOLS_API_VERSION)

    async def fetch_key(self, pool: PoolId) -> str:
        """Return the API key. Raises PoolNotFound: the pool has no MCP server."""
        path = f"{pool.path}/fetchMCPServerCredentials"
        answer = await self._arm.request("POST", path, POOLS_API_VERSION)
        return key_from(answer.body)

    async def rotate_key(self, pool: PoolId) -> None:
        """Replace the API key. Raises PoolNotFound: the pool has no MCP server."""
        path = f"{pool.path}/regenerateCredentials"
        try:
            await self._arm.request("POST", path, POOLS_API_VERSION, is_repeatable=False)
        except (AzureRefused, PoolNotFound) as error:
            if not is_no_such_action(error):
                raise
            # The documentation has that name; the published specification this one.
            path = f"{pool.path}/rotateMcpServerCredentials"
            await self._arm.request("POST", path, SPECIFIED_API_VERSION, is_repeatable=False)

    async def _resource(self, pool: PoolId) -> dict[str, Any]:
        return (await self._arm.request("GET", pool.path, POOLS_API_VERSION)).body

    async def _in_full(self, pool: PoolId) -> tuple[dict[str, Any], str]:
        """Return a pool's resource and the api-version that it is from.

        What an older version does not tell, a PUT by that version might drop.
        """
        try:
            answer = await self._arm.request("GET", pool.path, SPECIFIED_API_VERSION)
        except AzureRefused:  # it is a preview, which a cloud or a location may not offer
            return await self._resource(pool), POOLS_API_VERSION
        return answer.body, SPECIFIED_API_VERSION

    async def _put(
        self, what: str, pool: PoolId, body: dict[str, Any], version: str = POOLS_API_VERSION
    ) -> SessionPool:
        wait = Wait(self._arm, what, pool.path)
        await wait.request("PUT", version, body)
        ready = pool_from(await wait.settled(version))
        if not ready.is_mcp_enabled:
            # Azure answers Succeeded and leaves it off: where the preview is not offered, or for
            # a pool that was there before (service-contract).
            raise PoolNotFound(
                f"The session pool {pool.name} is there, but Azure has not switched on its MCP "
                f"server. {MCP_REMEDY} If it was new, choose another location, or register the "
                f"preview: `az feature register --namespace {PROVIDER} --name {MCP_FEATURE}`."
            )
        return ready


def endpoint_of(pool: SessionPool) -> str:
    """Return a pool's MCP endpoint.

    Raises PoolNotFound: it has none. Raises PoolBusy: it may have one soon.
    Raises AccessDenied: it takes no API key.
    """
    if not pool.is_mcp_enabled and not pool.is_settled:
        raise PoolBusy(
            f"The session pool {pool.name} is not ready yet: Azure says that it is {pool.state}."
        )
    if not pool.is_mcp_enabled or pool.mcp_endpoint is None:
        raise mcp_is_off(pool.name)
    if pool.is_key_disabled:
        raise keys_are_disabled(pool.name)
    return pool.mcp_endpoint
