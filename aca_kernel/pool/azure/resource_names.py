"""Names of resources in Azure, checked before anything is sent.

Resource Manager would take a login and a round trip, and mostly say that something does not
exist.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from ...errors import SettingInvalid

_SUBSCRIPTION = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)

# Source: "Naming rules and restrictions for Azure resources", Microsoft.Resources.
_GROUP = re.compile(r"[\w.()-]{0,89}[\w()-]")

# Source: the template reference of Microsoft.App/sessionPools gives 3 to 63 characters,
# beginning with a letter, and no hyphens; the vendor's examples have hyphens.
_POOL = re.compile(r"(?!.*--)[a-z][a-z0-9-]{1,61}[a-z0-9]")

_LOCATION = re.compile(r"[a-z][a-z0-9]+")

# Source: the tutorial. The stable 2026-01-01 has no MCP settings (service-contract).
POOLS_API_VERSION = "2025-02-02-preview"

# Source: the published specification, the first that has the action rotateMcpServerCredentials and
# the setting isMcpServerApiKeyDisabled. Pools are created as the tutorial does.
SPECIFIED_API_VERSION = "2025-10-02-preview"

# Source: the reference of Microsoft.Features.
FEATURES_API_VERSION = "2021-07-01"

# Source: the reference of Microsoft.Resources; any of the last years will do.
RESOURCES_API_VERSION = "2021-04-01"

PROVIDER = "Microsoft.App"

# Source: Foundry samples, which have it registered before they create a pool. The tutorial does
# not speak of it.
MCP_FEATURE = "SessionPoolsSupportMCP"


def check_subscription(given: str) -> str:
    """Return a subscription's id. Raises SettingInvalid: it is none."""
    rule = (
        "a subscription's id, which looks like 00000000-0000-0000-0000-000000000000. "
        "`az account list --output table` shows yours."
    )
    return _check(given, _SUBSCRIPTION, given.strip().lower(), rule)


def check_resource_group(given: str) -> str:
    """Return a resource group's name. Raises SettingInvalid: it cannot be one."""
    rule = (
        "a resource group's name: use 1 to 90 letters, digits, '_', '-', '.' and parentheses, "
        "with no '.' at the end."
    )
    return _check(given, _GROUP, given, rule)


def check_pool(given: str) -> str:
    """Return a session pool's name. Raises SettingInvalid: it cannot be one."""
    rule = (
        "a session pool's name: use 3 to 63 lowercase letters, digits and single hyphens, "
        "beginning with a letter and not ending in a hyphen."
    )
    return _check(given, _POOL, given, rule)


def check_location(given: str) -> str:
    """Return a location as Resource Manager spells it: "East US" is `eastus`.

    Raises SettingInvalid: it cannot be one.
    """
    rule = "a location, for instance eastus. `az account list-locations --output table` shows them."
    return _check(given, _LOCATION, given.replace(" ", "").lower(), rule)


def _check(given: str, pattern: re.Pattern[str], name: str, rule: str) -> str:
    if not pattern.fullmatch(name):
        raise SettingInvalid(f"{given!r} is not {rule}")
    return name


@dataclass(frozen=True)
class ResourceGroupId:
    """A resource group of a subscription."""

    subscription: str
    name: str

    @property
    def path(self) -> str:
        """The resource's id, which is also the path of its URL."""
        return f"/subscriptions/{self.subscription}/resourceGroups/{self.name}"


@dataclass(frozen=True)
class PoolId:
    """A session pool of a resource group."""

    group: ResourceGroupId
    name: str

    @property
    def path(self) -> str:
        """The resource's id, which is also the path of its URL."""
        return f"{self.group.path}/providers/{PROVIDER}/sessionPools/{self.name}"

    def __str__(self) -> str:
        return f"{self.name} in resource group {self.group.name}"


def pool_id(subscription: str, resource_group: str, name: str) -> PoolId:
    """Return a pool's id from its three names. Raises SettingInvalid: one cannot be one."""
    group = ResourceGroupId(check_subscription(subscription), check_resource_group(resource_group))
    return PoolId(group, check_pool(name))
