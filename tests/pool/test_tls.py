"""Connections over TLS: kept through a pause, resumed when made again, refused with a reason."""

from __future__ import annotations

import asyncio
import ssl
from pathlib import Path
from typing import Any

import pytest

from aca_kernel.errors import SettingInvalid
from aca_kernel.pool.transport.internet import InternetTransport

from ..certificates import make_certificates


class Server:
    """Answers every request over TLS, and knows what each of its connections was."""

    def __init__(self, certificate: str, version: ssl.TLSVersion) -> None:
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(certificate)
        self.context.maximum_version = version
        self.resumed: list[bool] = []
        self.writers: list[asyncio.StreamWriter] = []

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.writers.append(writer)
        self.resumed.append(writer.get_extra_info("ssl_object").session_reused)
        try:
            while await reader.readuntil(b"\r\n\r\n"):
                await reader.readexactly(2)
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
        except (asyncio.IncompleteReadError, OSError):
            writer.close()


async def _two_connections(server: Server) -> None:
    listening = await asyncio.start_server(server.answer, "127.0.0.1", 0, ssl=server.context)
    port = listening.sockets[0].getsockname()[1]
    transport = InternetTransport(f"https://localhost:{port}/mcp", {}, connect_timeout_seconds=5)
    try:
        for round_trips in (3, 1):
            answer = await transport.post(b"{}", headers={}, timeout_seconds=5)
            assert answer.body == b"ok"
            assert answer.round_trips == round_trips
        assert len(server.resumed) == 1, "the connection is kept between two requests"
        await transport.close()
        # Side by side, so that one's handshake begins in the middle of the other's.
        posts = [transport.post(b"{}", headers={}, timeout_seconds=5) for _ in range(2)]
        assert [one.round_trips for one in await asyncio.gather(*posts)] == [3, 3]
    finally:
        await transport.close()
        listening.close()


@pytest.fixture
def certificate(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> str:
    authority, server = make_certificates(str(tmp_path_factory.mktemp("tls")))
    monkeypatch.setenv("SSL_CERT_FILE", authority)
    return server


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_a_connection_that_is_made_again_resumes_its_session(
    certificate: str, version: ssl.TLSVersion
) -> None:
    server = Server(certificate, version)
    asyncio.run(_two_connections(server))
    assert server.resumed == [False, True, True]


def test_what_a_certificate_lacks_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Python is strict since 3.13; a bundle of authorities is no remedy."""
    authority, certificate = make_certificates(tmp_path, is_strict=False)
    monkeypatch.setenv("SSL_CERT_FILE", authority)
    create = ssl.create_default_context

    def strict(**options: Any) -> ssl.SSLContext:
        made = create(**options)
        made.verify_flags |= ssl.VERIFY_X509_STRICT
        return made

    monkeypatch.setattr(ssl, "create_default_context", strict)
    server = Server(certificate, ssl.TLSVersion.TLSv1_3)
    with pytest.raises(SettingInvalid) as raised:
        asyncio.run(_two_connections(server))
    assert raised.value.message == (
        "The TLS certificate of the session pool could not be verified: Missing Authority Key "
        "Identifier. Since 3.13, Python asks for all that RFC 5280 does: the certificate has to be "
        "issued anew with it. Until then, use Python 3.12."
    )


def test_another_hosts_certificate_is_named(certificate: str) -> None:
    server = Server(certificate, ssl.TLSVersion.TLSv1_3)

    async def run() -> None:
        listening = await asyncio.start_server(server.answer, "127.0.0.2", 0, ssl=server.context)
        port = listening.sockets[0].getsockname()[1]
        transport = InternetTransport(f"https://127.0.0.2:{port}", {}, connect_timeout_seconds=5)
        try:
            await transport.post(b"{}", headers={}, timeout_seconds=5)
        finally:
            await transport.close()
            listening.close()

    with pytest.raises(SettingInvalid, match=r"127\.0\.0\.2.*Check the address"):
        asyncio.run(run())
