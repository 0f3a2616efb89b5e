"""The control plane's HTTP face: who is let in, and what all requests have in common.

A request is let in by its head (`refusal`), then answered (`answer`). The endpoint of a
created pool has the service's form, with this server in place of
https://REGION.dynamicsessions.io:

    /subscriptions/S/resourceGroups/G/sessionPools/NAME/mcp
"""

from __future__ import annotations

import json
import re
import uuid
from typing import TYPE_CHECKING, Any, ClassVar
from urllib.parse import parse_qsl, unquote

from ..mcp import Answer
from . import routes
from .arm_errors import (
    ArmError,
    authorization_failed,
    invalid_api_version,
    invalid_content,
    method_not_allowed,
    missing_api_version,
    subscription_not_found,
    throttled,
)
from .handlers import ArmRequest, Handlers
from .plane import ControlPlane
from .resources import check_version
from .tokens import CLIENT, TokenIssuer

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ..hosted import HostedPool
    from ..options import PoolOptions

TOKEN_PATH = "/msi/token"  # noqa: S105  a path
_THROTTLED_SECONDS = 1
_DATED = re.compile(r"\d{4}-\d{2}-\d{2}(-\w+)?")
_VERBS = {"GET": "read", "HEAD": "read", "DELETE": "delete", "POST": "action"}
# The data plane's path has no "providers", so that a pool may be called "mcp".
_POOL_PATH = re.compile(
    r"/subscriptions/([^/]+)/resourcegroups/([^/]+)/sessionpools/([^/]+)(/[^/]*)?/?", re.IGNORECASE
)


class ControlPlaneServer:
    """Answers the control plane's requests; see the module.

    Pools that it creates end with `close`; `default` belongs to the caller.
    """

    # Resource Manager's limit for a request.
    max_request_bytes: ClassVar[int] = 4 << 20

    def __init__(self, options: PoolOptions, default: HostedPool) -> None:
        self._options = options
        self._plane = ControlPlane(options, default)
        self._handlers = Handlers(self._plane)
        group = f"/subscriptions/{options.subscription}/resourcegroups/{options.resource_group}"
        self._tokens = TokenIssuer(
            options.token_lifetime_seconds,
            f"{group}/providers/Microsoft.ManagedIdentity/userAssignedIdentities/local",
        )
        self._requests = 0

    def environment(self, origin: str) -> dict[str, str]:
        """Return the variables with which clients find this control plane and a token for it."""
        return {
            "ACA_ARM_ENDPOINT": origin,
            "IDENTITY_ENDPOINT": origin + TOKEN_PATH,
            "IDENTITY_HEADER": self._tokens.identity_header,
            "ACA_SUBSCRIPTION_ID": self._options.subscription,
            "ACA_RESOURCE_GROUP": self._options.resource_group,
            "ACA_SESSION_POOL": self._options.name,
        }

    async def close(self) -> None:
        """End what is at work, and every pool."""
        await self._plane.close()

    def names_pool(self, path: str) -> bool:
        """Tell whether a path is one of the data plane of a named pool."""
        return _POOL_PATH.fullmatch(path) is not None

    def pool_at(self, path: str) -> HostedPool | None:
        """Return what runs the pool that a path names; None: there is no MCP server there."""
        match = _POOL_PATH.fullmatch(path)
        if match is None or match[1].lower() != self._options.subscription.lower():
            return None
        try:
            return self._plane.pool(unquote(match[2]), unquote(match[3])).hosted
        except ArmError:
            return None

    def owns(self, path: str) -> bool:
        """Tell whether a path is the control plane's."""
        first = path.lower().split("/")[1:2]
        return path == TOKEN_PATH or (
            first in (["subscriptions"], ["providers"], ["tenants"]) and not self.names_pool(path)
        )

    def refusal(self, path: str, headers: Mapping[str, str]) -> Answer | None:
        """Return why a request is not let in, judged by its head; None if it is."""
        if path == TOKEN_PATH:
            return None  # it has a secret of its own
        try:
            self._tokens.check(headers.get("Authorization"))
        except ArmError as error:
            return error.answer()
        return None

    async def answer(
        self, method: str, target: str, headers: Mapping[str, str], body: bytes
    ) -> Answer:
        """Answer a request that was let in. target: path and query as they came."""
        path, _, query_text = target.partition("?")
        query = {name.lower(): value for name, value in parse_qsl(query_text)}
        if path == TOKEN_PATH:
            if method != "GET":
                return method_not_allowed(method, ["GET"]).answer()
            return self._tokens.answer(headers, query)
        try:
            answer = self._answer(method, path, query, headers.get("Host", ""), body)
        except ArmError as error:
            answer = error.answer()
        request_id = str(uuid.uuid4())
        answer.headers = {
            "x-ms-request-id": request_id,
            "x-ms-correlation-request-id": request_id,
            "Cache-Control": "no-cache",
            **answer.headers,
        }
        return answer

    def _answer(
        self, method: str, path: str, query: Mapping[str, str], host: str, body: bytes
    ) -> Answer:
        self._requests += 1
        if self._options.quirks.arm_throttles and self._requests % 2:
            raise throttled(self._options.subscription, _THROTTLED_SECONDS)
        version = query.get("api-version", "")
        if not version:
            raise missing_api_version()
        route, parts = routes.find(path, version)
        handler = route.handlers.get(method)
        if handler is None:
            raise method_not_allowed(method, sorted(route.handlers))
        self._check(route, parts, method, path, version)
        content = _read(body) if method in ("PUT", "PATCH") or body else None
        request = ArmRequest(method, version, parts, content, f"http://{host}")
        return handler(self._handlers, request)

    def _check(
        self, route: routes.Route, parts: Mapping[str, str], method: str, path: str, version: str
    ) -> None:
        """Check what all requests of a route have in common: subscription, role and version."""
        subscription = parts.get("subscription", self._options.subscription)
        if subscription.lower() != self._options.subscription.lower():
            raise subscription_not_found(subscription)
        quirks = self._options.quirks
        if quirks.no_role or (quirks.reader_role and method not in ("GET", "HEAD")):
            action = f"{route.action}/{_VERBS.get(method, 'write')}"
            raise authorization_failed(CLIENT, action, path)
        if route.is_pools:
            check_version(version, self._options.location)
        if not _DATED.fullmatch(version):
            raise invalid_api_version(version)


def _read(body: bytes) -> Any:
    """Return a request's JSON. Raises ArmError: it is none."""
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        raise invalid_content("the body is no JSON.") from None
