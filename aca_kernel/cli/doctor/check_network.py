"""Checks of the way to an address: proxy, name, connection and certificate.

With plain sockets, because httpx hardly tells these apart. Trust and exceptions from proxies are
as in pool/transport/ and pool/azure/arm.py.
"""

from __future__ import annotations

import asyncio
import base64
import ipaddress
import socket
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote, urlsplit
from urllib.request import getproxies, proxy_bypass

from ...errors import SettingInvalid
from ...pool.azure.credentials import in_thread
from ...pool.transport.contract import LOOPBACK_HOSTS
from ...pool.transport.distrust import why_distrusted
from ...pool.transport.tls import context
from .checklist import Found, Skipped, Step
from .report import CheckOutcome, failed

# A resolver waits some seconds for each of its servers.
_NAME_TIMEOUT_SECONDS = 15.0

_PORTS = {"http": 80, "https": 443}


def steps(prefix: str, address: Callable[[Found], str]) -> list[Step]:
    """Return the checks of an address. prefix: of their names."""
    return [
        Step(f"{prefix}-proxy", lambda found: _check_proxy(address(found))),
        Step(f"{prefix}-dns", lambda found: _check_name(address(found))),
        Step(
            f"{prefix}-connection",
            lambda found: _check_connection(address(found), found.settings.connect_timeout_seconds),
        ),
    ]


@dataclass(frozen=True)
class Proxy:
    """A proxy of the environment variables. authorization: a header's value, or empty."""

    scheme: str
    host: str
    port: int
    authorization: str = field(default="", repr=False)


def proxy_for(url: str) -> Proxy | None:
    """Return the proxy of this URL, if there is one. Raises SettingInvalid: it is invalid."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    if host in LOOPBACK_HOSTS or proxy_bypass(host):
        return None
    known = getproxies()
    given = known.get(parts.scheme) or known.get("all")
    if not given:
        return None
    try:
        proxy = urlsplit(given if "://" in given else f"http://{given}")
        port = proxy.port or _PORTS.get(proxy.scheme, 1080)
    except ValueError:
        proxy = urlsplit("")
    if not proxy.hostname:
        raise SettingInvalid(
            "The proxy of the environment variables is no web address. Correct HTTPS_PROXY and "
            "its like, or put the host into NO_PROXY."
        )
    authorization = ""
    if proxy.username is not None:
        pair = f"{unquote(proxy.username)}:{unquote(proxy.password or '')}"
        authorization = "Basic " + base64.b64encode(pair.encode()).decode("ascii")
    return Proxy(proxy.scheme, proxy.hostname, port, authorization)


async def _check_proxy(url: str) -> CheckOutcome:
    proxy = proxy_for(url)
    if proxy is None:
        return CheckOutcome("none is in the way")
    return CheckOutcome(f"{proxy.scheme}://{proxy.host}:{proxy.port}, of the environment variables")


async def _check_name(url: str) -> CheckOutcome:
    proxy = proxy_for(url)
    host = proxy.host if proxy else urlsplit(url).hostname or ""
    role = f"the proxy {host}" if proxy else host
    try:
        ipaddress.ip_address(host)
    except ValueError:
        pass
    else:
        return CheckOutcome(f"{role} is an address")
    remedy = (
        "Check HTTPS_PROXY and its like."
        if proxy
        else "Check the address, the network and, for a private endpoint, the VPN and its DNS."
    )
    try:
        answers = await asyncio.wait_for(
            in_thread(lambda: socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)),
            _NAME_TIMEOUT_SECONDS,
        )
    except asyncio.TimeoutError:
        return failed(f"The name {host} was not resolved in time.", remedy)
    except (OSError, UnicodeError):
        return failed(f"The name {host} is not known.", remedy)
    addresses = sorted({str(answer[4][0]) for answer in answers})
    return CheckOutcome(f"{role} is {', '.join(addresses)}")


async def _check_connection(url: str, timeout_seconds: float) -> CheckOutcome:
    proxy = proxy_for(url)
    if proxy is not None and proxy.scheme != "http":
        raise Skipped(f"a proxy of the kind {proxy.scheme} is tried by the checks that follow")
    return await in_thread(lambda: _connect(url, proxy, timeout_seconds))


def _connect(url: str, proxy: Proxy | None, timeout_seconds: float) -> CheckOutcome:
    parts = urlsplit(url)
    host = parts.hostname or ""
    there = (proxy.host, proxy.port) if proxy else (host, parts.port or _PORTS[parts.scheme])
    named = f"{'The proxy ' if proxy else ''}{there[0]}, port {there[1]},"
    remedy = (
        "Check HTTPS_PROXY and its like."
        if proxy
        else "Check the address, HTTPS_PROXY, and whether a firewall is in between."
    )
    try:
        line = socket.create_connection(there, timeout=timeout_seconds)
    except ConnectionRefusedError:
        return failed(f"{named} refuses connections.", remedy)
    except OSError as error:
        why = "no answer in time" if isinstance(error, TimeoutError) else error.strerror
        return failed(f"{named} cannot be reached: {why}.", remedy)
    with line:
        if parts.scheme == "http":
            clear = "" if host in LOOPBACK_HOSTS else ", in the clear"
            return CheckOutcome(f"{there[0]}, port {there[1]}, without TLS{clear}")
        line.settimeout(timeout_seconds)
        return _secure(line, url, proxy)


def _secure(line: socket.socket, url: str, proxy: Proxy | None) -> CheckOutcome:
    """Start TLS on a connection."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    try:
        if proxy is not None:
            refused = _tunnel(line, host, parts.port or _PORTS["https"], proxy)
            if refused:
                return refused
        return _handshake(line, url, host)
    except OSError as error:
        distrust = why_distrusted(host, error)
        if distrust is not None:
            return failed(*distrust)
        return failed(
            f"The TLS connection to {host} failed ({type(error).__name__}).",
            "Check that the port is that of HTTPS, and whether a proxy or firewall cuts it.",
        )


def _tunnel(line: socket.socket, host: str, port: int, proxy: Proxy) -> CheckOutcome | None:
    """Ask a proxy for a tunnel; return its refusal. Source: RFC 9110, 9.3.6."""
    target = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    head = f"CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n"
    if proxy.authorization:
        head += f"Proxy-Authorization: {proxy.authorization}\r\n"
    line.sendall((head + "\r\n").encode("ascii"))
    answer = b""
    while b"\r\n\r\n" not in answer and len(answer) < 65536:
        data = line.recv(1)  # nothing beyond the head: what follows is TLS
        if not data:
            break
        answer += data
    status = answer.split(b" ", 2)[1:2]
    if status and status[0].startswith(b"2"):
        return None
    said = f"HTTP {status[0].decode('ascii', 'replace')[:3]}" if status else "no answer"
    return failed(
        f"The proxy does not let connections to {host} through ({said}).",
        "Ask for the host to be allowed, give the proxy user and password, or put the host into "
        "NO_PROXY.",
    )


def _handshake(line: socket.socket, url: str, host: str) -> CheckOutcome:
    with context(url).wrap_socket(line, server_hostname=host) as secure:
        certificate: Any = secure.getpeercert() or {}
        # A tuple of names, each a tuple of pairs.
        issuer = dict(pair for name in certificate.get("issuer", ()) for pair in name)
        by = issuer.get("organizationName") or issuer.get("commonName") or "an unnamed authority"
        return CheckOutcome(f"{secure.version()} to {host}, certificate by {by}")
