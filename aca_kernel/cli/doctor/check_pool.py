"""Checks of a pool's MCP server, from its key to the launch of an environment.

One environment is launched; it holds its place in the pool until its cooldown has passed.
"""

from __future__ import annotations

import asyncio

from ...environment.environment import Environment
from ...errors import (
    CredentialUnavailable,
    KeyRefused,
    PoolUnreachable,
)
from ...pool.backend import Backend, check_endpoint
from ...pool.embedded_backend import EmbeddedBackend
from ...pool.mcp_client import LAUNCH_TOOLS, PROTOCOL_VERSION, RUN_PYTHON, RUN_SHELL, McpClient
from .check_machine import need
from .checklist import Found, Step
from .report import CheckOutcome

# How long a lost connection is tried again: less than for a cell, for somebody watches.
_RECONNECT_SECONDS = 5.0


def steps_to_endpoint() -> list[Step]:
    """Return the checks of a pool that is known by its endpoint, up to its key."""
    return [Step("key", _given_key)]


def steps_to_embedded() -> list[Step]:
    """Return the checks of an embedded pool, up to its start."""
    return [Step("embedded-pool", _embedded), Step("isolation", _isolation, is_needed=False)]


def steps() -> list[Step]:
    """Return the checks of the MCP server, up to an environment's launch."""
    return [
        Step("initialize", _initialize),
        Step("tools", _tools),
        Step("launch", _launch),
    ]


class _Connected(Backend):
    """The pool that the checks before have found."""

    def __init__(self, client: McpClient) -> None:
        self._client = client

    async def connect(self) -> McpClient:
        """See Backend."""
        return self._client

    async def close(self) -> None:
        """See Backend."""
        await self._client.close()


# -- the pool --------------------------------------------------------------------------


async def _given_key(found: Found) -> CheckOutcome:
    settings = need(found.settings)
    if not settings.api_key:
        raise CredentialUnavailable(
            "There is no API key for the session pool. Set ACA_MCP_API_KEY to the key "
            "that fetchMCPServerCredentials returns."
        )
    found.key = settings.api_key
    return CheckOutcome(f"set, by {found.sources['api_key']}")


async def _embedded(found: Found) -> CheckOutcome:
    backend = found.backend = EmbeddedBackend(need(found.settings))
    found.stack.push_async_callback(backend.close)
    found.client = await backend.connect()
    return CheckOutcome("started for this check; no Azure account is used")


async def _isolation(found: Found) -> CheckOutcome:
    assert found.backend is not None  # noqa: S101 - the check before has started it
    notice = found.backend.notice()
    if notice:
        return CheckOutcome(
            notice,
            "Install bubblewrap (`apt install bubblewrap`), and let it make user namespaces.",
            "warning",
        )
    if need(found.settings).isolation == "process":
        return CheckOutcome("by process, as the setting isolation says")
    return CheckOutcome("cells run in a sandbox of bubblewrap")


async def _initialize(found: Found) -> CheckOutcome:
    settings = need(found.settings)
    if found.client is None:
        assert isinstance(found.key, str)  # noqa: S101 - the check `key` has seen to it
        address = found.address or settings.endpoint
        endpoint = check_endpoint(address, settings.allow_plain_http)
        found.client = McpClient(
            endpoint,
            found.key,
            connect_timeout_seconds=settings.connect_timeout_seconds,
        )
        found.backend = _Connected(found.client)
        found.stack.push_async_callback(found.backend.close)
    try:
        answer = await found.client.initialize()
    except KeyRefused:
        if settings.place != "azure":
            raise
        return CheckOutcome(
            "The session pool refuses the API key that Azure gives for it.",
            "After a rotation it may do so for five minutes: wait, then run this command again. "
            "If it stays, run `aca-kernel pool rotate-key`.",
            "failed",
        )
    info = answer.get("serverInfo")
    name = info.get("name") if isinstance(info, dict) else None
    version = str(answer.get("protocolVersion"))
    detail = f"{name or 'an unnamed server'}, protocol {version}"
    if version != PROTOCOL_VERSION:
        return CheckOutcome(
            detail,
            f"This kernel knows {PROTOCOL_VERSION}. If cells fail, look for a newer aca-kernel.",
            "warning",
        )
    return CheckOutcome(detail)


async def _tools(found: Found) -> CheckOutcome:
    client = client_of(found)
    offered = client.offered_tools = await client.list_tools()
    launch = next((name for name in LAUNCH_TOOLS if name in offered), None)
    missing = [name for name in (RUN_PYTHON, RUN_SHELL) if name not in offered]
    if launch is None:
        missing.append(LAUNCH_TOOLS[0])
    detail = ", ".join(offered) or "none"
    if not missing:
        return CheckOutcome(detail)
    if missing == [RUN_SHELL]:
        return CheckOutcome(
            f"{detail}; {RUN_SHELL} is missing",
            "Without it an interrupt waits for the running call, and `!` commands fail.",
            "warning",
        )
    return CheckOutcome(
        f"The pool offers {detail}, and not {', '.join(missing)}.",
        "Use a PythonLTS pool with its MCP server on, as `aca-kernel pool create` makes it.",
        "failed",
    )


async def _launch(found: Found) -> CheckOutcome:
    settings = need(found.settings)
    # A cell waits for a place for minutes; who looks for a problem wants to know at once.
    settings.pool_full_timeout_seconds = 0.0
    settings.reconnect_timeout_seconds = min(settings.reconnect_timeout_seconds, _RECONNECT_SECONDS)
    assert found.backend is not None  # noqa: S101 - there is a client of it
    # Nobody reads it: who waits here is told of the end.
    environment = await Environment.launch(found.backend, settings, asyncio.Queue())
    found.environment = environment
    detail = f"environment {environment.environment_id[:8]}…"
    if found.backend.is_embedded:
        return CheckOutcome(detail)
    return CheckOutcome(
        f"{detail}, which takes one of the pool's places until its cooldown is over"
    )


def client_of(found: Found) -> McpClient:
    """Return the connection to the pool. Raises PoolUnreachable: there is none."""
    if found.client is None:
        raise PoolUnreachable("There is no connection to the pool.")
    return found.client
