"""Certificates for servers of tests; cryptography comes with azure-identity."""

from __future__ import annotations

import datetime as dt
import ipaddress
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

_PEM = serialization.Encoding.PEM

# The use of an authority's key.
_SIGNS = x509.KeyUsage(
    digital_signature=False,
    content_commitment=False,
    key_encipherment=False,
    data_encipherment=False,
    key_agreement=False,
    key_cert_sign=True,
    crl_sign=False,
    encipher_only=False,
    decipher_only=False,
)


def make_certificates(folder: str | Path, *, is_strict: bool = True) -> tuple[str, str]:
    """Make an authority and a server's certificate by it; return the paths of both.

    is_strict: they have what RFC 5280 asks for.
    """
    authority_key, key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    authority = (
        _builder("distance", "distance", authority_key)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(_SIGNS, critical=True)
    )
    names = [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
    certificate = _builder("localhost", "distance", key).add_extension(
        x509.SubjectAlternativeName(names), critical=False
    )
    if is_strict:
        public_key = authority_key.public_key()
        identifier = x509.SubjectKeyIdentifier.from_public_key(public_key)
        authority = authority.add_extension(identifier, critical=False)
        certificate = certificate.add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(public_key), critical=False
        )
    authority_path, server_path = Path(folder, "ca.pem"), Path(folder, "tls.pem")
    authority_path.write_bytes(authority.sign(authority_key, hashes.SHA256()).public_bytes(_PEM))
    _write(server_path, key, certificate.sign(authority_key, hashes.SHA256()))
    return str(authority_path), str(server_path)


def self_signed_certificate(folder: Path) -> str:
    """Write a certificate that nobody has signed."""
    key = ec.generate_private_key(ec.SECP256R1())
    address = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
    certificate = _builder("127.0.0.1", "127.0.0.1", key).add_extension(
        x509.SubjectAlternativeName([address]), critical=False
    )
    path = folder / "server.pem"
    _write(path, key, certificate.sign(key, hashes.SHA256()))
    return str(path)


def _builder(subject: str, issuer: str, key: ec.EllipticCurvePrivateKey) -> x509.CertificateBuilder:
    now = dt.datetime.now(dt.timezone.utc)
    return (
        x509.CertificateBuilder()
        .subject_name(_named(subject))
        .issuer_name(_named(issuer))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
    )


def _named(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _write(path: Path, key: ec.EllipticCurvePrivateKey, certificate: x509.Certificate) -> None:
    """Write a server's key and certificate."""
    form = (serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    path.write_bytes(key.private_bytes(_PEM, *form) + certificate.public_bytes(_PEM))
