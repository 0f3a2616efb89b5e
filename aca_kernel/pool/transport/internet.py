"""The way to a pool over the internet: httpx, whose exceptions become ours here.

A connection is kept as long as the server keeps it: making one takes two round trips or three, and
between two cells most users pause longer than the five seconds after which httpx would close it.
The operating system keeps it known to whatever stands in between, and nothing here wakes up for it.
"""

from __future__ import annotations

import contextlib
import socket
import ssl
from collections.abc import Mapping
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
from .distrust import why_distrusted
from .tls import resuming_context

# Azure's load balancers forget a connection that has been silent for four minutes.
# Source: Azure Load Balancer, "TCP reset and idle timeout".
_KEEP_ALIVE = {"TCP_KEEPIDLE": 60, "TCP_KEEPALIVE": 60, "TCP_KEEPINTVL": 15, "TCP_KEEPCNT": 4}


class InternetTransport(Transport):
    """Posts with httpx: TLS, proxies and certificates of the environment variables."""

    def __init__(
        self, endpoint: str, headers: Mapping[str, str], *, connect_timeout_seconds: float
    ) -> None:
        self._endpoint = endpoint
        self._headers = dict(headers)
        self._connect_timeout_seconds = connect_timeout_seconds
        self._context: ssl.SSLContext | None = None
        self._client: httpx.AsyncClient | None = None
        # Requests that are pending, and how many there were at a time: as many connections stand,
        # less those that were lost since.
        self._pending = self._most_pending = 0
        # TCP's, TLS 1.3's and the request's own; through a proxy there are more.
        self._first_round_trips = 3 if urlsplit(endpoint).scheme == "https" else 2

    async def post(
        self, body: bytes, *, headers: Mapping[str, str], timeout_seconds: float
    ) -> HttpAnswer:
        """See Transport."""
        if self._client is None:
            self._client = self._open()
        client, has_answered = self._client, False
        self._pending += 1
        is_new = self._pending > self._most_pending
        self._most_pending = max(self._most_pending, self._pending)
        timeout = httpx.Timeout(timeout_seconds, connect=self._connect_timeout_seconds)
        try:
            response = await client.post(
                self._endpoint, content=body, headers=dict(headers), timeout=timeout
            )
            has_answered = True
        except (httpx.InvalidURL, httpx.UnsupportedProtocol) as error:
            raise not_an_address() from error
        except httpx.HTTPError as error:
            raise _from_httpx(error) from error
        finally:
            self._pending -= 1
            if not has_answered and client is self._client:
                # Its connection is gone, also if it was given up.
                self._most_pending -= 1
        _keep_alive(response)
        round_trips = self._first_round_trips if is_new else 1
        return HttpAnswer(response.status_code, response.headers, response.content, round_trips)

    @property
    def connections(self) -> int:
        """See Transport."""
        return self._most_pending

    async def close(self) -> None:
        """See Transport."""
        client, self._client = self._client, None
        self._most_pending = 0
        if client is not None:
            await client.aclose()

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
        distrust = why_distrusted("the session pool", error)
        if distrust is not None:
            return SettingInvalid(" ".join(distrust), detail=detail)
        return unreachable(detail)
    if isinstance(error, httpx.ProxyError):
        return PoolUnreachable(
            "The proxy refused the connection to the session pool. Check HTTPS_PROXY and NO_PROXY.",
            detail=detail,
        )
    return answer_lost(detail)
