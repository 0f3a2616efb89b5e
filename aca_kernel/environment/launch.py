"""Getting an environment, with a remote kernel booted in it, and saying why it takes long."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

from ..errors import AcaKernelError, EnvironmentGone, RemoteProtocolError
from ..messaging.inbox import Inbox, Noticed
from ..pool.backend import Backend
from ..pool.mcp_client import McpClient
from ..settings import AcaKernel
from . import remote_sources
from .environment import Environment, launch_id
from .handover import Claim, WarmEnvironments
from .relay import Relay
from .retry import CallEvent, EnvironmentLeft, persist
from .waiting_line import WaitingLine

# Each process of a remote kernel, and what it has started, carries the nonce of its generation.
_END_GENERATION = (
    "for one in /proc/[0-9]*; do grep -qsz '^ACA_KERNEL_NONCE=%s$' $one/environ"
    " && kill -KILL ${one#/proc/}; done; true"
)

# A new environment that does not exist is tried again so often.
_ATTEMPTS = 5

# What is not there by then is done in turn, which says what it waits for.
_PREPARED_WITHIN_SECONDS = 2.0

_PLAIN_NOTICE = (
    "This environment has no ipykernel. Cells run in plain mode: output comes at the end of "
    "a cell, and completion, widgets, input() and interrupts do not work."
)


class PreparedLaunch(NamedTuple):
    """What is there before the first cell: the way to a pool, and an environment's id."""

    client: McpClient
    environment_id: str


@dataclass(frozen=True)
class Launched:
    """An environment that is ready.

    relay: None where only plain mode is possible. notices: sentences for the user.
    is_taken_over: another kernel has used it.
    """

    environment: Environment
    relay: Relay | None
    notices: tuple[str, ...]
    is_taken_over: bool = False


class Launcher:
    """Launches environments for one kernel.

    config: what remote kernels are told, and what tells this kernel from others.
    inbox: told what is waited for.
    """

    def __init__(
        self,
        backend: Backend,
        settings: AcaKernel,
        config: dict[str, Any],
        inbox: Inbox[CallEvent],
        log: logging.Logger,
    ) -> None:
        self._backend = backend
        self._settings = settings
        self.config = config
        self._inbox = inbox
        self._log = log
        self._generation = 0
        self._is_backend_noticed = False
        self._ahead: asyncio.Task[Launched] | None = None
        self._preparing: asyncio.Task[PreparedLaunch | Launched | None] | None = None
        # The last environment that was taken over without waiting for its agent.
        self._trusted: Relay | None = None
        # As old as the half that runs here; an embedded pool is still starting meanwhile.
        remote_sources.read()

    def begin(self) -> None:
        """Launch now what the first `launch` will return; needs a running event loop."""
        self._ahead = asyncio.ensure_future(self._launch())

    def prepare(self) -> None:
        """Do now what the first `launch` needs and what takes no place; needs an event loop.

        That is the way to the pool, and the id of an environment, in which nothing runs before its
        first call. A kernel that is restarted holds a place already, and boots there.
        """
        self._preparing = asyncio.ensure_future(self._prepare(takes_over=True))

    def prepare_id(self) -> None:
        """Get an id now that the next `launch` may use, unless there is one."""
        if self._preparing is None:
            self._preparing = asyncio.ensure_future(self._prepare(takes_over=False))

    async def _prepare(self, *, takes_over: bool) -> PreparedLaunch | Launched | None:
        cooldown_seconds = self._settings.cooldown_seconds
        try:
            client = await self._backend.connect()
            warm = self._warm_environments(client) if takes_over else None
            if warm is None or not warm.has_any(cooldown_seconds):
                return PreparedLaunch(client, await launch_id(client))
            pings = (client.ping(timeout_seconds=_PREPARED_WITHIN_SECONDS) for _ in range(2))
            await asyncio.gather(*pings)
            # As if others waited: only what was this kernel's before it was restarted.
            for claim in warm.take(cooldown_seconds, others_wait=True):
                with contextlib.suppress(EnvironmentGone):
                    return await self._take_over(claim, is_ahead=True)
        except AcaKernelError as error:  # whoever launches will meet it again, and say so
            self._log.info("nothing is prepared: %s", error.reason)
        except Exception:  # noqa: BLE001 - the launch does the same again, and does not hide it
            self._log.info("nothing is prepared", exc_info=True)
        return None

    async def _end_preparing(self) -> PreparedLaunch | Launched | None:
        """Return what is prepared; what is not there soon is done in turn."""
        preparing, self._preparing = self._preparing, None
        if preparing is None:
            return None
        try:
            await asyncio.wait([preparing], timeout=_PREPARED_WITHIN_SECONDS)
        finally:
            preparing.cancel()
        # Once it has ended, what it gives back can be taken over.
        (prepared,) = await asyncio.gather(preparing, return_exceptions=True)
        return None if isinstance(prepared, BaseException) else prepared

    async def _launch_environment(self, prepared: PreparedLaunch | None) -> Environment:
        """Use what is prepared, or launch."""
        if prepared is not None and prepared.client is await self._backend.connect():
            return Environment(self._backend, *prepared, self._settings, self._inbox)
        return await Environment.launch(self._backend, self._settings, self._inbox)

    @property
    def has_begun(self) -> bool:
        """Whether a launch is under way that nobody has asked for yet."""
        return self._ahead is not None

    def launch(self) -> asyncio.Task[Launched]:
        """Launch and boot; cancelling it is safe.

        Raises the errors of Environment.launch and Relay.boot, but not EnvironmentGone.
        """
        launching, self._ahead = self._ahead, None
        return launching or asyncio.ensure_future(self._launch())

    def close(self) -> None:
        """End a launch that nobody has asked for."""
        for task in (self._ahead, self._preparing):
            if task is not None:
                task.cancel()
        if self._preparing is not None and self._preparing.done():
            prepared = self._preparing.result()
            if isinstance(prepared, Launched):
                prepared.environment.release(keep=True)

    async def _launch(self) -> Launched:
        if self._backend.is_embedded:
            return await self._try_to_launch(None, None)
        prepared = await self._end_preparing()
        if isinstance(prepared, Launched):
            if prepared.environment.idle_seconds() < self._settings.cooldown_seconds:
                return prepared
            prepared.environment.release(keep=False)
            prepared = None
        connect = self._backend.connect
        client = await persist(connect, self._settings, self._inbox, is_first_contact=True)
        warm = self._warm_environments(client)
        line = WaitingLine(client.endpoint)
        if warm is not None:
            line.left = partial(warm.take, self._settings.cooldown_seconds, is_waiting=True)
        try:
            return await self._try_to_launch(warm, line, prepared)
        finally:
            line.leave()

    def _warm_environments(self, client: McpClient) -> WarmEnvironments | None:
        if self._settings.reuse == "never":
            return None
        return WarmEnvironments(
            client.endpoint,
            str(self.config["kernel_id"]),
            is_shared=self._settings.reuse == "user",
            log=self._log,
        )

    async def _try_to_launch(
        self,
        warm: WarmEnvironments | None,
        line: WaitingLine | None,
        prepared: PreparedLaunch | None = None,
    ) -> Launched:
        for attempt in range(_ATTEMPTS):
            try:
                return await self._launch_once(warm, line, prepared if not attempt else None)
            except EnvironmentGone:
                # Between its launch and its first use: nothing was in it yet.
                await asyncio.sleep(0.2 * 2**attempt)
        raise RemoteProtocolError(
            "Every environment that the session pool launches is gone before its first use. "
            "Check the pool, then run the cell again."
        )

    async def _launch_once(
        self,
        warm: WarmEnvironments | None,
        line: WaitingLine | None,
        prepared: PreparedLaunch | None,
    ) -> Launched:
        if warm is not None:
            # What is left is for those who wait already.
            others_wait = line is not None and not line.is_first()
            for claim in warm.take(self._settings.cooldown_seconds, others_wait=others_wait):
                with contextlib.suppress(EnvironmentGone):
                    return await self._take_over(claim)
        while True:
            environment = await self._launch_environment(prepared)
            prepared = None
            if warm is not None:
                environment.claim = warm.add(environment.environment_id)
            environment.line = line
            try:
                return await self._boot(environment)
            except EnvironmentLeft as left:
                with contextlib.suppress(EnvironmentGone):
                    return await self._take_over(left.claim)

    async def _take_over(self, claim: Claim, *, is_ahead: bool = False) -> Launched:
        """Start afresh in what another kernel has left.

        is_ahead: nobody waits for it, so that the agent is booted now, not with the first exchange.

        Raises EnvironmentGone and the errors of Backend.connect and Relay.boot.
        """
        with _released_on_failure(claim):
            client = await self._backend.connect()
            environment = Environment(
                self._backend, client, claim.environment_id, self._settings, self._inbox, claim
            )
            is_trusted = self._trusted is None or self._trusted.is_booted
            if claim.nonce and is_trusted and not is_ahead:
                # An agent has run there. Should it be gone all the same, the next is made sure of.
                ending = partial(self._end_last, environment, claim.nonce)
                relay = self._trusted = self._begin_generation(environment)
                relay.boot_with_first_exchange(ending)
                launched = Launched(environment, relay, self._backend_notices(), is_taken_over=True)
            else:
                # Side by side: the boot ends it, too, before it begins anything.
                beside = asyncio.ensure_future(self._end_last(environment, claim.nonce))
                try:
                    launched = await self._boot_again(environment)
                except BaseException:  # an interrupt of the task, too: nothing goes on beside it
                    beside.cancel()
                    raise
                finally:
                    await asyncio.gather(beside, return_exceptions=True)
        self._log.info("environment %s is taken over", claim.environment_id)
        return launched

    async def _boot_again(self, environment: Environment) -> Launched:
        """Boot where a kernel has been. Raises EnvironmentGone, too, for what that has broken."""
        relay = self._begin_generation(environment)
        try:
            greeting = await relay.boot()
        except RemoteProtocolError as error:
            self._log.info("what is left there cannot be used: %s", error.detail)
            raise EnvironmentGone("The session environment cannot be used again.") from error
        if greeting.missing:
            raise EnvironmentGone("The session environment has lost its ipykernel.")
        return Launched(environment, relay, self._backend_notices(), is_taken_over=True)

    async def _end_last(self, environment: Environment, nonce: str) -> None:
        """End what still runs of the last kernel, which may hold up the agent.

        The agent does the same again, for what the shell tool does not reach.
        """
        if not nonce:
            return
        try:
            await environment.run_shell(_END_GENERATION % nonce)
        except AcaKernelError as error:  # the boot will say so, too, if it matters
            self._log.info("could not end what runs there: %s", error.reason)

    def _begin_generation(self, environment: Environment) -> Relay:
        self._generation += 1
        config = {**self.config, "generation": self._generation}
        relay = Relay(environment, config, self._log)
        if environment.claim is not None:
            environment.claim.begin(relay.exchange.nonce)
        return relay

    async def _boot(self, environment: Environment) -> Launched:
        relay = self._begin_generation(environment)
        with _released_on_failure(environment.claim):
            greeting = await relay.boot()
            if greeting.missing and self._settings.install_ipykernel:
                told = "Installing ipykernel in the environment…"
                self._inbox.put_nowait(Noticed(time.monotonic(), told))
                greeting = await relay.install()
        notices = self._backend_notices()
        if greeting.missing:
            # Cells run in the session interpreter itself, which keeps their variables.
            environment.release(keep=False)
            return Launched(environment, None, (*notices, _PLAIN_NOTICE))
        return Launched(environment, relay, notices)

    def _backend_notices(self) -> tuple[str, ...]:
        """Return, once, what the user is to know of the pool."""
        notice = "" if self._is_backend_noticed else self._backend.notice
        self._is_backend_noticed = self._is_backend_noticed or bool(notice)
        return (notice,) if notice else ()


@contextlib.contextmanager
def _released_on_failure(claim: Claim | None) -> Iterator[None]:
    """Let another kernel have an environment that this one, interrupted perhaps, does not get."""
    try:
        yield
    except BaseException as error:
        if claim is not None:
            claim.release(keep=not isinstance(error, EnvironmentGone))
        raise
