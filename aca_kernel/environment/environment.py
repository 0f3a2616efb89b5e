"""One session environment: its id, its clock, and the calls that reach it."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, TypeVar

from ..errors import (
    AcaKernelError,
    AccessDenied,
    EnvironmentGone,
    KeyPending,
    PoolBusy,
    PoolUnreachable,
    RemoteProtocolError,
    ResultUnknown,
    WaitInterrupted,
)
from ..pool.mcp_client import LAUNCH_TOOLS, POOL_FULL, RUN_PYTHON, RUN_SHELL, McpClient, ToolResult
from .handover import ClaimState

if TYPE_CHECKING:
    from ..pool.backend import Backend
    from ..settings import AcaKernel
    from .handover import Claim
    from .waiting_line import WaitingLine

T = TypeVar("T")

# What a caller of `persist` is told: the error that keeps it waiting, and for how long.
Tell = Callable[[AcaKernelError, float], None]

# The first repetition comes at once, since most losses are a closed idle connection.
_FIRST_PAUSE_SECONDS = 0.02
_LONGEST_PAUSE_SECONDS = 5.0

# Contact with a pool that never answered before is given up sooner: more likely the
# endpoint is wrong than the network down.
_FIRST_CONTACT_SECONDS = 5.0

# How often who waits looks whether it is its turn, or what others have left; no call is made.
_TURN_SECONDS = 0.5

# Beyond this, what keeps the user waiting is told.
QUIET_SECONDS = 3.0

# The shell tool is used for things that end at once; this is for a slow network.
SHELL_TIMEOUT_SECONDS = 30.0


class EnvironmentLeft(Exception):
    """While a place in the pool was waited for, another kernel has left its environment.

    claim: on that one; who gets this uses or releases it.
    """

    def __init__(self, claim: Claim) -> None:
        super().__init__(claim.environment_id)
        self.claim = claim


async def persist(
    call: Callable[[], Awaitable[T]],
    *,
    tell: Tell,
    busy_seconds: float,
    unreachable_seconds: float,
    key_pending_seconds: float,
    repeat_unknown: bool,
    line: WaitingLine | None = None,
    is_stopped: Callable[[], bool] = lambda: False,
) -> T:
    """Repeat a call through what passes by itself, with growing pauses.

    repeat_unknown: the call is idempotent, so that a lost answer is asked for again.
    line: of a call that needs a place in the pool: it is made in turn with other kernels'.
    tell: called whenever it waits, from the moment the wait is no longer short.
    is_stopped: asked while it waits, at least each half second.
    Raises EnvironmentLeft: there is another way to a place; the line is not left.
    Raises WaitInterrupted: it is stopped.
    Raises the last error when its time is over, and any other error at once; AccessDenied
    when a key has been refused for longer than a rotation takes.
    """
    started = time.monotonic()
    if line is not None and line.joined is not None:
        started = line.joined
    pause = _FIRST_PAUSE_SECONDS
    while True:
        await _wait_for_turn(line, tell, started, busy_seconds)
        try:
            return await call()
        except (PoolBusy, PoolUnreachable, ResultUnknown, KeyPending) as error:
            if isinstance(error, ResultUnknown) and not repeat_unknown:
                raise
            waited = time.monotonic() - started
            limits = {PoolBusy: busy_seconds, KeyPending: key_pending_seconds}
            limit = limits.get(type(error), unreachable_seconds)
            if waited >= limit:
                if isinstance(error, KeyPending):
                    raise _refused_for_good(waited) from error
                raise
            if waited >= QUIET_SECONDS or isinstance(error, (PoolBusy, KeyPending)):
                tell(error, waited)
            wanted = getattr(error, "retry_after_seconds", None)
            wait = pause * random.uniform(0.75, 1.25) if wanted is None else wanted  # noqa: S311
            if isinstance(error, PoolBusy):
                wait = max(wait, 0.5)
                if line is not None:
                    line.join()
            await _sleep(min(wait, max(0.0, limit - waited) + 0.01), line, is_stopped)
            pause = min(pause * 2, _LONGEST_PAUSE_SECONDS)


async def _wait_for_turn(
    line: WaitingLine | None, tell: Tell, started: float, busy_seconds: float
) -> None:
    """Wait until nobody is ahead in the line. Raises PoolBusy: it takes too long."""
    while line is not None and not line.is_first():
        # Who comes when others wait goes behind them.
        line.join()
        error = PoolBusy(POOL_FULL)
        waited = time.monotonic() - started
        if waited >= busy_seconds:
            raise error
        tell(error, waited)
        await asyncio.sleep(_TURN_SECONDS)


async def _sleep(seconds: float, line: WaitingLine | None, is_stopped: Callable[[], bool]) -> None:
    """Sleep, unless what is waited for comes meanwhile by another way: then EnvironmentLeft."""
    end = time.monotonic() + seconds
    while (left := end - time.monotonic()) > 0:
        if is_stopped():
            raise WaitInterrupted("Interrupted while waiting for the session pool. Nothing ran.")
        if line is not None and line.joined is not None and line.look and line.is_first():
            claim = line.look()
            if claim is not None:
                raise EnvironmentLeft(claim)
        await asyncio.sleep(min(left, _TURN_SECONDS))


def _refused_for_good(waited: float) -> AccessDenied:
    return AccessDenied(
        f"The session pool has refused the API key that Azure gives for it for {waited:.0f} s, "
        "longer than it may after a rotation. Run `aca-kernel pool rotate-key`, wait five "
        "minutes, then run the cell again."
    )


async def first_contact(call: Callable[[], Awaitable[T]], settings: AcaKernel, *, tell: Tell) -> T:
    """Repeat an idempotent call before anything runs; raises as persist."""
    return await persist(
        call,
        tell=tell,
        busy_seconds=settings.pool_full_timeout_seconds,
        unreachable_seconds=min(_FIRST_CONTACT_SECONDS, settings.reconnect_timeout_seconds),
        key_pending_seconds=settings.key_rotation_timeout_seconds,
        repeat_unknown=True,
    )


class Environment:
    """What the launch tool returned, and the only way to call tools in it.

    environment_id: as the pool named it. last_call: monotonic clock of the last call.
    claim: this kernel's hold on it, where environments outlive their kernels; one that is
    given has been taken over.
    line: where to wait for a place in the pool, if it has none yet; who gives it leaves it.
    """

    def __init__(
        self,
        backend: Backend,
        client: McpClient,
        environment_id: str,
        settings: AcaKernel,
        claim: Claim | None = None,
    ) -> None:
        self._backend = backend
        self.client = client
        self.environment_id = environment_id
        self.claim = claim
        self.line: WaitingLine | None = None
        self.launched = self.last_call = time.monotonic()
        self._settings = settings
        # Whether a call has succeeded, before which it holds no place in the pool. One that
        # holds a place must not wait behind those who wait for it.
        self._has_place = claim is not None

    @classmethod
    async def launch(cls, backend: Backend, settings: AcaKernel, tell: Tell) -> Environment:
        """Launch an environment in the backend's pool.

        Launching only makes an id (service-contract.md), so that repeating is harmless.
        Raises the errors of Backend.connect and McpClient.call_tool.
        """

        async def launch() -> Environment:
            client = await backend.connect()
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
            return cls(backend, client, environment_id, settings)

        return await first_contact(launch, settings, tell=tell)

    def release(self, *, keep: bool, for_restart: bool = False) -> None:
        """This kernel uses it no more; keep: another one may; see Claim.release."""
        if self.claim is not None:
            self.claim.release(keep=keep, for_restart=for_restart)

    def idle_seconds(self) -> float:
        """Return the seconds since the last call ended."""
        return time.monotonic() - self.last_call

    async def run_python(self, code: str, *, timeout_seconds: float) -> ToolResult:
        """Run code in the session interpreter, once; raises as McpClient.call_tool."""
        arguments = {"environmentId": self.environment_id, "pythonCode": code}
        return await self._call(RUN_PYTHON, arguments, timeout_seconds)

    async def persist(
        self,
        call: Callable[[], Awaitable[T]],
        *,
        tell: Tell,
        is_stopped: Callable[[], bool] = lambda: False,
    ) -> T:
        """Repeat an idempotent call of this environment as long as the settings allow.

        Raises as the function persist.
        """
        return await persist(
            call,
            tell=tell,
            busy_seconds=self._settings.pool_full_timeout_seconds,
            unreachable_seconds=self._settings.reconnect_timeout_seconds,
            key_pending_seconds=self._settings.key_rotation_timeout_seconds,
            repeat_unknown=True,
            line=None if self._has_place else self.line,
            is_stopped=is_stopped,
        )

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


async def _offered_tools(client: McpClient) -> list[str]:
    if client.offered_tools is None:
        await client.initialize()
        client.offered_tools = await client.list_tools()
    return client.offered_tools
