"""What TLS needs: authorities by the usual environment variables, and sessions that are resumed."""

from __future__ import annotations

import os
import ssl
from typing import Any

from ...errors import SettingInvalid

# Most specific first. httpx reads the first two; the third is what users of the Azure CLI
# and of azure-identity have set already.
BUNDLE_VARIABLES = ("SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE")


def bundle() -> tuple[str, str] | None:
    """Return the variable that names certificate authorities, and the path it names."""
    for name in BUNDLE_VARIABLES:
        path = os.environ.get(name)
        if path:
            return name, path
    return None


def verification(url: str) -> ssl.SSLContext | bool:
    """Return what httpx needs to verify the certificates of this URL, if any will be shown.

    Raises SettingInvalid: a variable names a bundle that cannot be read.
    """
    if not url.startswith("https:"):
        # Loading the authorities takes 20 ms, which a start on loopback need not wait for.
        return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    named = bundle()
    if named is None:
        return True
    name, path = named
    try:
        if os.path.isdir(path):
            return ssl.create_default_context(capath=path)
        return ssl.create_default_context(cafile=path)
    except OSError as error:
        raise SettingInvalid(
            f"{name} names no readable bundle of certificate authorities. Correct or unset it.",
            detail=type(error).__name__,
        ) from error


def context(url: str) -> ssl.SSLContext:
    """Return what httpx verifies the certificates of this URL by; raises as verification.

    For a connection that is made without httpx.
    """
    verify = verification(url)
    if isinstance(verify, ssl.SSLContext):
        return verify
    import httpx

    return httpx.create_ssl_context()


def resuming_context(url: str) -> ssl.SSLContext:
    """Return a context that resumes its last session; for one server only. Raises as context.

    A session spares a round trip with TLS 1.2, and the server's certificates with TLS 1.3. Neither
    httpx nor asyncio offers one: both make their connections by `wrap_bio`, without a session.
    """
    made = context(url)
    wrap_bio = made.wrap_bio
    last: ssl.SSLObject | None = None
    session: ssl.SSLSession | None = None

    def resume(
        incoming: ssl.MemoryBIO, outgoing: ssl.MemoryBIO, *arguments: Any, **options: Any
    ) -> ssl.SSLObject:
        nonlocal last, session
        # Asked for now, because with TLS 1.3 a session comes after the handshake. In the middle of
        # one, when connections are made side by side, there is nothing that could be read.
        if last is not None and last.version() is not None:
            session = last.session or session
        options["session"] = session
        last = wrap_bio(incoming, outgoing, *arguments, **options)
        return last

    made.wrap_bio = resume  # type: ignore[method-assign]  # a subclass could not be made from it
    return made
