"""The embedded pool: a local session pool of this kernel's own.

It starts as early as possible, because its Python and the environment's take most of a kernel's
start. It ends with its standard input, also if this process is killed.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
from typing import Any
from urllib.parse import urlsplit

from ..errors import PoolNotStarted
from ..settings import AcaKernel
from .backend import Backend, NearFolder
from .embedded_process import configure, start_pool_process, stop
from .mcp_client import McpClient

# A second on a slow machine; this is for a frozen one.
START_TIMEOUT_SECONDS = 30.0


async def greeting_of(process: subprocess.Popen[bytes]) -> dict[str, Any]:
    """Wait until a pool serves; return its endpoint, key and notices (localpool/__main__.py).

    Raises PoolNotStarted.
    """
    assert process.stdout is not None  # noqa: S101 - PIPE was asked for
    loop = asyncio.get_running_loop()
    try:
        line = await asyncio.wait_for(
            loop.run_in_executor(None, process.stdout.readline), START_TIMEOUT_SECONDS
        )
        greeting = json.loads(line)
    except (ValueError, asyncio.TimeoutError) as error:
        raise PoolNotStarted(
            "The embedded session pool did not start; the kernel's log says why."
        ) from error
    if not isinstance(greeting, dict) or "endpoint" not in greeting:
        message = greeting.get("error") if isinstance(greeting, dict) else None
        raise PoolNotStarted(str(message or "The embedded session pool did not start."))
    return greeting


class EmbeddedBackend(Backend):
    """Starts a local session pool and ends it with the kernel.

    process: one that is started and configured already. data_path: where environments see their
    working directory, too.
    """

    is_embedded = True

    def __init__(
        self,
        settings: AcaKernel,
        process: subprocess.Popen[bytes] | None = None,
        *,
        data_path: str = "",
    ) -> None:
        self._settings = settings
        self._data_path = data_path
        self._process = process
        self._greeting: asyncio.Future[dict[str, Any]] | None = None
        self._client: McpClient | None = None

    async def connect(self) -> McpClient:
        """See Backend; starts the pool unless it runs."""
        if self.is_lost():
            await self.close()
        if self._client is None:
            if self._process is None:
                self._process = start_pool_process()
                configure(self._process, self._settings, data_path=self._data_path)
            if self._greeting is None:
                self._greeting = asyncio.ensure_future(greeting_of(self._process))
            try:
                # It comes once: who is interrupted must not take it from who asks next.
                greeting = await asyncio.shield(self._greeting)
            except PoolNotStarted:
                await self.close()
                raise
            # Whether the sandbox is missing.
            self.notice = str(greeting.get("notice") or "")
            is_sandboxed = greeting.get("isolation") == "bubblewrap"
            self.isolation = (
                "by sandbox (bubblewrap)" if is_sandboxed else "by process only, without a sandbox"
            )
            near = greeting.get("near")
            self.near = NearFolder(str(near[0]), str(near[1]), str(near[2])) if near else None
            self._client = McpClient(
                str(greeting["endpoint"]),
                str(greeting["api_key"]),
                connect_timeout_seconds=self._settings.connect_timeout_seconds,
            )
        return self._client

    def is_lost(self) -> bool:
        """See Backend."""
        return self._process is not None and self._process.poll() is not None

    def title(self, endpoint: str) -> str:
        """See Backend."""
        return f"embedded, on this machine (port {urlsplit(endpoint).port})"

    async def discard_environment(self, environment_id: str) -> None:  # noqa: ARG002
        """See Backend; the pool ends with its only environment."""
        await self.close()

    async def close(self) -> None:
        """See Backend; every session and its files are removed."""
        client, self._client = self._client, None
        process, self._process = self._process, None
        greeting, self._greeting = self._greeting, None
        if client is not None:
            await client.close()
        if greeting is not None:
            greeting.cancel()
            await asyncio.gather(greeting, return_exceptions=True)
        if process is not None:
            await asyncio.get_running_loop().run_in_executor(None, stop, process)
