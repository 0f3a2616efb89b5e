"""Session pools and resource groups: bodies checked and merged, resources written as JSON.

Names of properties are compared without regard to case, as the service does: the tutorial
writes coolDownPeriodInSeconds, the specification cooldownPeriodInSeconds. What a property may
be is from the specification of Microsoft.App/sessionPools and from
https://learn.microsoft.com/azure/container-apps/session-pool.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from . import names
from .arm_errors import (
    cannot_change,
    invalid_content,
    invalid_name,
    invalid_value,
    location_not_available,
    location_required,
    no_registered_provider,
)

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Mapping

    from ..hosted import HostedPool
    from ..options import PoolOptions, Quirks

POOL_TYPE = "Microsoft.App/sessionPools"
GROUP_TYPE = "Microsoft.Resources/resourceGroups"

# The stable one knows no MCP settings: it drops them, and omits them when asked (observed).
STABLE_VERSION = "2026-01-01"
# The tutorial's is older than some settings, of which it tells nothing and which it drops.
TUTORIAL_VERSION = "2025-02-02-preview"
POOL_VERSIONS = (STABLE_VERSION, "2025-10-02-preview", TUTORIAL_VERSION)

# Observed: a pool with a custom container says null for the MCP settings it was created with.
_CONTAINERS_WITH_MCP = ("PythonLTS", "Shell")
_CONTAINERS = (*_CONTAINERS_WITH_MCP, "CustomContainer")
_MOST_SESSIONS = 600  # sessions-custom-container.md, "--max-sessions"
_LONGEST_COOLDOWN_SECONDS = 3600
_DEFAULT_COOLDOWN_SECONDS = 300
_DEFAULT_SESSIONS = 10  # the service does not document its own

Json = dict[str, Any]
PoolState = Literal["InProgress", "Succeeded", "Failed", "Deleting"]


@dataclass(frozen=True)
class PoolSettings:
    """What the properties of a session pool say."""

    container_type: str = "PythonLTS"
    max_concurrent_sessions: int = _DEFAULT_SESSIONS
    ready_sessions: int = 0
    # An integer in Azure; the pool that the server was started with may have a fraction.
    cooldown_seconds: float = _DEFAULT_COOLDOWN_SECONDS
    has_egress: bool = False
    has_mcp: bool = False
    # Of the published specification; what it does to the MCP server is not documented.
    is_key_disabled: bool = False

    def options(self, base: PoolOptions, isolation: Any) -> PoolOptions:
        """Return the settings of a local pool that is so."""
        return dataclasses.replace(
            base,
            api_key=None,
            max_concurrent_sessions=self.max_concurrent_sessions,
            ready_sessions=self.ready_sessions,
            cooldown_seconds=self.cooldown_seconds,
            egress="enabled" if self.has_egress else "disabled",
            isolation=isolation,
            launch_tools="shell" if self.container_type == "Shell" else base.launch_tools,
        )


def settings_of(options: PoolOptions) -> PoolSettings:
    """Return how the pool that the server was started with looks from here."""
    return PoolSettings(
        max_concurrent_sessions=options.max_concurrent_sessions,
        ready_sessions=options.ready_sessions,
        cooldown_seconds=options.cooldown_seconds,
        has_egress=options.egress == "enabled",
        has_mcp=True,
    )


@dataclass
class PoolResource:
    """A session pool as a resource. `hosted` runs it; a pool without MCP server has none."""

    id: str
    name: str
    location: str
    settings: PoolSettings
    tags: dict[str, str] = field(default_factory=dict)
    state: PoolState = "InProgress"
    hosted: HostedPool | None = None
    work: asyncio.Task[None] | None = None

    def body(self, version: str, origin: str, quirks: Quirks) -> Json:
        """Return the resource. origin: where this server is reached."""
        settings = self.settings
        endpoint = origin + self.id.replace("/providers/Microsoft.App", "")
        cooldown = settings.cooldown_seconds
        properties: Json = {
            "provisioningState": self.state,
            "poolManagementType": "Dynamic",
            "poolManagementEndpoint": endpoint,
            "containerType": settings.container_type,
            "scaleConfiguration": {
                "maxConcurrentSessions": settings.max_concurrent_sessions,
                "readySessionInstances": settings.ready_sessions,
            },
            "dynamicPoolConfiguration": {
                "lifecycleConfiguration": {
                    "lifecycleType": "Timed",
                    "coolDownPeriodInSeconds": int(cooldown)
                    if cooldown == int(cooldown)
                    else cooldown,
                }
            },
            "sessionNetworkConfiguration": {
                "status": "EgressEnabled" if settings.has_egress else "EgressDisabled"
            },
        }
        if version != STABLE_VERSION:
            mcp: Json | None = None
            if settings.has_mcp and not quirks.mcp_settings_null:
                # The tutorial and the service's answers against the published specification.
                # https://github.com/Azure/azure-rest-api-specs/pull/42917
                flag = "isMcpServerEnabled" if quirks.mcp_settings_casing else "isMCPServerEnabled"
                mcp = {flag: True}
                if settings.is_key_disabled and version != TUTORIAL_VERSION:
                    mcp["isMcpServerApiKeyDisabled"] = True
                if self.hosted is not None:
                    mcp["mcpServerEndpoint"] = f"{endpoint}/mcp"
            properties["mcpServerSettings"] = mcp
        return {
            "id": self.id,
            "name": self.name,
            "type": POOL_TYPE,
            "location": self.location,
            "tags": self.tags,
            "properties": properties,
        }


@dataclass
class ResourceGroup:
    """A resource group and what is in it, by lowercase name."""

    id: str
    name: str
    location: str
    tags: dict[str, str] = field(default_factory=dict)
    state: Literal["Succeeded", "Deleting"] = "Succeeded"
    pools: dict[str, PoolResource] = field(default_factory=dict)
    deployments: dict[str, Json] = field(default_factory=dict)

    def body(self) -> Json:
        """Return the resource."""
        return {
            "id": self.id,
            "name": self.name,
            "type": GROUP_TYPE,
            "location": self.location,
            "tags": self.tags,
            "properties": {"provisioningState": self.state},
        }


def check_name(kind: str, label: str, name: str) -> None:
    """Check a name. kind: key of names.RULES. label: part of the code of the ArmError raised."""
    if not names.fits(kind, name):
        raise invalid_name(label, name, names.RULES[kind])


def check_version(version: str, location: str) -> None:
    """Check the api-version of a pool. Raises ArmError: there is no such one here."""
    if version not in POOL_VERSIONS:
        raise no_registered_provider(
            location, version, "sessionPools", POOL_VERSIONS, sorted(names.LOCATIONS)
        )


def read_location(body: Any, kind: str, existing: str | None = None) -> str:
    """Return a body's location in plain form; it never changes. Raises ArmError: no such one."""
    given = _members(body, "").get("location")
    if not given:
        raise location_required()
    if not isinstance(given, str) or not names.fits("location", given):
        raise location_not_available(str(given), kind, sorted(names.LOCATIONS))
    location = names.plain_location(given)
    if existing is not None and location != existing:
        raise cannot_change("location", existing, location)
    return location


def read_tags(body: Any) -> dict[str, str] | None:
    """Return a body's tags, None if it has none. Raises ArmError: they are no texts."""
    tags = _members(body, "").get("tags")
    if tags is None:
        return None
    if not isinstance(tags, dict) or not all(isinstance(value, str) for value in tags.values()):
        raise invalid_content("tags must be an object of strings.")
    return tags


def read_settings(
    body: Any, version: str, shortest_cooldown_seconds: int, existing: PoolResource | None = None
) -> PoolSettings:
    """Return the settings that the body of a PUT asks for.

    Raises ArmError: a property cannot be so, or cannot be changed.
    """
    properties = _object(_members(body, ""), "properties", "properties")
    container = _text(properties, "containerType", _CONTAINERS)
    management = _text(properties, "poolManagementType", ("Dynamic", "Manual"), "Dynamic")
    if management != "Dynamic":
        raise invalid_value("poolManagementType", f"Dynamic for container type {container}")
    if existing is not None and container != existing.settings.container_type:
        raise cannot_change("containerType", existing.settings.container_type, container)
    before = existing.settings if existing is not None else PoolSettings()
    has_mcp, is_key_disabled = before.has_mcp, before.is_key_disabled
    if version != STABLE_VERSION:
        mcp = _object(properties, "mcpServerSettings", "mcpServerSettings")
        wanted = mcp.get("ismcpserverenabled", False)
        if not isinstance(wanted, bool):
            raise invalid_content("isMCPServerEnabled must be true or false.")
        has_mcp = wanted and container in _CONTAINERS_WITH_MCP
        flag = mcp.get("ismcpserverapikeydisabled")
        is_key_disabled = flag is True and version != TUTORIAL_VERSION
    settings = PoolSettings(
        container_type=container, has_mcp=has_mcp, is_key_disabled=is_key_disabled
    )
    return _with_limits(settings, properties, shortest_cooldown_seconds)


def patch_settings(
    settings: PoolSettings, body: Any, shortest_cooldown_seconds: int
) -> PoolSettings:
    """Return settings with what the body of a PATCH changes.

    Container type and MCP settings are not among what can be patched, and are ignored
    there (observed). Raises ArmError: a property cannot be so.
    """
    properties = _object(_members(body, ""), "properties", "properties")
    return _with_limits(settings, properties, shortest_cooldown_seconds)


def _with_limits(settings: PoolSettings, properties: Json, shortest_seconds: int) -> PoolSettings:
    """Return settings with scale, life cycle and network as given, the rest as it was."""
    scale = _object(properties, "scaleConfiguration", "scaleConfiguration")
    most = _number(
        scale,
        "maxConcurrentSessions",
        settings.max_concurrent_sessions,
        (1, _MOST_SESSIONS),
    )
    ready = _number(scale, "readySessionInstances", settings.ready_sessions, (0, most))
    dynamic = _object(properties, "dynamicPoolConfiguration", "dynamicPoolConfiguration")
    life = _object(dynamic, "lifecycleConfiguration", "lifecycleConfiguration")
    # OnContainerExit is there for custom containers only, and nothing runs those here.
    _text(life, "lifecycleType", ("Timed",), "Timed")
    cooldown = _number(
        life,
        "coolDownPeriodInSeconds",
        settings.cooldown_seconds,
        (shortest_seconds, _LONGEST_COOLDOWN_SECONDS),
    )
    network = _object(properties, "sessionNetworkConfiguration", "sessionNetworkConfiguration")
    before = "EgressEnabled" if settings.has_egress else "EgressDisabled"
    status = _text(network, "status", ("EgressEnabled", "EgressDisabled"), before)
    return dataclasses.replace(
        settings,
        max_concurrent_sessions=most,
        ready_sessions=ready,
        cooldown_seconds=cooldown,
        has_egress=status == "EgressEnabled",
    )


def _members(value: Any, name: str) -> Json:
    """Return an object's members by lowercase name."""
    if not isinstance(value, dict):
        what = f"'{name}'" if name else "the body"
        raise invalid_content(f"{what} must be an object.")
    return {str(key).lower(): item for key, item in value.items()}


def _object(members: Mapping[str, Any], name: str, label: str) -> Json:
    """Return an object among members; {} where it is missing or null."""
    value = members.get(name.lower())
    return {} if value is None else _members(value, label)


def _text(
    members: Mapping[str, Any], name: str, choices: tuple[str, ...], default: str | None = None
) -> str:
    """Return a word among members, spelled as in `choices`. Raises ArmError: another one."""
    value = members.get(name.lower())
    if value is None and default is not None:
        return default
    for choice in choices:
        if isinstance(value, str) and value.lower() == choice.lower():
            return choice
    raise invalid_value(name, " or ".join(choices))


def _number(members: Mapping[str, Any], name: str, default: Any, limits: tuple[int, int]) -> Any:
    """Return a whole number among members; the default is not checked."""
    value = members.get(name.lower())
    if value is None:
        return default
    is_number = isinstance(value, int) and not isinstance(value, bool)
    if not is_number or not limits[0] <= value <= limits[1]:
        raise invalid_value(name, f"a whole number from {limits[0]} to {limits[1]}")
    return value
