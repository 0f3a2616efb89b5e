"""Which path and method does what. Paths are compared without regard to case, as in Azure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import unquote

from ..mcp import Answer
from .arm_errors import invalid_namespace, invalid_resource_type
from .handlers import DEPLOYMENT_TYPE, ArmRequest, Handlers
from .plane import FEATURE, NAMESPACE
from .resources import POOL_TYPE

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    Handler = Callable[[Handlers, ArmRequest], Answer]


@dataclass(frozen=True)
class Route:
    """One path, with what its methods do."""

    pattern: re.Pattern[str]
    # Is it a route of Microsoft.App/sessionPools, with versions of its own?
    is_pools: bool
    # What Azure's roles call what the methods do: "Microsoft.App/sessionPools".
    action: str
    handlers: Mapping[str, Handler]


def _route(template: str, action: str = "", **handlers: Handler) -> Route:
    expression = re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", template)
    is_pools = "/sessionPools" in template
    return Route(re.compile(expression, re.IGNORECASE), is_pools, action, handlers)


_S = "/subscriptions/{subscription}"
_L = _S + "/providers/Microsoft.App/locations/{location}"
_F = f"{_S}/providers/Microsoft.Features/providers/{NAMESPACE}/features/{FEATURE}"
_G = _S + "/resourceGroups/{group}"
_P = _G + "/providers/Microsoft.App/sessionPools/{pool}"
_D = _G + "/providers/Microsoft.Resources/deployments/{deployment}"
_GROUPS = "Microsoft.Resources/subscriptions/resourceGroups"
_ROUTES = (
    _route("/subscriptions", GET=Handlers.list_subscriptions),
    _route("/tenants", GET=Handlers.list_tenants),
    _route(_S, "Microsoft.Resources/subscriptions", GET=Handlers.get_subscription),
    _route(_S + "/providers/{namespace}", "Microsoft.Resources", GET=Handlers.get_provider),
    _route(
        _S + "/providers/{namespace}/register",
        f"{NAMESPACE}/register",
        POST=Handlers.register_provider,
    ),
    _route(_F, "Microsoft.Features/providers/features", GET=Handlers.get_feature),
    _route(
        _F + "/register",
        "Microsoft.Features/providers/features/register",
        POST=Handlers.register_feature,
    ),
    _route(_S + "/resourceGroups", _GROUPS, GET=Handlers.list_groups),
    _route(
        _G,
        _GROUPS,
        GET=Handlers.get_group,
        HEAD=Handlers.head_group,
        PUT=Handlers.put_group,
        DELETE=Handlers.delete_group,
    ),
    _route(_G + "/resources", f"{_GROUPS}/resources", GET=Handlers.list_resources),
    _route(_S + "/operationresults/{operation}", GET=Handlers.get_group_result),
    _route(_S + "/providers/Microsoft.App/sessionPools", POOL_TYPE, GET=Handlers.list_pools),
    _route(_G + "/providers/Microsoft.App/sessionPools", POOL_TYPE, GET=Handlers.list_pools),
    _route(
        _P,
        POOL_TYPE,
        GET=Handlers.get_pool,
        PUT=Handlers.put_pool,
        PATCH=Handlers.patch_pool,
        DELETE=Handlers.delete_pool,
    ),
    _route(
        _P + "/fetchMCPServerCredentials",
        f"{POOL_TYPE}/fetchMCPServerCredentials",
        POST=Handlers.fetch_key,
    ),
    # The vendor's pages and its published specification do not agree on the name.
    _route(
        _P + "/regenerateCredentials",
        f"{POOL_TYPE}/regenerateCredentials",
        POST=Handlers.regenerate_key,
    ),
    _route(
        _P + "/rotateMCPServerCredentials",
        f"{POOL_TYPE}/rotateMCPServerCredentials",
        POST=Handlers.rotate_key,
    ),
    _route(
        _L + "/containerappOperationStatuses/{operation}",
        GET=Handlers.get_status,
    ),
    _route(
        _L + "/containerappOperationResults/{operation}",
        GET=Handlers.get_result,
    ),
    _route(_D, DEPLOYMENT_TYPE, GET=Handlers.get_deployment, PUT=Handlers.put_deployment),
    _route(_D + "/validate", f"{DEPLOYMENT_TYPE}/validate", POST=Handlers.validate_deployment),
    _route(_D + "/operationStatuses/{operation}", GET=Handlers.get_deployment_status),
)


def find(path: str, version: str) -> tuple[Route, dict[str, str]]:
    """Return the route of a path and its names. Raises ArmError: there is none."""
    for route in _ROUTES:
        match = route.pattern.fullmatch(path.rstrip("/"))
        if match is not None:
            return route, {name: unquote(value) for name, value in match.groupdict().items()}
    _, _, rest = path.partition("/providers/")
    namespace, _, kind = unquote(rest).partition("/")
    if namespace and namespace.lower() not in (NAMESPACE.lower(), "microsoft.resources"):
        raise invalid_namespace(namespace)
    raise invalid_resource_type(kind or path, namespace or "Microsoft.Resources", version)
