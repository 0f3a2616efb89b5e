"""A TCP proxy between kernel and pool that can be told to misbehave, with TLS if wanted."""

from __future__ import annotations

import contextlib
import select
import socket
import ssl
import struct
import threading
import time
from collections.abc import Iterator
from urllib.parse import urlsplit


class Proxy:
    """Forwards connections to a pool's endpoint.

    certificate: a file with key and certificate, to be spoken to by TLS.
    drip_bytes: how many bytes of an answer pass at a time, 0 for no limit.
    resets_left: so many answers are cut after some bytes by a TCP reset.
    last_request: the next request is "passed" on or "swallowed", and then all is refused.
    """

    def __init__(self, endpoint: str, certificate: str | None = None) -> None:
        parts = urlsplit(endpoint)
        self._target = (str(parts.hostname), int(parts.port or 0))
        self._path = parts.path
        self._listener: socket.socket | None = None
        self._connections: set[socket.socket] = set()
        self.drip_bytes = 0
        self.resets_left = 0
        self.last_request = ""
        self._tls: ssl.SSLContext | None = None
        if certificate:
            self._tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self._tls.load_cert_chain(certificate)
        self._open(0)
        assert self._listener is not None
        self.port = int(self._listener.getsockname()[1])
        self.endpoint = f"{'https' if certificate else 'http'}://127.0.0.1:{self.port}{self._path}"

    def _open(self, port: int) -> None:
        self._listener = socket.create_server(("127.0.0.1", port))
        threading.Thread(target=self._accept, args=(self._listener,), daemon=True).start()

    def refuse(self) -> None:
        """Refuse new connections and drop those that stand."""
        assert self._listener is not None
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for connection in list(self._connections):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def accept_again(self) -> None:
        """Take connections on the same port again, if it does not."""
        if self._listener is None or self._listener.fileno() < 0:
            self._open(self.port)

    def behave(self) -> None:
        """End whatever it was told."""
        self.drip_bytes = self.resets_left = 0
        self.last_request = ""
        self.accept_again()

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            try:
                server = socket.create_connection(self._target)
            except OSError:
                client.close()
                continue
            pair = (client, server)
            threading.Thread(target=self._forward, args=pair, daemon=True).start()

    def _forward(self, client: socket.socket, server: socket.socket) -> None:
        # One thread for both directions: closing a socket that another thread is reading
        # from would not reset it.
        with contextlib.suppress(OSError):
            if self._tls is not None:
                client = self._tls.wrap_socket(client, server_side=True)
            self._connections |= {client, server}
            is_open = True
            while is_open:
                for source in select.select([client, server], [], [])[0]:
                    is_open = is_open and self._pass_on(source, client, server)
        for one in (client, server):
            self._connections.discard(one)
            one.close()

    def _pass_on(self, source: socket.socket, client: socket.socket, server: socket.socket) -> bool:
        """Move what has arrived on one side to the other; return whether both go on."""
        data = source.recv(65536)
        while isinstance(source, ssl.SSLSocket) and source.pending():
            data += source.recv(65536)
        if source is client and self.last_request:
            return self._end_with(client, server, data)
        if source is client:
            server.sendall(data)
        elif self.resets_left > 0:
            self.resets_left -= 1
            client.sendall(data[: len(data) // 2])
            # Closing with a linger of nothing sends a reset.
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            return False
        else:
            step = self.drip_bytes or len(data) or 1
            for start in range(0, len(data), step):
                client.sendall(data[start : start + step])
                if self.drip_bytes:
                    time.sleep(0.005)
        return bool(data)

    def _end_with(self, client: socket.socket, server: socket.socket, data: bytes) -> bool:
        """Take a whole request, and be gone before it is answered."""
        while select.select([client], [], [], 0.3)[0] and (more := client.recv(65536)):
            data += more
        if self.last_request == "passed":
            server.sendall(data)
            select.select([server], [], [], 10)  # its answer: it has run
        self.last_request = ""
        self.refuse()
        return False

    def close(self) -> None:
        """End everything."""
        with contextlib.suppress(OSError):
            self.refuse()


@contextlib.contextmanager
def running_proxy(endpoint: str, certificate: str | None = None) -> Iterator[Proxy]:
    """A proxy for the time of a test."""
    proxy = Proxy(endpoint, certificate)
    try:
        yield proxy
    finally:
        proxy.close()
