"""A package index on loopback, with wheels and source archives that are made by hand."""

from __future__ import annotations

import base64
import hashlib
import io
import os
import stat
import tarfile
import threading
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import MappingProxyType
from typing import Any

import pytest

# What a cell says. pip would look through all that is there for conflicts, which takes half a
# second of processor time.
PIP_INSTALL = "%pip install -q --no-warn-conflicts"


def wheel(
    name: str,
    version: str = "1.0",
    *,
    needs: Sequence[str] = (),
    code: str = "",
    requires_python: str = "",
    scripts: Mapping[str, str] = MappingProxyType({}),
) -> tuple[str, bytes]:
    """Return file name and bytes of a wheel with one module of the package's name, and scripts."""
    module = name.replace("-", "_")
    info = f"{module}-{version}.dist-info"
    metadata = [f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}"]
    metadata += [f"Requires-Dist: {one}" for one in needs]
    metadata += [f"Requires-Python: {requires_python}"] if requires_python else []
    files = {
        f"{module}.py": f"__version__ = {version!r}\n{code}",
        f"{info}/METADATA": "\n".join(metadata) + "\n",
        f"{info}/WHEEL": (
            "Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        ),
    }
    files.update({f"{module}-{version}.data/scripts/{one}": scripts[one] for one in scripts})
    rows = [f"{path},sha256={_digest(text)},{len(text)}" for path, text in files.items()]
    files[f"{info}/RECORD"] = "\n".join([*rows, f"{info}/RECORD,,"]) + "\n"
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as archive:
        for path, text in files.items():
            entry = zipfile.ZipInfo(path)
            mode = 0o755 if "/scripts/" in path else 0o644
            entry.external_attr = (stat.S_IFREG | mode) << 16
            archive.writestr(entry, text)
    return f"{module}-{version}-py3-none-any.whl", data.getvalue()


def _digest(text: str) -> str:
    digest = hashlib.sha256(text.encode()).digest()
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


def broken_source(name: str, version: str = "1.0") -> tuple[str, bytes]:
    """Return a source archive whose build fails, without anything from an index."""
    module = name.replace("-", "_")
    folder = f"{module}-{version}"
    files = {
        "PKG-INFO": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n",
        "pyproject.toml": (
            '[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n'
        ),
        "backend.py": (
            "def build_wheel(*_, **__):\n    raise ValueError('the compiler is on holiday')\n"
        ),
    }
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w:gz") as archive:
        for path, text in files.items():
            entry = tarfile.TarInfo(f"{folder}/{path}")
            entry.size = len(text)
            archive.addfile(entry, io.BytesIO(text.encode()))
    return f"{folder}.tar.gz", data.getvalue()


class Index:
    """What is to be had, and what was asked for.

    password: if it is not empty, the user `reader` must give it. requests: paths, in order.
    is_silent: nothing is answered before the end.
    """

    def __init__(self) -> None:
        self.files: dict[str, dict[str, bytes]] = {}
        self.password = ""
        self.is_silent = False
        self.ended = threading.Event()
        self.stop: Callable[[], None] = lambda: None
        self.requests: list[str] = []
        self.url = ""

    def add(self, file: tuple[str, bytes]) -> None:
        """Offer a file; its package is told by its name."""
        name, data = file
        project = name.partition("-")[0].replace("_", "-")
        self.files.setdefault(project, {})[name] = data

    def take_away(self, project: str, file_name: str = "") -> None:
        """Offer a project, or one of its files, no more."""
        if file_name:
            del self.files[project][file_name]
        else:
            del self.files[project]

    @contextmanager
    def silent(self) -> Iterator[None]:
        """Answer nobody before the end of the block."""
        self.is_silent = True
        try:
            yield
        finally:
            self.is_silent = False
            self.ended.set()
            self.ended = threading.Event()

    def end(self) -> None:
        """Answer nobody any more, as if the network were cut."""
        self.ended.set()
        self.stop()

    @property
    def downloads(self) -> list[str]:
        """Names of the files that were fetched."""
        return [one.rpartition("/")[2] for one in self.requests if one.startswith("/files/")]

    def answer(self, path: str, authorization: str) -> tuple[int, bytes]:
        """Answer a request by a status and a body."""
        self.requests.append(path)
        if self.is_silent:
            self.ended.wait()
        if self.password:
            wanted = base64.b64encode(f"reader:{self.password}".encode()).decode()
            if authorization != f"Basic {wanted}":
                return 401, b""
        parts = [one for one in path.split("/") if one]
        if parts[:1] == ["simple"] and len(parts) == 2 and parts[1] in self.files:
            links = "".join(
                f'<a href="/files/{parts[1]}/{name}#sha256={hashlib.sha256(data).hexdigest()}">'
                f"{name}</a>\n"
                for name, data in self.files[parts[1]].items()
            )
            return 200, f"<!DOCTYPE html><html><body>{links}</body></html>".encode()
        if parts[:1] == ["files"] and len(parts) == 3:
            data = self.files.get(parts[1], {}).get(parts[2])
            if data is not None:
                return 200, data
        return 404, b""


@contextmanager
def serving(index: Index) -> Iterator[Index]:
    """Serve an index on loopback."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_HEAD(self) -> None:
            self.do_GET()

        def do_GET(self) -> None:
            status, body = index.answer(self.path, self.headers.get("Authorization", ""))
            self.send_response(status)
            if status == 401:
                self.send_header("WWW-Authenticate", 'Basic realm="packages"')
            kind = "text/html" if "/simple/" in self.path else "application/octet-stream"
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if self.command == "GET":
                self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    index.url = f"http://127.0.0.1:{server.server_port}/simple/"

    def stop() -> None:
        server.shutdown()
        server.server_close()

    index.stop = stop
    try:
        yield index
    finally:
        index.end()
        thread.join()


@contextmanager
def without_other_indexes() -> Iterator[pytest.MonkeyPatch]:
    """Keep this machine's settings of pip and uv out of the tests."""
    with pytest.MonkeyPatch.context() as patch:
        for name in list(os.environ):
            if name.startswith(("PIP_", "UV_")):
                patch.delenv(name)
        # As pip has it: no file is read.
        patch.setenv("PIP_CONFIG_FILE", os.devnull)
        patch.setenv("PIP_DISABLE_PIP_VERSION_CHECK", "1")
        yield patch
