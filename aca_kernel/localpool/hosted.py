"""One pool behind one path: its sessions, its protocol, its key and its files.

A server has the one it was started for, and each that its control plane creates.
"""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING

from .faults import Faults
from .keys import ApiKeys
from .mcp import McpServer
from .sandbox import SandboxLauncher
from .session_pool import Pool
from .tools import Tools

if TYPE_CHECKING:
    from .options import PoolOptions
    from .prepare import Prepared


class HostedPool:
    """Runs what was prepared, inside a running event loop; owns it until `close`.

    offers_python: whether the tool that runs Python is there; a Shell pool has none.
    """

    def __init__(self, prepared: Prepared, *, offers_python: bool = True) -> None:
        options = prepared.options
        self.is_open = True
        self.keys = ApiKeys(options.api_key, options.key_rotation_seconds)
        self.faults = Faults()
        self.pool = Pool(options, prepared.directory, prepared.launcher, prepared.first)
        self.mcp = McpServer(
            Tools(self.pool, options, offers_python=offers_python),
            pool_full_status=404 if options.quirks.pool_full_as_404 else 429,
            handshake_only=options.quirks.handshake_only,
            end_environment=self.pool.expire if options.ends_environments else None,
        )
        self.isolation = prepared.launcher.isolation
        self._directory = prepared.directory
        self._launchers = 1

    def sweep(self) -> None:
        """Remove what killed pools left behind; may take long, needs no event loop."""
        self._directory.sweep()

    async def reconfigure(self, options: PoolOptions) -> None:
        """Let other limits apply; running sessions keep the network they were started with.

        Raises OSError: no file could be made; nothing has changed.
        """
        launcher = None
        if options.egress != self.pool.options.egress:
            # Of its own, because what the old one wrote is mounted in its sessions.
            path = os.path.join(self._directory.path, f"launcher{self._launchers}")
            self._launchers += 1
            os.mkdir(path)
            launcher = await asyncio.to_thread(
                SandboxLauncher, options, path, self._directory.short
            )
            launcher.isolation = self.isolation
        await self.pool.reconfigure(options, launcher)

    async def close(self) -> None:
        """End every session and remove every file; more than once is harmless."""
        if self.is_open:
            self.is_open = False
            await self.pool.close()
            await asyncio.to_thread(self._directory.close)
