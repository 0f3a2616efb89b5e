"""Why a server's certificate is not trusted, and what can be done about it."""

from __future__ import annotations

import os
import ssl
from typing import NamedTuple

from .tls import bundle

# OpenSSL's numbers. Source: openssl-verification-options(1), x509_vfy.h of OpenSSL 3.
_EXPIRED, _HOST_MISMATCH = (9, 10), (62, 64)
# Of X509_V_FLAG_X509_STRICT, which `ssl.create_default_context` sets since Python 3.13.
_STRICT = range(80, 94)


class Distrust(NamedTuple):
    """Two sentences: what is wrong with a certificate, and the remedy."""

    problem: str
    remedy: str


def why_distrusted(whose: str, error: BaseException) -> Distrust | None:
    """Return why a connection failed because of a certificate; None: another reason.

    whose: the server, as a sentence names it.
    """
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, ssl.SSLCertVerificationError):
            why = f": {seen.verify_message.rstrip('.')}"
            return Distrust(_problem(whose, why), _remedy(seen.verify_code))
        seen = seen.__cause__ or seen.__context__
    if "CERTIFICATE_VERIFY_FAILED" in str(error):
        return Distrust(_problem(whose), _remedy(0))
    return None


def _problem(whose: str, why: str = "") -> str:
    return f"The TLS certificate of {whose} could not be verified{why}."


def _remedy(code: int) -> str:
    if code in _EXPIRED:
        return "Check this machine's clock; if it is right, the certificate has to be renewed."
    if code in _HOST_MISMATCH:
        return "Check the address: what answers there is another server."
    if code in _STRICT:
        return (
            "Since 3.13, Python asks for all that RFC 5280 does: the certificate has to be issued "
            "anew with it. Until then, use Python 3.12."
        )
    remedy, named = "If your network has a certificate authority of its own, ", bundle()
    if named and os.path.exists(named[1]):
        return f"{remedy}add its certificate to what {named[0]} names."
    return f"{remedy}set SSL_CERT_FILE to its bundle."
