"""What names of subscriptions, resource groups, pools and locations may look like."""

from __future__ import annotations

import re

# The regions that Container Apps names most; the service has more.
LOCATIONS = {
    "australiaeast": "Australia East",
    "brazilsouth": "Brazil South",
    "canadacentral": "Canada Central",
    "centralus": "Central US",
    "eastasia": "East Asia",
    "eastus": "East US",
    "eastus2": "East US 2",
    "francecentral": "France Central",
    "germanywestcentral": "Germany West Central",
    "italynorth": "Italy North",
    "japaneast": "Japan East",
    "koreacentral": "Korea Central",
    "northcentralus": "North Central US",
    "northeurope": "North Europe",
    "norwayeast": "Norway East",
    "polandcentral": "Poland Central",
    "southafricanorth": "South Africa North",
    "southcentralus": "South Central US",
    "southeastasia": "Southeast Asia",
    "southindia": "South India",
    "spaincentral": "Spain Central",
    "swedencentral": "Sweden Central",
    "switzerlandnorth": "Switzerland North",
    "uaenorth": "UAE North",
    "uksouth": "UK South",
    "westcentralus": "West Central US",
    "westeurope": "West Europe",
    "westus": "West US",
    "westus2": "West US 2",
    "westus3": "West US 3",
}

_PATTERNS = {
    "subscription": r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}",
    # https://learn.microsoft.com/azure/azure-resource-manager/management/resource-name-rules
    "resource-group": r"[-\w.()]{0,89}[-\w()]",
    # The specification says ^[a-z][a-z0-9]*$, 3 to 63 characters; pools of the service have
    # hyphens in their names, too (observed, and used by the vendor's own samples).
    "name": r"[a-z](?!.*--)[-a-z0-9]{1,61}[a-z0-9]",
    # A path segment, written with or without blanks: "East US" is eastus.
    "deployment": r"[-\w.()]{1,64}",
}

RULES = {
    "subscription": "a GUID",
    "resource-group": (
        "1 to 90 letters, digits, underscores, hyphens, parentheses and periods, "
        "not ending in a period"
    ),
    "name": (
        "3 to 63 lowercase letters, digits and hyphens, beginning with a letter, "
        "ending with a letter or digit, without two hyphens in a row"
    ),
    "location": "an Azure region, such as eastus",
    "deployment": "1 to 64 letters, digits, underscores, hyphens, parentheses and periods",
}


def fits(kind: str, name: str) -> bool:
    """Tell whether a name follows the rule of its kind, a key of RULES."""
    if kind == "location":
        return plain_location(name) in LOCATIONS
    return re.fullmatch(_PATTERNS[kind], name) is not None


def plain_location(location: str) -> str:
    """Return a location as Resource Manager compares it: "East US" is eastus."""
    return location.replace(" ", "").lower()
