"""What requests of the control plane do: pools that start and end, in operations with a length.

There is one subscription. All methods belong to one event loop; what takes long there (a
pool's directory, its first processes) is done in a thread. Each pool has at most one task at
work on it, and a deletion waits for it.
"""

from __future__ import annotations

import asyncio
import dataclasses
import logging
import time
from typing import TYPE_CHECKING, Any

from ...errors import SettingInvalid
from ..hosted import HostedPool
from ..prepare import prepare
from .arm_errors import (
    ArmError,
    deployment_failed,
    group_being_deleted,
    group_not_found,
    in_progress,
    invalid_deployment,
    mcp_not_enabled,
    missing_registration,
    provisioning_failed,
    resource_not_found,
)
from .operations import Operation, Operations
from .resources import (
    GROUP_TYPE,
    POOL_TYPE,
    Json,
    PoolResource,
    PoolState,
    ResourceGroup,
    check_name,
    check_version,
    patch_settings,
    read_location,
    read_settings,
    read_tags,
    settings_of,
)

if TYPE_CHECKING:
    from collections.abc import Coroutine, Sequence

    from ..options import PoolOptions
    from .deployments import TemplateResource

NAMESPACE = "Microsoft.App"
# Source: Foundry samples, which have it registered before they create a pool.
FEATURE = "SessionPoolsSupportMCP"

_log = logging.getLogger(__name__)


class ControlPlane:
    """See the module. `default`: the pool that the server was started for, and owns."""

    def __init__(self, options: PoolOptions, default: HostedPool) -> None:
        self.options = options
        self.operations = Operations()
        self._isolation = default.isolation
        self._groups: dict[str, ResourceGroup] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._closing = asyncio.Event()
        self._registered_at: float | None = None
        if not options.quirks.provider_not_registered:
            self._registered_at = time.monotonic() - options.operation_seconds
        self._feature_at: float | None = None
        if not options.quirks.feature_not_registered:
            self._feature_at = time.monotonic() - options.operation_seconds
        group = self._add_group(options.resource_group, options.location, {})
        pool = PoolResource(
            self._pool_id(group, options.name), options.name, group.location, settings_of(options)
        )
        pool.hosted, pool.state = default, "Succeeded"
        group.pools[pool.name.lower()] = pool

    # Provider

    def registration_state(self) -> str:
        """Return how far the registration of Microsoft.App is."""
        return self._state_since(self._registered_at)

    def register(self) -> None:
        """Begin the registration of Microsoft.App, unless it has been."""
        if self._registered_at is None:
            self._registered_at = time.monotonic()

    def feature_state(self) -> str:
        """Return how far the registration of the feature is."""
        return self._state_since(self._feature_at)

    def register_feature(self) -> None:
        """Begin the registration of the feature, unless it has been."""
        if self._feature_at is None:
            self._feature_at = time.monotonic()

    def _state_since(self, began: float | None) -> str:
        if began is None:
            return "NotRegistered"
        is_done = time.monotonic() - began >= self.options.operation_seconds
        return "Registered" if is_done else "Registering"

    # Resource groups

    def groups(self) -> list[ResourceGroup]:
        """Return all resource groups."""
        return list(self._groups.values())

    def group(self, name: str) -> ResourceGroup:
        """Return a resource group. Raises ArmError: there is none of this name."""
        group = self._groups.get(name.lower())
        if group is None:
            raise group_not_found(name)
        return group

    def put_group(self, name: str, body: Any) -> tuple[ResourceGroup, bool]:
        """Create or change a resource group; return it, and whether it is new."""
        check_name("resource-group", "ResourceGroup", name)
        group = self._groups.get(name.lower())
        location = read_location(body, GROUP_TYPE, group.location if group else None)
        tags = read_tags(body) or {}
        if group is None:
            return self._add_group(name, location, tags), True
        if group.state == "Deleting":
            raise group_being_deleted(group.name)
        group.tags = tags
        return group, False

    def delete_group(self, name: str) -> Operation:
        """Begin to delete a resource group with its pools and their sessions."""
        group = self.group(name)
        operation = self.operations.start(group.id)
        group.state = "Deleting"
        for pool in group.pools.values():
            pool.state = "Deleting"
        self._spawn(self._delete_group(group, operation))
        return operation

    async def _delete_group(self, group: ResourceGroup, operation: Operation) -> None:
        pools = list(group.pools.values())
        await asyncio.gather(*(self._end_pool(pool) for pool in pools))
        await self._take_time()
        self._groups.pop(group.name.lower(), None)
        operation.succeed()

    def _add_group(self, name: str, location: str, tags: dict[str, str]) -> ResourceGroup:
        group_id = f"/subscriptions/{self.options.subscription}/resourceGroups/{name}"
        group = self._groups[name.lower()] = ResourceGroup(group_id, name, location, tags)
        return group

    # Session pools

    def pools(self, group: str | None = None) -> list[PoolResource]:
        """Return the pools of a resource group, or of all."""
        groups = self.groups() if group is None else [self.group(group)]
        return [pool for one in groups for pool in one.pools.values()]

    def pool(self, group: str, name: str) -> PoolResource:
        """Return a pool. Raises ArmError: there is none of this name."""
        pool = self.group(group).pools.get(name.lower())
        if pool is None:
            raise resource_not_found(POOL_TYPE, name, group)
        return pool

    def check_pool(self, group_name: str, name: str, version: str, body: Any) -> None:
        """Check a PUT without doing it. Raises ArmError: it cannot be done."""
        group = self.group(group_name)
        if group.state == "Deleting":
            raise group_being_deleted(group.name)
        if self.registration_state() != "Registered":
            raise missing_registration(NAMESPACE)
        check_version(version, self.options.location)
        check_name("name", "SessionPool", name)
        pool = group.pools.get(name.lower())
        if pool is not None and pool.state in ("InProgress", "Deleting"):
            raise in_progress(pool.name, pool.state)
        read_location(body, POOL_TYPE, pool.location if pool else None)
        read_tags(body)
        read_settings(body, version, self.options.min_cooldown_seconds, pool)

    def put_pool(
        self, group_name: str, name: str, version: str, body: Any
    ) -> tuple[PoolResource, Operation, bool]:
        """Begin to create or replace a pool; return it, and whether it is new."""
        self.check_pool(group_name, name, version, body)
        group = self.group(group_name)
        pool = group.pools.get(name.lower())
        settings = read_settings(body, version, self.options.min_cooldown_seconds, pool)
        is_new = pool is None
        if pool is None:
            location = read_location(body, POOL_TYPE)
            pool = PoolResource(self._pool_id(group, name), name, location, settings)
            group.pools[name.lower()] = pool
        if self.feature_state() != "Registered":
            settings = dataclasses.replace(settings, has_mcp=False)
        pool.settings, pool.tags = settings, read_tags(body) or {}
        return pool, self._begin(pool), is_new

    def patch_pool(self, group: str, name: str, body: Any) -> Operation:
        """Begin to change a pool."""
        pool = self._idle_pool(group, name)
        settings = patch_settings(pool.settings, body, self.options.min_cooldown_seconds)
        tags = read_tags(body)
        pool.settings = settings
        if tags is not None:
            pool.tags = tags
        return self._begin(pool)

    def delete_pool(self, group_name: str, name: str) -> Operation | None:
        """Begin to delete a pool and to end its sessions; None if there is no such pool."""
        group = self.group(group_name)
        pool = group.pools.get(name.lower())
        if pool is None:
            return None
        operation = self.operations.start(pool.id)
        pool.state = "Deleting"
        self._spawn(self._delete_pool(group, pool, operation))
        return operation

    def fetch_key(self, group: str, name: str) -> str:
        """Return a pool's API key. Raises ArmError: it has no MCP server."""
        return self._mcp_of(group, name).keys.current

    def rotate_key(self, group: str, name: str) -> str:
        """Make and return a new API key. Raises ArmError: the pool has no MCP server."""
        return self._mcp_of(group, name).keys.rotate()

    def _mcp_of(self, group: str, name: str) -> HostedPool:
        pool = self.pool(group, name)
        if pool.hosted is None:
            if pool.settings.has_mcp and pool.state == "InProgress":
                raise in_progress(pool.name, pool.state)
            raise mcp_not_enabled(pool.name)
        return pool.hosted

    def _idle_pool(self, group: str, name: str) -> PoolResource:
        pool = self.pool(group, name)
        if pool.state in ("InProgress", "Deleting"):
            raise in_progress(pool.name, pool.state)
        return pool

    def _pool_id(self, group: ResourceGroup, name: str) -> str:
        return f"{group.id}/providers/{POOL_TYPE}/{name}"

    def _begin(self, pool: PoolResource) -> Operation:
        pool.state = "InProgress"
        operation = self.operations.start(pool.id)
        pool.work = self._spawn(self._provision(pool, operation))
        return operation

    async def _provision(self, pool: PoolResource, operation: Operation) -> None:
        """Make what runs as the resource says, after the time that the service would take."""
        await self._take_time()
        state: PoolState = "Failed"
        try:
            if self._closing.is_set():
                raise provisioning_failed(pool.name, "the server stops")
            if self.options.quirks.provisioning_fails:
                raise provisioning_failed(pool.name, "the quirk provisioning_fails is switched on")
            await self._realise(pool)
        except ArmError as error:
            operation.fail(error)
        except (SettingInvalid, OSError) as error:
            _log.warning("A session pool could not be started", exc_info=True)
            operation.fail(provisioning_failed(pool.name, str(error)))
        else:
            state = "Succeeded"
            operation.succeed()
        if pool.state != "Deleting":  # asked for meanwhile; it waits for this task
            pool.state = state

    async def _realise(self, pool: PoolResource) -> None:
        if not pool.settings.has_mcp:
            hosted, pool.hosted = pool.hosted, None
            if hosted is not None:
                await hosted.close()
            return
        options = pool.settings.options(self.options, self._isolation)
        if pool.hosted is not None:
            await pool.hosted.reconfigure(options)
        else:
            prepared = await asyncio.to_thread(prepare, options)
            pool.hosted = HostedPool(
                prepared, offers_python=pool.settings.container_type == "PythonLTS"
            )
        pool.hosted.keys.is_disabled = pool.settings.is_key_disabled

    async def _delete_pool(
        self, group: ResourceGroup, pool: PoolResource, operation: Operation
    ) -> None:
        await self._end_pool(pool)
        await self._take_time()
        if group.pools.get(pool.name.lower()) is pool:
            del group.pools[pool.name.lower()]
        operation.succeed()

    async def _end_pool(self, pool: PoolResource) -> None:
        if pool.work is not None:
            await asyncio.wait([pool.work])
        hosted, pool.hosted = pool.hosted, None
        if hosted is not None:
            await hosted.close()

    # Deployments

    def check_deployment(self, group: str, resources: Sequence[TemplateResource]) -> None:
        """Check all resources of a template. Raises ArmError: one of them cannot be."""
        for resource in resources:
            try:
                self.check_pool(group, resource.name, resource.api_version, resource.body)
            except ArmError as error:
                if error.code == "ResourceGroupNotFound":
                    raise
                raise invalid_deployment(error) from error

    def deploy(
        self, group: str, deployment: Json, resources: Sequence[TemplateResource]
    ) -> Operation:
        """Begin to create all resources of a template; `deployment` follows their state."""
        self.check_deployment(group, resources)
        started = [
            self.put_pool(group, resource.name, resource.api_version, resource.body)[:2]
            for resource in resources
        ]
        operation = self.operations.start(deployment["id"])
        deployment["properties"]["provisioningState"] = "Running"
        self._spawn(self._follow(deployment, operation, started))
        return operation

    async def _follow(
        self,
        deployment: Json,
        operation: Operation,
        started: Sequence[tuple[PoolResource, Operation]],
    ) -> None:
        works = [pool.work for pool, _ in started if pool.work is not None]
        if works:
            await asyncio.wait(works)
        errors = [child.error for _, child in started if child.error is not None]
        if errors:
            operation.fail(deployment_failed(errors))
            deployment["properties"]["error"] = deployment_failed(errors).body()
        else:
            operation.succeed()
            deployment["properties"]["outputResources"] = [{"id": pool.id} for pool, _ in started]
        deployment["properties"]["provisioningState"] = operation.status

    # Life

    async def close(self) -> None:
        """Wait for what is at work, and end every pool."""
        self._closing.set()
        while self._tasks:
            await asyncio.wait(self._tasks)
        await asyncio.gather(
            *(pool.hosted.close() for pool in self.pools() if pool.hosted is not None)
        )

    async def _take_time(self) -> None:
        """Be as slow as the settings say; the end of the server does not wait."""
        try:
            await asyncio.wait_for(self._closing.wait(), self.options.operation_seconds)
        except asyncio.TimeoutError:
            return

    def _spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(work)
        # The loop holds tasks weakly.
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task
