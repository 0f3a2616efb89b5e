"""The choice between the two ways to a pool, by its address."""

from __future__ import annotations

from collections.abc import Mapping

from .contract import LOOPBACK_HOSTS, Transport, not_an_address, web_address


def open_transport(
    endpoint: str, headers: Mapping[str, str], *, connect_timeout_seconds: float
) -> Transport:
    """Return what posts to an endpoint.

    headers: sent with every request.
    connect_timeout_seconds: until a connection stands, TLS included.
    Raises SettingInvalid: the endpoint is not a web address.
    """
    parts = web_address(endpoint)
    if parts is None:
        raise not_an_address()
    # Imported when needed: httpx takes a tenth of a second, which a local start need not wait.
    if parts.scheme == "http" and parts.hostname in LOOPBACK_HOSTS:
        from .loopback import LoopbackTransport

        return LoopbackTransport(parts, headers, connect_timeout_seconds=connect_timeout_seconds)
    from .internet import InternetTransport

    return InternetTransport(endpoint, headers, connect_timeout_seconds=connect_timeout_seconds)
