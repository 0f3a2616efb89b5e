"""The choice between the two ways to a pool, by its address."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from .contract import LOOPBACK_HOSTS, Transport, not_an_address

if TYPE_CHECKING:
    from collections.abc import Mapping


def open_transport(
    endpoint: str, headers: Mapping[str, str], *, connect_timeout_seconds: float
) -> Transport:
    """Return what posts to an endpoint.

    headers: sent with every request.
    connect_timeout_seconds: until a connection stands, TLS included.
    Raises SettingInvalid: the endpoint is not a web address.
    """
    try:
        parts = urlsplit(endpoint)
        host, _ = parts.hostname, parts.port
    except ValueError as error:
        raise not_an_address() from error
    # Imported when needed: httpx takes a tenth of a second, which a local start need not wait.
    if parts.scheme == "http" and host in LOOPBACK_HOSTS:
        from .loopback import LoopbackTransport

        return LoopbackTransport(parts, headers, connect_timeout_seconds=connect_timeout_seconds)
    from .internet import InternetTransport

    return InternetTransport(endpoint, headers, connect_timeout_seconds=connect_timeout_seconds)
