"""Session pools in Resource Manager's camelCase, converted into our values and back.

Only this module knows those names. Source: the tutorial's template, api-version
2025-02-02-preview; deviating spellings are from a public measurement of the service.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from ...errors import RemoteProtocolError, SettingInvalid
from .resource_names import POOLS_API_VERSION, PROVIDER

CONTAINER_TYPE = "PythonLTS"

DEFAULT_MAX_SESSIONS = 5
SHORTEST_COOLDOWN_SECONDS, LONGEST_COOLDOWN_SECONDS = 300, 3600

_EGRESS = {"enabled": "EgressEnabled", "disabled": "EgressDisabled"}

_PLACE = re.compile(r"/subscriptions/([^/]+)/resourceGroups/([^/]+)/", re.IGNORECASE)

# Set by Resource Manager; a PUT leaves them out.
_READ_ONLY = ("provisioningState", "poolManagementEndpoint", "nodeCount")
_READ_ONLY_OUTSIDE = ("id", "name", "type", "systemData", "etag", "properties")

_MCP_SWITCHES = ("isMCPServerEnabled", "isMcpServerEnabled")
_KEY_SWITCHES = ("isMcpServerApiKeyDisabled", "isMCPServerApiKeyDisabled")

# Final states of an operation or a resource.
SUCCEEDED = "Succeeded"
_FAILED = frozenset({"failed", "canceled", "cancelled"})


@dataclass(frozen=True)
class PoolChoices:
    """Options of a pool; None: not chosen. Raises SettingInvalid: the service would refuse it."""

    max_sessions: int | None = None
    cooldown_seconds: int | None = None
    egress: str | None = None

    def __post_init__(self) -> None:
        if self.max_sessions is not None and self.max_sessions < 1:
            raise SettingInvalid("A pool needs at least one session: --max-sessions is 1 or more.")
        cooldown = self.cooldown_seconds
        if cooldown is not None and not (
            SHORTEST_COOLDOWN_SECONDS <= cooldown <= LONGEST_COOLDOWN_SECONDS
        ):
            raise SettingInvalid(
                f"A cooldown of {cooldown} s is not possible: the service takes "
                f"{SHORTEST_COOLDOWN_SECONDS} to {LONGEST_COOLDOWN_SECONDS} seconds."
            )
        if self.egress not in (None, *_EGRESS):
            raise SettingInvalid(f"Egress is {' or '.join(_EGRESS)}, not {self.egress!r}.")


@dataclass(frozen=True)
class SessionPool:
    """A session pool as Resource Manager describes it; None: unknown.

    is_mcp_enabled: its MCP server runs, at mcp_endpoint.
    is_key_disabled: its MCP server takes no API key.
    has_mcp_settings: they are not null.
    state: provisioningState, "Succeeded" when it is ready.
    """

    name: str
    subscription: str
    resource_group: str
    location: str
    state: str
    container_type: str
    is_mcp_enabled: bool
    is_key_disabled: bool
    has_mcp_settings: bool
    mcp_endpoint: str | None
    max_sessions: int | None
    cooldown_seconds: int | None
    egress: str | None

    @property
    def is_settled(self) -> bool:
        """Whether its state does not change by itself."""
        return self.state == SUCCEEDED or is_failure(self.state)


def pool_from(resource: dict[str, Any]) -> SessionPool:
    """Read a pool. Raises RemoteProtocolError: it is not one."""
    properties = resource.get("properties")
    if not isinstance(properties, dict):
        raise RemoteProtocolError(
            "Azure Resource Manager's answer describes no session pool. Check ACA_ARM_ENDPOINT."
        )
    place = _PLACE.match(_text(resource, "id"))
    mcp = _object(properties, "mcpServerSettings")
    # Both spellings have been seen, and null for a pool whose MCP server is off.
    is_enabled = any(mcp.get(name) is True for name in _MCP_SWITCHES)
    endpoint = _text(mcp, "mcpServerEndpoint") or None
    life = _lifecycle(properties)
    egress = _text(_object(properties, "sessionNetworkConfiguration"), "status")
    return SessionPool(
        name=_text(resource, "name"),
        subscription=place[1] if place else "",
        resource_group=place[2] if place else "",
        location=_text(resource, "location"),
        # Absent: there is nothing to wait for.
        state=_text(properties, "provisioningState") or SUCCEEDED,
        container_type=_text(properties, "containerType"),
        is_mcp_enabled=is_enabled and endpoint is not None,
        is_key_disabled=any(mcp.get(name) is True for name in _KEY_SWITCHES),
        has_mcp_settings=bool(mcp),
        mcp_endpoint=endpoint,
        max_sessions=_number(
            _object(properties, "scaleConfiguration").get("maxConcurrentSessions")
        ),
        cooldown_seconds=_number(life.get("coolDownPeriodInSeconds"))
        or _number(life.get("cooldownPeriodInSeconds")),
        egress=next((ours for ours, theirs in _EGRESS.items() if theirs == egress), None),
    )


def key_from(answer: dict[str, Any]) -> str:
    """Read the API key. Raises RemoteProtocolError, without the answer's text."""
    key = answer.get("apiKey")
    if not isinstance(key, str) or not key:
        raise RemoteProtocolError(
            "Azure gave no API key for the session pool. Try again; if it stays, rotate the key "
            "with `aca-kernel pool rotate-key`."
        )
    return key


def new_pool(location: str, options: PoolChoices) -> dict[str, Any]:
    """Return the tutorial's body that creates a pool, with these options."""
    return {"location": location, "properties": _properties(options)}


def changed_pool(resource: dict[str, Any], options: PoolChoices) -> dict[str, Any]:
    """Return the body that gives an existing pool these options and keeps the rest.

    A PUT without a property switches it off: also what is not known here is sent again.
    """
    kept = _without(resource["properties"], *_READ_ONLY)
    if options.max_sessions is not None:
        scale = _object(kept, "scaleConfiguration")
        kept["scaleConfiguration"] = {**scale, "maxConcurrentSessions": options.max_sessions}
    if options.cooldown_seconds is not None:
        kept["dynamicPoolConfiguration"] = _with_cooldown(kept, options.cooldown_seconds)
    if options.egress is not None:
        network = _object(kept, "sessionNetworkConfiguration")
        kept["sessionNetworkConfiguration"] = {**network, "status": _EGRESS[options.egress]}
    # Only a PUT switches it on, no PATCH (service-contract).
    mcp = _without(_object(kept, "mcpServerSettings"), "mcpServerEndpoint")
    switch = next((name for name in _MCP_SWITCHES if name in mcp), _MCP_SWITCHES[0])
    kept["mcpServerSettings"] = {**mcp, switch: True}
    body = _without(resource, *_READ_ONLY_OUTSIDE)
    return {**{name: value for name, value in body.items() if value}, "properties": kept}


def deployment_template(
    name: str | None, location: str | None, options: PoolChoices
) -> dict[str, Any]:
    """Return the tutorial's ARM template, with the given values as defaults of its parameters."""
    chosen = _properties(options)
    parameters: dict[str, Any] = {
        "name": {"type": "String"},
        "location": {"type": "String"},
        "maxConcurrentSessions": {
            "type": "Int",
            "minValue": 1,
            "defaultValue": chosen["scaleConfiguration"]["maxConcurrentSessions"],
        },
        "coolDownPeriodInSeconds": {
            "type": "Int",
            "minValue": SHORTEST_COOLDOWN_SECONDS,
            "maxValue": LONGEST_COOLDOWN_SECONDS,
            "defaultValue": _lifecycle(chosen)["coolDownPeriodInSeconds"],
        },
        "egress": {
            "type": "String",
            "allowedValues": list(_EGRESS.values()),
            "defaultValue": chosen["sessionNetworkConfiguration"]["status"],
        },
    }
    for parameter, given in (("name", name), ("location", location)):
        if given is not None:
            parameters[parameter]["defaultValue"] = given
    chosen["scaleConfiguration"]["maxConcurrentSessions"] = "[parameters('maxConcurrentSessions')]"
    _lifecycle(chosen)["coolDownPeriodInSeconds"] = "[parameters('coolDownPeriodInSeconds')]"
    chosen["sessionNetworkConfiguration"]["status"] = "[parameters('egress')]"
    return {
        "$schema": "https://schema.management.azure.com/schemas/2019-04-01/deploymentTemplate.json#",
        "contentVersion": "1.0.0.0",
        "parameters": parameters,
        "resources": [
            {
                "type": f"{PROVIDER}/sessionPools",
                "apiVersion": POOLS_API_VERSION,
                "name": "[parameters('name')]",
                "location": "[parameters('location')]",
                "properties": chosen,
            }
        ],
    }


def state_of(body: dict[str, Any]) -> str:
    """Return the state of an asynchronous operation, or of a resource; empty: it has none."""
    state = _text(body, "status") or _text(_object(body, "properties"), "provisioningState")
    return SUCCEEDED if state.lower() == SUCCEEDED.lower() else state


def is_failure(state: str) -> bool:
    """Tell whether an operation or a resource in this state has failed."""
    return state.lower() in _FAILED


def error_from(body: Any) -> tuple[str, str]:
    """Return code and message of Resource Manager's error, empty where there is none."""
    error = body.get("error") if isinstance(body, dict) else None
    if not isinstance(error, dict):
        # Some services omit the outer object.
        error = body if isinstance(body, dict) else {}
    return _text(error, "code"), " ".join(_text(error, "message").split())


def _properties(options: PoolChoices) -> dict[str, Any]:
    return {
        "poolManagementType": "Dynamic",
        "containerType": CONTAINER_TYPE,
        "scaleConfiguration": {
            "maxConcurrentSessions": options.max_sessions or DEFAULT_MAX_SESSIONS
        },
        "sessionNetworkConfiguration": {"status": _EGRESS[options.egress or "enabled"]},
        "dynamicPoolConfiguration": _cooldown(
            options.cooldown_seconds or SHORTEST_COOLDOWN_SECONDS
        ),
        "mcpServerSettings": {"isMCPServerEnabled": True},
    }


def _cooldown(seconds: int) -> dict[str, Any]:
    return {
        "lifecycleConfiguration": {"lifecycleType": "Timed", "coolDownPeriodInSeconds": seconds}
    }


def _with_cooldown(properties: dict[str, Any], seconds: int) -> dict[str, Any]:
    """Return a pool's dynamicPoolConfiguration with another cooldown."""
    # Older api-versions have the cooldown, and how it counts, one level higher.
    old = ("coolDownPeriodInSeconds", "cooldownPeriodInSeconds", "executionType")
    dynamic = _without(_object(properties, "dynamicPoolConfiguration"), *old)
    life = _without(_object(dynamic, "lifecycleConfiguration"), *old[:2])
    life = {**life, **_cooldown(seconds)["lifecycleConfiguration"]}
    return {**dynamic, "lifecycleConfiguration": life}


def _without(parent: dict[str, Any], *names: str) -> dict[str, Any]:
    return {name: value for name, value in parent.items() if name not in names}


def _lifecycle(properties: dict[str, Any]) -> dict[str, Any]:
    dynamic = _object(properties, "dynamicPoolConfiguration")
    # Older api-versions have the cooldown one level higher.
    return _object(dynamic, "lifecycleConfiguration") or dynamic


def _object(parent: dict[str, Any], name: str) -> dict[str, Any]:
    value = parent.get(name)
    return value if isinstance(value, dict) else {}


def _text(parent: dict[str, Any], name: str) -> str:
    value = parent.get(name)
    return value if isinstance(value, str) else ""


def _number(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None
