"""A real Jupyter server, as a person would start it, for what connects to one."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import nbformat

from ..support import QUICK_TOOLS, eventually, local_http

# JupyterLab builds nothing and asks nobody for news.
_LAB_SETTINGS = {
    "apputils-extension/notification": {"fetchNews": "false", "checkForUpdates": False},
}


@dataclass
class JupyterServer:
    """A running server; its files are below `root`."""

    url: str
    token: str
    root: Path
    process: subprocess.Popen[str]
    _lines: list[str] = field(default_factory=list)

    @property
    def log(self) -> str:
        return "".join(self._lines)

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": f"token {self.token}"}

    def kernels(self) -> list[dict[str, str]]:
        answer = local_http("GET", self.url + "api/kernels", headers=self.headers, timeout=30)
        return list(answer.raise_for_status().json())

    def shut_down_kernels(self) -> None:
        for kernel in self.kernels():
            url = f"{self.url}api/kernels/{kernel['id']}"
            local_http("DELETE", url, headers=self.headers, timeout=30).raise_for_status()

    def write_notebook(self, name: str, cells: list[str], kernel: str = "aca") -> None:
        notebook = nbformat.v4.new_notebook(
            cells=[nbformat.v4.new_code_cell(source) for source in cells],
            metadata={"kernelspec": {"name": kernel, "display_name": kernel, "language": "python"}},
        )
        nbformat.write(notebook, self.root / name)


@contextmanager
def running_server(
    folder: Path, *arguments: str, module: str = "jupyter_server", env: dict[str, str] | None = None
) -> Iterator[JupyterServer]:
    """Start a server with a home, a configuration and a root directory of its own."""
    home, root = folder / "home", folder / "notebooks"
    settings = home / "config" / "lab" / "user-settings" / "@jupyterlab"
    for name, values in _LAB_SETTINGS.items():
        path = settings / f"{name}.jupyterlab-settings"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(values))
    root.mkdir()
    port, token = _free_port(), secrets.token_hex(16)
    process = subprocess.Popen(
        [
            sys.executable,
            "-m",
            module,
            "--no-browser",
            "--allow-root",
            f"--ServerApp.port={port}",
            "--ServerApp.port_retries=0",
            f"--IdentityProvider.token={token}",
            f"--ServerApp.root_dir={root}",
            *arguments,
        ],
        cwd=folder,
        env={
            **os.environ,
            **QUICK_TOOLS,
            "HOME": str(home),
            "JUPYTER_CONFIG_DIR": str(home / "config"),
            "JUPYTER_DATA_DIR": str(home / "data"),
            "JUPYTER_RUNTIME_DIR": str(home / "runtime"),
            **(env or {}),
        },
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    server = JupyterServer(f"http://127.0.0.1:{port}/", token, root, process)
    reader = threading.Thread(target=_read, args=(server,), daemon=True)
    reader.start()
    try:
        assert eventually(lambda: _answers(server), timeout=60), server.log
        yield server
    finally:
        _stop(server)
        reader.join(10)
        assert process.stdout is not None
        process.stdout.close()


def _stop(server: JupyterServer) -> None:
    if server.process.poll() is None:
        with contextlib.suppress(httpx.HTTPError):
            server.shut_down_kernels()
        server.process.terminate()
    try:
        server.process.wait(15)
    except subprocess.TimeoutExpired:
        # A server that is ended while it answers a request may leave an idle worker thread
        # of anyio behind, which keeps its process alive.
        server.process.kill()
        server.process.wait(15)


def _read(server: JupyterServer) -> None:
    assert server.process.stdout is not None
    for line in server.process.stdout:
        server._lines.append(line)


def _answers(server: JupyterServer) -> bool:
    assert server.process.poll() is None, server.log
    with contextlib.suppress(httpx.TransportError):
        return local_http("GET", server.url + "api/status", headers=server.headers).is_success
    return False


def _free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])
