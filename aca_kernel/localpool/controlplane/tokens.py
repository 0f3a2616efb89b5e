"""Bearer tokens of this server, and the managed identity endpoint that gives them out.

Resource Manager here takes the tokens that its own endpoint issued, and no others: a control
plane on loopback that believed any token of the right form would let any program of this
machine, a session with network included, fetch the keys of all pools. A stand-in for `az`
gets its token from the endpoint, too. A token is a JSON Web Token, because clients decode it,
signed with a secret of this start.

Sources: https://learn.microsoft.com/azure/app-service/overview-managed-identity (REST endpoint
reference, api-version 2019-08-01); the 401 answers of management.azure.com.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import os
import time
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from ..mcp import Answer
from ..options import is_loopback
from .arm_errors import unauthenticated

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

API_VERSION = "2019-08-01"
TENANT = "11111111-1111-1111-1111-111111111111"
# The identity that every token speaks of; there is one.
CLIENT = "22222222-2222-2222-2222-222222222222"

_AUDIENCES = frozenset(
    {
        "https://management.azure.com",
        "https://management.core.windows.net",
        "https://management.usgovcloudapi.net",
        "https://management.core.usgovcloudapi.net",
        "https://management.chinacloudapi.cn",
        "https://management.core.chinacloudapi.cn",
    }
)
_HEADER = {"typ": "JWT", "alg": "HS256"}
# Ways in which a request may name an identity other than the machine's own.
_IDENTITY_NAMES = ("client_id", "principal_id", "object_id", "mi_res_id")


class TokenIssuer:
    """Issues and checks tokens. `clock`: seconds since 1970."""

    def __init__(
        self, lifetime_seconds: float, resource_id: str, clock: Callable[[], float] = time.time
    ) -> None:
        self.identity_header = os.urandom(24).hex()
        self._secret = os.urandom(32)
        self._lifetime_seconds = lifetime_seconds
        self._resource_id = resource_id
        self._clock = clock

    def issue(self, resource: str) -> dict[str, str]:
        """Return a token for a resource, in the form of the managed identity endpoint."""
        now = self._clock()
        expires_on = int(now + self._lifetime_seconds)
        claims = {
            "aud": resource,
            "iss": f"https://sts.windows.net/{TENANT}/",
            "iat": int(now),
            "nbf": int(now),
            "exp": expires_on,
            "appid": CLIENT,
            "idtyp": "app",
            "oid": CLIENT,
            "sub": CLIENT,
            "tid": TENANT,
            # No two tokens are alike, as in Azure, so that a renewed one can be told.
            "uti": _base64(os.urandom(16)),
            "xms_mirid": self._resource_id,
        }
        signed = f"{_encode(_HEADER)}.{_encode(claims)}"
        return {
            "access_token": f"{signed}.{self._signature(signed)}",
            "client_id": CLIENT,
            "expires_on": str(expires_on),
            "resource": resource,
            "token_type": "Bearer",
        }

    def check(self, authorization: str | None) -> None:
        """Let a request in by its Authorization header. Raises ArmError: it is not let in."""
        if not authorization:
            raise unauthenticated(
                "AuthenticationFailed",
                "Authentication failed. The 'Authorization' header is missing.",
                TENANT,
            )
        scheme, _, token = authorization.strip().partition(" ")
        if scheme.lower() != "bearer" or token.count(".") != 2:
            raise unauthenticated(
                "AuthenticationFailedInvalidHeader",
                "Authentication failed. The 'Authorization' header is provided in an invalid "
                "format.",
                TENANT,
            )
        signed, _, signature = token.strip().rpartition(".")
        given = signature.encode("utf-8", "surrogateescape")
        if not hmac.compare_digest(given, self._signature(signed).encode()):
            raise unauthenticated(
                "InvalidAuthenticationToken", "The access token is invalid.", TENANT
            )
        self._check_claims(_decode(signed.partition(".")[2]))

    def answer(self, headers: Mapping[str, str], query: Mapping[str, str]) -> Answer:
        """Answer a request for a token."""
        presented = headers.get("X-IDENTITY-HEADER", "").encode("utf-8", "surrogateescape")
        if not hmac.compare_digest(presented, self.identity_header.encode()):
            return _refusal(401, "The header X-IDENTITY-HEADER is missing or wrong.")
        if query.get("api-version") != API_VERSION:
            return _refusal(400, f"The api-version must be {API_VERSION}.")
        if not query.get("resource"):
            return _refusal(400, "The parameter resource is missing.")
        if any(query.get(name, CLIENT) != CLIENT for name in _IDENTITY_NAMES):
            return _refusal(
                400,
                "No User Assigned or Delegated Managed Identity found for specified "
                "ClientId/ResourceId/PrincipalId.",
            )
        return Answer(200, self.issue(query["resource"]), {"Cache-Control": "no-store"})

    def _signature(self, signed: str) -> str:
        data = signed.encode("utf-8", "surrogateescape")
        return _base64(hmac.new(self._secret, data, hashlib.sha256).digest())

    def _check_claims(self, claims: dict[str, Any]) -> None:
        now = self._clock()
        if claims["exp"] <= now:
            raise unauthenticated(
                "ExpiredAuthenticationToken",
                f"The access token expiry UTC time '{_utc(claims['exp'])}' is earlier than "
                f"current UTC time '{_utc(now)}'.",
                TENANT,
            )
        audience = str(claims["aud"])
        parts = urlsplit(audience)
        # A client that was pointed to this server may ask for a token for this server.
        is_here = parts.scheme == "http" and is_loopback(parts.hostname or "")
        if not is_here and audience.rstrip("/") not in _AUDIENCES:
            raise unauthenticated(
                "InvalidAuthenticationTokenAudience",
                "The access token has been obtained for wrong audience or resource "
                f"'{audience[:200]}'. It should exactly match with one of the allowed audiences "
                f"'{','.join(sorted(_AUDIENCES))}'.",
                TENANT,
            )


def _refusal(status: int, message: str) -> Answer:
    return Answer(status, {"statusCode": status, "message": message})


def _encode(value: dict[str, Any]) -> str:
    return _base64(json.dumps(value, separators=(",", ":")).encode())


def _decode(text: str) -> dict[str, Any]:
    """Return claims of a token whose signature has been checked."""
    claims = json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
    assert isinstance(claims, dict)  # noqa: S101 - we signed it
    return claims


def _base64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _utc(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
