"""Checks of a pool's MCP server, from its key to the launch of an environment.

One environment is launched, which keeps its place in the pool until its cooldown.
"""

from __future__ import annotations

import asyncio

from ...environment.environment import Environment
from ...errors import KeyRefused
from ...pool.backend import Backend, EndpointBackend, key_in
from ...pool.embedded_backend import EmbeddedBackend
from ...pool.mcp_client import LAUNCH_TOOLS, PROTOCOL_VERSION, RUN_PYTHON, RUN_SHELL
from ...settings import AcaKernel
from .checklist import Found, Step
from .report import CheckOutcome, failed, warning

# Retries of a lost connection end sooner than a cell's: a person is watching.
_RECONNECT_SECONDS = 5.0


def steps_to_endpoint() -> list[Step]:
    """Return the checks of a pool that is known by its endpoint, up to its key."""
    return [Step("key", _given_key)]


def steps_to_embedded() -> list[Step]:
    """Return the checks of an embedded pool, up to its start."""
    return [Step("embedded-pool", _embedded), Step("isolation", _isolation, is_needed=False)]


def steps() -> list[Step]:
    """Return the checks of the MCP server, up to an environment's launch."""
    return [Step("initialize", _initialize), Step("tools", _tools), Step("launch", _launch)]


# -- the pool --------------------------------------------------------------------------


async def _given_key(found: Found) -> CheckOutcome:
    found.key = key_in(found.settings)
    return CheckOutcome(f"set, by {found.sources['api_key']}")


async def _embedded(found: Found) -> CheckOutcome:
    await _connect(found, EmbeddedBackend(found.settings))
    return CheckOutcome("started for this check; no Azure account is used")


async def _connect(found: Found, backend: Backend) -> None:
    found.backend = backend
    found.stack.push_async_callback(backend.close)
    found.client = await backend.connect()


async def _isolation(found: Found) -> CheckOutcome:
    notice = found.backend.notice
    if notice:
        return warning(
            notice,
            "Install bubblewrap (`apt install bubblewrap`), and let it make user namespaces.",
        )
    if found.settings.isolation == "process":
        return CheckOutcome("by process, as the setting isolation says")
    return CheckOutcome("cells run in a sandbox of bubblewrap")


async def _initialize(found: Found) -> CheckOutcome:
    settings = found.settings
    if settings.place != "embedded":
        pool = AcaKernel(
            endpoint=found.address,
            api_key=found.key,
            allow_plain_http=settings.allow_plain_http,
            connect_timeout_seconds=settings.connect_timeout_seconds,
        )
        await _connect(found, EndpointBackend(pool))
    try:
        answer = await found.client.initialize()
    except KeyRefused:
        if settings.place != "azure":
            raise
        return failed(
            "The session pool refuses the API key that Azure gives for it.",
            "After a rotation it may do so for five minutes: wait, then run this command again. "
            "If it stays, run `aca-kernel pool rotate-key`.",
        )
    info = answer.get("serverInfo")
    name = info.get("name") if isinstance(info, dict) else None
    version = str(answer.get("protocolVersion"))
    detail = f"{name or 'an unnamed server'}, protocol {version}"
    if version != PROTOCOL_VERSION:
        return warning(
            detail,
            f"This kernel knows {PROTOCOL_VERSION}. If cells fail, look for a newer aca-kernel.",
        )
    return CheckOutcome(detail)


async def _tools(found: Found) -> CheckOutcome:
    offered = found.client.offered_tools = await found.client.list_tools()
    launch = next((name for name in LAUNCH_TOOLS if name in offered), None)
    missing = [name for name in (RUN_PYTHON, RUN_SHELL) if name not in offered]
    if launch is None:
        missing.append(LAUNCH_TOOLS[0])
    detail = ", ".join(offered) or "none"
    if not missing:
        return CheckOutcome(detail)
    if missing == [RUN_SHELL]:
        return warning(
            f"{detail}; {RUN_SHELL} is missing",
            "Without it an interrupt waits for the running call, and `!` commands fail.",
        )
    return failed(
        f"The pool offers {detail}, and not {', '.join(missing)}.",
        "Use a PythonLTS pool with its MCP server on, as `aca-kernel pool create` makes it.",
    )


async def _launch(found: Found) -> CheckOutcome:
    settings = found.settings
    # A cell waits for a place for minutes; here a full pool is a finding.
    settings.pool_full_timeout_seconds = 0.0
    settings.reconnect_timeout_seconds = min(settings.reconnect_timeout_seconds, _RECONNECT_SECONDS)
    # Nobody reads the queue: the report tells of the end.
    environment = await Environment.launch(found.backend, settings, asyncio.Queue())
    found.environment = environment
    detail = f"environment {environment.environment_id[:8]}…"
    if found.backend.is_embedded:
        return CheckOutcome(detail)
    return CheckOutcome(
        f"{detail}, which takes one of the pool's places until its cooldown is over"
    )
