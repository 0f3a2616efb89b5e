"""The way to a pool over the internet: httpx, whose exceptions become ours here.

A connection is kept as long as the server keeps it: making one takes two round trips or three, and
between two cells most users pause longer than the five seconds after which httpx would close it.
The operating system keeps it known to whatever stands in between, and nothing here wakes up for it.
"""

from __future__ import annotations

import contextlib
import socket
from dataclasses import dataclass
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
from .tls import is_certificate_error, resuming_context

if TYPE_CHECKING:
    import ssl
    from collections.abc import Mapping

# Azure's load balancers forget a connection that has been silent for four minutes.
# Source: Azure Load Balancer, "TCP reset and idle timeout".
_KEEP_ALIVE = {"TCP_KEEPIDLE": 60, "TCP_KEEPALIVE": 60, "TCP_KEEPINTVL": 15, "TCP_KEEPCNT": 4}


@dataclass
class _Connections:
    """Connections that are used by one client.

    pending: requests on them now. most: that there were at a time, as many as connections.
    is_left: closed when nothing is pending any more.
    """

    client: httpx.AsyncClient
    pending: int = 0
    most: int = 0
    is_left: bool = False


class InternetTransport(Transport):
    """Posts with httpx: TLS, proxies and certificates of the environment variables."""

    def __init__(
        self, endpoint: str, headers: Mapping[str, str], *, connect_timeout_seconds: float
    ) -> None:
        self._endpoint = endpoint
        self._headers = dict(headers)
        self._connect_timeout_seconds = connect_timeout_seconds
        self._context: ssl.SSLContext | None = None
        self._connections: _Connections | None = None

    async def post(
        self, body: bytes, *, headers: Mapping[str, str], timeout_seconds: float
    ) -> HttpAnswer:
        """See Transport."""
        if self._connections is None:
            self._connections = _Connections(self._open())
        connections = self._connections
        connections.pending += 1
        connections.most = max(connections.most, connections.pending)
        timeout = httpx.Timeout(timeout_seconds, connect=self._connect_timeout_seconds)
        try:
            response = await connections.client.post(
                self._endpoint, content=body, headers=dict(headers), timeout=timeout
            )
        except (httpx.InvalidURL, httpx.UnsupportedProtocol) as error:
            raise not_an_address() from error
        except httpx.HTTPError as error:
            raise _from_httpx(error) from error
        finally:
            connections.pending -= 1
            if connections.is_left and not connections.pending:
                await connections.client.aclose()
        _keep_alive(response)
        return HttpAnswer(response.status_code, response.headers, response.content)

    @property
    def has_spare(self) -> bool:
        """See Transport; not whether the server has closed it meanwhile."""
        return self._connections is not None and self._connections.pending < self._connections.most

    async def renew(self) -> None:
        """See Transport."""
        left, self._connections = self._connections, None
        if left is not None:
            left.is_left = True
            if not left.pending:
                await left.client.aclose()

    async def close(self) -> None:
        """See Transport."""
        closed, self._connections = self._connections, None
        if closed is not None:
            await closed.client.aclose()

    def _open(self) -> httpx.AsyncClient:
        is_local = urlsplit(self._endpoint).hostname in LOOPBACK_HOSTS
        if self._context is None:
            self._context = resuming_context(self._endpoint)
        return httpx.AsyncClient(
            headers=self._headers,
            verify=self._context,
            limits=httpx.Limits(keepalive_expiry=None),
            # A proxy of the environment variables cannot reach this machine's own servers.
            mounts={"http://": None, "https://": None} if is_local else None,
        )


def _keep_alive(response: httpx.Response) -> None:
    """Have the operating system look after the connection of a response."""
    stream = response.extensions.get("network_stream")
    used = stream.get_extra_info("socket") if stream is not None else None
    if used is None:
        return
    with contextlib.suppress(OSError):  # it may be closed by now
        if not used.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE):
            used.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            for name, value in _KEEP_ALIVE.items():
                if hasattr(socket, name):  # they differ between systems
                    used.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)


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
