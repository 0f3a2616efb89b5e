"""The way to a pool over the internet: httpx, whose exceptions become ours here."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import httpx

from ...errors import AcaKernelError, PoolUnreachable, SettingInvalid
from .contract import (
    LOOPBACK_HOSTS,
    HttpAnswer,
    Transport,
    answer_lost,
    not_an_address,
    unreachable,
)
from .tls import is_certificate_error, verification

if TYPE_CHECKING:
    from collections.abc import Mapping


class InternetTransport(Transport):
    """Posts with httpx: TLS, proxies and certificates of the environment variables."""

    def __init__(
        self, endpoint: str, headers: Mapping[str, str], *, connect_timeout_seconds: float
    ) -> None:
        self._endpoint = endpoint
        self._headers = dict(headers)
        self._connect_timeout_seconds = connect_timeout_seconds
        self._client: httpx.AsyncClient | None = None

    async def post(
        self, body: bytes, *, headers: Mapping[str, str], timeout_seconds: float
    ) -> HttpAnswer:
        """See Transport."""
        if self._client is None:
            is_local = urlsplit(self._endpoint).hostname in LOOPBACK_HOSTS
            self._client = httpx.AsyncClient(
                headers=self._headers,
                verify=verification(self._endpoint),
                # A proxy of the environment variables cannot reach this machine's own servers.
                mounts={"http://": None, "https://": None} if is_local else None,
            )
        timeout = httpx.Timeout(timeout_seconds, connect=self._connect_timeout_seconds)
        try:
            response = await self._client.post(
                self._endpoint, content=body, headers=dict(headers), timeout=timeout
            )
        except (httpx.InvalidURL, httpx.UnsupportedProtocol) as error:
            raise not_an_address() from error
        except httpx.HTTPError as error:
            raise _from_httpx(error) from error
        return HttpAnswer(response.status_code, response.headers, response.content)

    async def close(self) -> None:
        """See Transport."""
        if self._client is not None:
            await self._client.aclose()
            self._client = None


def _from_httpx(error: httpx.HTTPError) -> AcaKernelError:
    detail = type(error).__name__
    if isinstance(error, (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout)):
        if is_certificate_error(error):
            return SettingInvalid(
                "The TLS certificate of the session pool could not be verified. If your network "
                "uses its own certificate authority, set SSL_CERT_FILE to its bundle.",
                detail=detail,
            )
        return unreachable(detail)
    if isinstance(error, httpx.ProxyError):
        return PoolUnreachable(
            "The proxy refused the connection to the session pool. Check HTTPS_PROXY and NO_PROXY.",
            detail=detail,
        )
    return answer_lost(detail)
