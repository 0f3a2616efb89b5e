"""A session pool known by its name, whose endpoint and key come from Azure.

The key lives in memory only. A refused key is fetched again; while the pool refuses that one
too, the caller is told to wait (KeyPending): the service takes up to five minutes to accept a
new key (mcp-authentication.md of the vendor).
"""

from __future__ import annotations

import asyncio
import time

from ...errors import KeyPending, PoolBusy, PoolUnreachable, SettingInvalid
from ...settings import AcaKernel
from ..backend import Backend, check_endpoint
from ..mcp_client import McpClient
from .account import subscription_of
from .arm import Arm
from .clouds import cloud_at
from .credentials import Tokens
from .pools import SessionPools, endpoint_of
from .resource_names import PoolId, check_pool, check_resource_group, pool_id
from .shapes import SessionPool

# A launch looks the pool up again after so long: it may have been changed, or deleted and created
# again. Launches are seldom, except in a full pool.
_LOOK_AGAIN_SECONDS = 60.0

# A key that is refused for minutes may have been rotated a second time.
_FETCH_AGAIN_SECONDS = 60.0


class AzureBackend(Backend):
    """The pool that subscription, resource_group and session_pool of the settings name."""

    def __init__(self, settings: AcaKernel) -> None:
        self._settings = settings
        self._arm: Arm | None = None
        self._pool: PoolId | None = None
        self._client: McpClient | None = None
        self._looked_at = 0.0
        self._key = ""
        self._fetched_at: float | None = None
        self._fetching = asyncio.Lock()
        self._connecting: asyncio.Task[McpClient] | None = None

    async def connect(self) -> McpClient:
        """See Backend; looks the pool up, and fetches its key the first time.

        A login of the Azure CLI takes seconds: who asks while one is under way, perhaps for
        somebody who has given up, waits for the same.
        Raises the errors of SessionPools.get too, AccessDenied and PoolNotFound among them.
        Raises PoolBusy: the pool is being made or changed.
        """
        if self._connecting is None:
            self._connecting = asyncio.ensure_future(self._connect())
            self._connecting.add_done_callback(self._end_connecting)
        return await asyncio.shield(self._connecting)

    def _end_connecting(self, connecting: asyncio.Task[McpClient]) -> None:
        self._connecting = None
        if not connecting.cancelled():
            connecting.exception()  # whoever has waited has it, too

    async def _connect(self) -> McpClient:
        client = self._client
        if client is not None and time.monotonic() - self._looked_at < _LOOK_AGAIN_SECONDS:
            return client
        try:
            pool = await self._look_up()
        except (PoolUnreachable, PoolBusy):
            if client is None:
                raise
            return client  # it has probably not changed
        self._looked_at = time.monotonic()
        endpoint = check_endpoint(endpoint_of(pool), self._settings.allow_plain_http)
        if pool.cooldown_seconds is not None:
            # The setting was a guess.
            self._settings.cooldown_seconds = pool.cooldown_seconds
        if client is None or client.endpoint != endpoint:
            if client is not None:
                await client.close()
            pools, place = await self._place()
            self._key = await pools.fetch_key(place)
            self._client = client = McpClient(
                endpoint,
                self._key,
                connect_timeout_seconds=self._settings.connect_timeout_seconds,
                renew_key=self._renew_key,
            )
        return client

    async def max_sessions(self) -> int | None:
        """Return the pool's maxConcurrentSessions, None if Azure does not say.

        Raises the errors of SessionPools.get, and SettingInvalid: there is no such name.
        """
        return (await self._look_up()).max_sessions

    async def close(self) -> None:
        """See Backend."""
        self._key = ""
        if self._connecting is not None:
            self._connecting.cancel()
        if self._client is not None:
            await self._client.close()
        if self._arm is not None:
            await self._arm.close()

    async def _look_up(self) -> SessionPool:
        pools, place = await self._place()
        return await pools.get(place)

    async def _place(self) -> tuple[SessionPools, PoolId]:
        """Return the pools over the connection to Resource Manager, and this one's id.

        Raises SettingInvalid: the settings do not name a pool.
        """
        settings = self._settings
        if self._arm is None or self._pool is None:
            # Before the Azure CLI is asked for anything.
            group, name = names_of(settings)
            cloud = cloud_at(settings.arm_endpoint, allow_plain_http=settings.allow_plain_http)
            subscription = await subscription_of(settings.subscription)
            self._pool = pool_id(subscription, group, name)
            self._arm = Arm(
                cloud,
                Tokens(cloud),
                connect_timeout_seconds=settings.connect_timeout_seconds,
                # The caller repeats it, too, and tells the user.
                attempts=2,
            )
        return SessionPools(self._arm), self._pool

    async def _renew_key(self, refused: str) -> str:
        """Return another key than the refused one.

        Raises KeyPending: there is none yet; the same one may be accepted later.
        Raises AccessDenied: the pool takes no key.
        Raises the errors of SessionPools.fetch_key and get_in_full.
        """
        async with self._fetching:
            if self._key != refused:
                return self._key  # another call has fetched it meanwhile
            now = time.monotonic()
            if self._fetched_at is None or now - self._fetched_at >= _FETCH_AGAIN_SECONDS:
                pools, place = await self._place()
                self._key = await pools.fetch_key(place)
                if self._key == refused:
                    # Only a newer api-version tells that the pool takes no key.
                    endpoint_of(await pools.get_in_full(place))
                # Not before it has answered: who asks next is told the same.
                self._fetched_at = now
            if self._key == refused:
                raise KeyPending(
                    "The session pool does not accept yet the API key that Azure gives for it, "
                    "which takes up to five minutes after a rotation."
                )
            return self._key


def names_of(settings: AcaKernel) -> tuple[str, str]:
    """Return the pool's resource group and name, from the settings.

    Raises SettingInvalid: one is missing or cannot be a name.
    """
    if not settings.session_pool:
        raise SettingInvalid(
            "There is a resource group and no session pool: set ACA_SESSION_POOL to the "
            "pool's name, or unset ACA_RESOURCE_GROUP to run on this machine."
        )
    if not settings.resource_group:
        raise SettingInvalid(
            f"The session pool {settings.session_pool} needs its resource group: set "
            "ACA_RESOURCE_GROUP. `aca-kernel pool list` shows it."
        )
    return check_resource_group(settings.resource_group), check_pool(settings.session_pool)
