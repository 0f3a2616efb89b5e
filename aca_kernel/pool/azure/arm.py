"""Azure Resource Manager over HTTP: requests and their retries.

httpx's exceptions and Resource Manager's answers become our errors here. Idempotent requests
are retried: all of ours, except a rotation of the key.
Source: Azure Resource Manager, "Throttling Resource Manager requests".
"""

from __future__ import annotations

import asyncio
import email.utils
import json
import random
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlencode, urlsplit

from ... import __version__
from ...errors import (
    AcaKernelError,
    PoolBusy,
    PoolNotFound,
    PoolUnreachable,
    RemoteProtocolError,
    ResultUnknown,
    SettingInvalid,
)
from ..transport.distrust import why_distrusted
from ..transport.tls import verification
from .clouds import Cloud
from .credentials import Tokens
from .refusals import refusal
from .shapes import error_from

if TYPE_CHECKING:
    import httpx

T = TypeVar("T")

# Called during a wait, with its purpose and its seconds so far.
Progress = Callable[[str, float], None]

_REQUEST_TIMEOUT_SECONDS = 60.0

# An operation is followed for so long, by default.
OPERATION_TIMEOUT_SECONDS = 1200.0

# With pauses of 0.5, 1, 2 and 4 s.
ATTEMPTS = 5
_FIRST_PAUSE_SECONDS = 0.5

# Of a throttled request, in all. Resource Manager's buckets fill within a few seconds; the user
# decides about a longer Retry-After.
_LONGEST_THROTTLE_SECONDS = 120.0


@dataclass(frozen=True)
class ArmAnswer:
    """A successful answer. body: its JSON object, empty if there was none."""

    status: int
    headers: Mapping[str, str]
    body: dict[str, Any]


def silent(_what: str, _waited: float) -> None:
    """Show no progress."""


class Arm:
    """A connection to one cloud's Resource Manager, kept alive between requests.

    attempts: how often a request with a passing failure is sent.
    operation_timeout_seconds: of asynchronous operations (long_running.py).
    progress: called during waits, at least once a second.
    """

    def __init__(
        self,
        cloud: Cloud,
        tokens: Tokens,
        *,
        connect_timeout_seconds: float = 10.0,
        attempts: int = ATTEMPTS,
        operation_timeout_seconds: float = OPERATION_TIMEOUT_SECONDS,
        progress: Progress = silent,
    ) -> None:
        self._cloud = cloud
        self._tokens = tokens
        self._connect_timeout_seconds = connect_timeout_seconds
        self._attempts = attempts
        self._progress = progress
        self._http: httpx.AsyncClient | None = None
        self.operation_timeout_seconds = operation_timeout_seconds

    async def close(self) -> None:
        """Close the connections and forget the token."""
        self._tokens.close()
        if self._http is not None:
            await self._http.aclose()
            self._http = None

    def tell(self, what: str, waited: float = 0.0) -> None:
        """Show the purpose of a wait, by default at its start."""
        self._progress(what, waited)

    async def request(
        self,
        method: str,
        path: str,
        api_version: str,
        body: dict[str, Any] | None = None,
        *,
        is_repeatable: bool = True,
    ) -> ArmAnswer:
        """Send a request and return its successful answer.

        path: of the resource, from "/subscriptions/" on.
        is_repeatable: it is idempotent.
        Raises AccessDenied, PoolNotFound, AzureRefused, PoolBusy, PoolUnreachable,
        SettingInvalid, RemoteProtocolError; the errors of Tokens.token; ResultUnknown, if it
        is not repeatable.
        """
        url = f"{self._cloud.arm_endpoint}{path}?{urlencode({'api-version': api_version})}"
        return await self._persist(method, url, body, is_repeatable=is_repeatable)

    async def get_all(self, path: str, api_version: str) -> list[dict[str, Any]]:
        """Return the resources of all pages of a list."""
        answer = await self.request("GET", path, api_version)
        resources: list[dict[str, Any]] = []
        while True:
            page = answer.body.get("value")
            if not isinstance(page, list):
                raise _not_arm()
            resources.extend(one for one in page if isinstance(one, dict))
            following = answer.body.get("nextLink")
            if not following:
                return resources
            answer = await self.follow(str(following))

    async def follow(self, url: str) -> ArmAnswer:
        """Get an address that Resource Manager has given; raises as request."""
        return await self._persist("GET", self._own(url), None)

    async def tell_for(self, seconds: float, what: str, started: float) -> None:
        """Wait, with progress each second. started: monotonic clock of the wait's start."""
        until = time.monotonic() + seconds
        while (now := time.monotonic()) < until:
            self._progress(what, now - started)
            await asyncio.sleep(min(1.0, until - now))

    # -- one request -------------------------------------------------------------

    async def _persist(
        self, method: str, url: str, body: dict[str, Any] | None, *, is_repeatable: bool = True
    ) -> ArmAnswer:
        """Send a request, and retry passing failures."""
        started = time.monotonic()
        pause = _FIRST_PAUSE_SECONDS
        for attempts_left in range(self._attempts - 1, -1, -1):
            try:
                return await self._once(method, url, body)
            except ResultUnknown as error:
                if not is_repeatable:
                    raise
                if not attempts_left:
                    raise PoolUnreachable(error.message, detail=error.detail) from error
                passing: AcaKernelError = error
            except (PoolBusy, PoolUnreachable) as error:
                if not attempts_left:
                    raise
                passing = error
            wait = pause * random.uniform(0.75, 1.25)  # noqa: S311 - no secret
            wanted = getattr(passing, "retry_after_seconds", None)
            if wanted is not None:
                wait = wanted
                if time.monotonic() - started + wait > _LONGEST_THROTTLE_SECONDS:
                    raise passing
            await self.tell_for(wait, passing.message.rstrip("."), started)
            pause *= 2
        raise AssertionError  # the last attempt has returned or raised

    async def _once(self, method: str, url: str, body: dict[str, Any] | None) -> ArmAnswer:
        """Send a request, and again with a new token if this one is refused."""
        response = await self._send(method, url, body)
        if response.status_code == 401:
            # Revoked, or of a login that was replaced.
            self._tokens.close()
            response = await self._send(method, url, body)
        if response.is_success:
            return _answer(response)
        raise _refusal(response)

    async def _send(self, method: str, url: str, body: dict[str, Any] | None) -> httpx.Response:
        """Send a request once. Raises PoolUnreachable, ResultUnknown, SettingInvalid."""
        token = await self._tokens.token()
        import httpx

        if self._http is None:
            self._http = httpx.AsyncClient(
                verify=verification(self._cloud.arm_endpoint),
                # A proxy of the environment variables cannot reach this machine.
                trust_env=not self._cloud.is_local,
                timeout=httpx.Timeout(
                    _REQUEST_TIMEOUT_SECONDS, connect=self._connect_timeout_seconds
                ),
                headers={"accept": "application/json", "user-agent": f"aca-kernel/{__version__}"},
            )
        headers = {"authorization": f"Bearer {token}"}
        content = None
        if body is not None or method in ("POST", "PUT"):
            headers["content-type"] = "application/json"
            content = b"" if body is None else json.dumps(body).encode()
        try:
            return await self._http.request(method, url, headers=headers, content=content)
        except httpx.InvalidURL as error:
            raise SettingInvalid(
                "The address of Azure Resource Manager is not a web address. Check "
                "ACA_ARM_ENDPOINT."
            ) from error
        except httpx.HTTPError as error:
            raise _from_httpx(error) from error

    def _own(self, url: str) -> str:
        """Return an address if the token may be sent there. Raises RemoteProtocolError."""
        if _origin(url) != _origin(self._cloud.arm_endpoint):
            raise RemoteProtocolError(
                "Azure Resource Manager points to another address, to which the login's token is "
                "not sent. Check ACA_ARM_ENDPOINT."
            )
        return url


async def found(asking: Awaitable[T]) -> T | None:
    """Return an answer about a resource, None if there is no such resource.

    Raises PoolNotFound: there is no such subscription.
    """
    try:
        return await asking
    except PoolNotFound as error:
        if "SubscriptionNotFound" in error.detail:
            raise
        return None


def _origin(url: str) -> tuple[str, str | None, int | None]:
    """Return scheme, host and port; Resource Manager writes :443 in some of its addresses."""
    parts = urlsplit(url)
    return parts.scheme, parts.hostname, parts.port or {"http": 80, "https": 443}.get(parts.scheme)


def _answer(response: httpx.Response) -> ArmAnswer:
    body = _json_of(response) if response.content.strip() else {}
    if not isinstance(body, dict):
        raise _not_arm()
    return ArmAnswer(response.status_code, response.headers, body)


def _json_of(response: httpx.Response) -> Any:
    """Return the JSON of an answer, None if it has none."""
    try:
        return response.json()
    except ValueError:
        return None


def _refusal(response: httpx.Response) -> AcaKernelError:
    if response.is_redirect:
        return _not_arm()
    code, message = error_from(_json_of(response))
    path = response.request.url.path
    return refusal(response.status_code, code, message, path, retry_after(response.headers))


def _not_arm() -> RemoteProtocolError:
    return RemoteProtocolError(
        "What answers there is not Azure Resource Manager. Check ACA_ARM_ENDPOINT and the proxy."
    )


def _from_httpx(error: httpx.HTTPError) -> AcaKernelError:
    import httpx

    detail = type(error).__name__
    distrust = why_distrusted("Azure Resource Manager", error)
    if distrust is not None:
        return SettingInvalid(" ".join(distrust), detail=detail)
    if isinstance(error, httpx.ProxyError):
        return PoolUnreachable(
            "The proxy refused the connection to Azure Resource Manager. Check HTTPS_PROXY and "
            "NO_PROXY.",
            detail=detail,
        )
    if isinstance(error, (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout)):
        return PoolUnreachable(
            "Azure Resource Manager cannot be reached. Check the network, HTTPS_PROXY and "
            "ACA_ARM_ENDPOINT.",
            detail=detail,
        )
    return ResultUnknown(
        "The connection to Azure Resource Manager was lost before its answer arrived.",
        detail=detail,
    )


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Return the seconds of a Retry-After, which may be a date. Source: RFC 9110, 10.2.3."""
    given = headers.get("retry-after", "")
    try:
        return max(0.0, float(given))
    except ValueError:
        pass
    try:
        return max(0.0, email.utils.parsedate_to_datetime(given).timestamp() - time.time())
    except ValueError:
        return None
