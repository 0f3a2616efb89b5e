"""Our errors for Resource Manager's statuses and error codes, each with its remedy.

Source: "Common deployment errors" of Azure Resource Manager; service-contract for those of
session pools.
"""

from __future__ import annotations

import re

from ...errors import (
    AcaKernelError,
    AccessDenied,
    AzureRefused,
    PoolBusy,
    PoolNotFound,
    ResultUnknown,
)
from .resource_names import PROVIDER

# Source: Azure built-in roles; f7669afb-68b2-44b4-9c5f-6d2a47fddda0 is the first one's id.
POOL_ROLE = "Container Apps SessionPools Contributor"
GROUP_ROLE = "Contributor"

_QUOTA = re.compile(r"quota|limit(s|ed)? (exceeded|reached)|exceed|too many|maximum", re.IGNORECASE)

_LONGEST_MESSAGE = 300

MCP_REMEDY = (
    "It can only be switched on when a PythonLTS pool is created: delete the pool with "
    "`aca-kernel pool delete` and create it again with `aca-kernel pool create`."
)


def refusal(  # noqa: PLR0911 - a table
    status: int, code: str, message: str, path: str, retry_after_seconds: float | None = None
) -> AcaKernelError:
    """Return the error of an answer without success.

    code, message: Resource Manager's own, empty if the answer had none.
    path: of the request; messages name its parts.
    """
    detail = f"HTTP {status} {code}".rstrip()
    if status == 401:
        return AccessDenied(
            f"Azure did not accept the login{_quoted(code)}. Run `az login`, with "
            "`--tenant` if the subscription belongs to another tenant, then try again.",
            detail=detail,
        )
    if status == 429:
        return PoolBusy(
            "Azure Resource Manager takes no more requests for a while.",
            detail=detail,
            retry_after_seconds=retry_after_seconds,
        )
    if status >= 500 or status == 408:
        return ResultUnknown(
            f"Azure Resource Manager does not answer as it should (HTTP {status}). "
            "Try again in a few minutes.",
            detail=detail,
        )
    by_code = refusal_by_code(code, message, path, detail)
    if by_code is not None:
        return by_code
    if status == 403:
        return AccessDenied(_role_sentence(path), detail=detail)
    if status == 404:
        return PoolNotFound(
            f"Azure knows no {_what(path)}. Check its name and the subscription; "
            "`aca-kernel pool list` shows the session pools.",
            detail=detail,
        )
    return AzureRefused(
        f"Azure refused the request{_quoted(code)}: {shortened(message)}", detail=detail
    )


def refusal_by_code(  # noqa: PLR0911 - a table
    code: str, message: str, path: str, detail: str = ""
) -> AcaKernelError | None:
    """Return the error of a code that says more than its status; None for other codes."""
    if code in ("AuthorizationFailed", "LinkedAuthorizationFailed"):
        return AccessDenied(_role_sentence(path), detail=detail)
    if code == "SubscriptionNotFound":
        return PoolNotFound(
            "Azure knows no such subscription, or this login must not see it. "
            "`az account list --output table` shows those that it sees.",
            detail=detail,
        )
    if code == "ResourceGroupNotFound":
        return PoolNotFound(
            f"Azure knows no resource group {_part(path, 'resourceGroups')} in this subscription. "
            "Check its name and the subscription; `aca-kernel pool create` makes it.",
            detail=detail,
        )
    if code in ("MissingSubscriptionRegistration", "MissingRegistrationForType"):
        return AzureRefused(
            f"The subscription is not registered for {PROVIDER}. Run `az provider register "
            f"--namespace {PROVIDER} --wait`, or let `aca-kernel pool create` do it.",
            detail=detail,
        )
    if code == "RequestDisallowedByPolicy":
        return AzureRefused(
            f"A policy of the subscription forbids it: {shortened(message)}", detail=detail
        )
    if code == "SessionMCPServerNotEnabled":
        return mcp_is_off(_part(path, "sessionPools"), detail)
    if _QUOTA.search(code) or (code and _QUOTA.search(message)):
        return AzureRefused(
            f"A quota of the subscription is used up{_quoted(code)}: {shortened(message)} Delete "
            "what is not needed, choose another location, or ask Azure's support for more.",
            detail=detail,
        )
    return None


def mcp_is_off(name: str, detail: str = "") -> PoolNotFound:
    """Return the error of a pool without an MCP server."""
    return PoolNotFound(
        f"The session pool {name} has no MCP server, without which nothing can be run in it. "
        + MCP_REMEDY,
        detail=detail,
    )


def keys_are_disabled(name: str) -> AccessDenied:
    """Return the error for a pool whose MCP server takes no API key, the only way in for us."""
    return AccessDenied(
        f"The session pool {name} has its API keys disabled (isMcpServerApiKeyDisabled), and "
        "kernels have no other way into it. Ask its administrator to enable them, or use another "
        "pool."
    )


def is_no_such_action(error: AcaKernelError) -> bool:
    """Tell whether a POST was refused because a resource has no action of that name.

    What the service says then is not documented; its code is in the detail, see `refusal`.
    """
    _, status, code, *_ = f"{error.detail}  ".split(" ")
    if status == "404":
        # Where the pool itself, or what it is in, is missing, the code says so.
        return not code.endswith(("ResourceNotFound", "GroupNotFound", "SubscriptionNotFound"))
    is_named = re.search(r"\baction\b|http method", error.message, re.IGNORECASE) is not None
    return status == "405" or (status == "400" and is_named)


def shortened(message: str) -> str:
    """Return Resource Manager's message, which holds no secret, at a readable length."""
    text = message or "it gave no reason."
    if len(text) > _LONGEST_MESSAGE:
        text = text[:_LONGEST_MESSAGE].rstrip() + "…"
    return text if text[-1] in ".…!?" else text + "."


def _role_sentence(path: str) -> str:
    subscription, group = _part(path, "subscriptions"), _part(path, "resourceGroups")
    if "/sessionpools" in path.lower():
        place = f"resource group {group}" if group else f"subscription {subscription}"
        return (
            f"This login lacks the role {POOL_ROLE!r} on {place}. Ask its owner to assign it, "
            "then try again; a new role takes a few minutes to be seen."
        )
    place = f"subscription {subscription}"
    return (
        f"This login lacks the role {GROUP_ROLE!r} on {place}, which making and deleting resource "
        "groups and registering providers needs. Ask its owner to assign it or to do this step."
    )


def _what(path: str) -> str:
    pool, group = _part(path, "sessionPools"), _part(path, "resourceGroups")
    if pool:
        return f"session pool {pool} in resource group {group}"
    if group:
        return f"resource group {group}"
    return "such resource"


def _part(path: str, name: str) -> str:
    """Return the part of a resource's path that follows a name, or an empty text."""
    found = re.search(rf"/{name}/([^/?]+)", path, re.IGNORECASE)
    return found[1] if found else ""


def _quoted(code: str) -> str:
    return f" ({code})" if code else ""
