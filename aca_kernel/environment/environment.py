"""One session environment: its id, its clock, and the calls that reach it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

from ..errors import EnvironmentGone, PoolUnreachable, RemoteProtocolError, ResultUnknown
from ..messaging.inbox import Inbox
from ..pool.backend import Backend, NearFolder
from ..pool.mcp_client import LAUNCH_TOOLS, RUN_PYTHON, RUN_SHELL, McpClient
from ..pool.tool_result import ToolResult
from ..settings import AcaKernel
from .handover import Claim, ClaimState
from .retry import CallEvent, persist
from .waiting_line import WaitingLine

T = TypeVar("T")

# The shell tool is used for things that end at once; this is for a slow network.
SHELL_TIMEOUT_SECONDS = 30.0


class Environment:
    """What the launch tool returned, and the only way to call tools in it.

    environment_id: as the pool named it. last_call: monotonic clock of the last call.
    inbox: told what its calls wait for.
    claim: this kernel's hold on it, where environments outlive their kernels; one that is
    given has been taken over.
    line: where to wait for a place in the pool, if it has none yet; who gives it leaves it.
    is_near: nothing stands between it and this process.
    """

    def __init__(
        self,
        backend: Backend,
        client: McpClient,
        environment_id: str,
        settings: AcaKernel,
        inbox: Inbox[CallEvent],
        claim: Claim | None = None,
    ) -> None:
        self._backend = backend
        self.inbox = inbox
        self.client = client
        self.environment_id = environment_id
        self.claim = claim
        self.line: WaitingLine | None = None
        self.is_near = backend.is_embedded
        self.launched = self.last_call = time.monotonic()
        self._settings = settings
        # Whether a call has succeeded, before which it holds no place in the pool. One that
        # holds a place must not wait behind those who wait for it.
        self._has_place = claim is not None

    @classmethod
    async def launch(
        cls, backend: Backend, settings: AcaKernel, inbox: Inbox[CallEvent]
    ) -> Environment:
        """Launch an environment in the backend's pool.

        Launching only makes an id (service-contract.md), so that repeating is harmless.
        Raises the errors of Backend.connect and McpClient.call_tool.
        """

        async def launch() -> Environment:
            client = await backend.connect()
            return cls(backend, client, await launch_id(client), settings, inbox)

        return await persist(launch, settings, inbox, is_first_contact=True)

    def release(self, *, keep: bool, for_restart: bool = False) -> None:
        """This kernel uses it no more; keep: another one may; see Claim.release."""
        if self.claim is not None:
            self.claim.release(keep=keep, for_restart=for_restart)

    @property
    def near(self) -> NearFolder | None:
        """Where files need not go through calls; see Backend."""
        return self._backend.near

    def idle_seconds(self) -> float:
        """Return the seconds since the last call ended."""
        return time.monotonic() - self.last_call

    async def run_python(self, code: str, *, timeout_seconds: float) -> ToolResult:
        """Run code in the session interpreter, once; raises as McpClient.call_tool."""
        arguments = {"environmentId": self.environment_id, "pythonCode": code}
        return await self._call(RUN_PYTHON, arguments, timeout_seconds)

    async def persist(
        self, call: Callable[[], Awaitable[T]], is_stopped: Callable[[], bool] = lambda: False
    ) -> T:
        """Repeat an idempotent call of this environment as long as the settings allow.

        Raises as retry.persist.
        """
        line = None if self._has_place else self.line
        return await persist(call, self._settings, self.inbox, line=line, is_stopped=is_stopped)

    async def run_shell(
        self, command: str, *, timeout_seconds: float = SHELL_TIMEOUT_SECONDS
    ) -> ToolResult:
        """Run a command in the environment, once; raises as McpClient.call_tool."""
        arguments = {"environmentId": self.environment_id, "shellCommand": command}
        return await self._call(RUN_SHELL, arguments, timeout_seconds)

    async def _call(
        self, tool: str, arguments: dict[str, str], timeout_seconds: float
    ) -> ToolResult:
        try:
            result = await self.client.call_tool(tool, arguments, timeout_seconds=timeout_seconds)
        except (PoolUnreachable, ResultUnknown) as error:
            if self._backend.is_lost():
                raise EnvironmentGone("The session pool itself has ended.") from error
            raise
        else:
            if not self._has_place:
                self._take_place()
            return result
        finally:
            self.last_call = time.monotonic()
            if self.claim is not None and self._has_place:
                self.claim.touch()

    def _take_place(self) -> None:
        """The first call has succeeded: from now on there is something to be kept."""
        self._has_place = True
        if self.claim is not None:
            self.claim.write(ClaimState.USED)
        if self.line is not None:
            self.line.leave()


async def launch_id(client: McpClient) -> str:
    """Have the pool make an environment's id, which takes no place.

    Raises as Environment.launch.
    """
    offered = await _offered_tools(client)
    tool = next((name for name in LAUNCH_TOOLS if name in offered), None)
    missing = [name for name in (RUN_PYTHON, RUN_SHELL) if name not in offered]
    if tool is None or RUN_PYTHON in missing:
        raise RemoteProtocolError(
            "The session pool does not offer the tools that a Python kernel needs "
            f"({', '.join([*missing, *([] if tool else LAUNCH_TOOLS[:1])])}). "
            "Check that it is a PythonLTS pool with its MCP server enabled."
        )
    result = await client.call_tool(tool, {}, timeout_seconds=60.0)
    environment_id = result.structured.get("environmentId")
    if not isinstance(environment_id, str):
        raise RemoteProtocolError("The session pool launched no environment: no id came.")
    return environment_id


async def _offered_tools(client: McpClient) -> list[str]:
    if client.offered_tools is None:
        # Side by side: the service keeps nothing between two requests, and answers each alone.
        listing = asyncio.ensure_future(client.list_tools())
        try:
            await client.initialize()
            client.offered_tools = await listing
        finally:
            listing.cancel()
            await asyncio.gather(listing, return_exceptions=True)
    return client.offered_tools
