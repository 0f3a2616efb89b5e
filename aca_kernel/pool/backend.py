"""The contract of a session pool, and a pool known by endpoint and key.

The others: azure/azure_backend.py, embedded_backend.py.
"""

from __future__ import annotations

import contextlib
from abc import ABC, abstractmethod
from dataclasses import dataclass
from urllib.parse import urlsplit

from ..errors import AcaKernelError, CredentialUnavailable, SettingInvalid
from ..settings import AcaKernel
from .mcp_client import McpClient
from .transport.contract import is_in_the_clear, not_an_address, web_address


@dataclass(eq=False)
class NearFolder:
    """A folder of this machine that environments see and cannot write to.

    here, inside: its path on this machine and in an environment. used_bytes: of what is in it.
    sessions: the folder on this machine with a folder for each environment, in which `tmp` is the
    environment's own; "" for none.
    """

    here: str
    inside: str
    sessions: str = ""
    used_bytes: int = 0


class Backend(ABC):
    """A session pool as the kernel sees it.

    is_embedded: the pool is this kernel's own, so that a place in it costs nobody anything.
    near: where files need not go through calls.
    notice: a sentence that the user should read once, or an empty text.
    isolation: of this pool's environments.
    """

    is_embedded = False
    near: NearFolder | None = None
    notice = ""
    isolation = "by the session pool"

    @abstractmethod
    async def connect(self) -> McpClient:
        """Return a client for the pool; called before each launch.

        Starts a pool that has not started, or has ended. The client stays the same as long as
        the pool does.
        Raises SettingInvalid, CredentialUnavailable, PoolUnreachable.
        """

    def is_lost(self) -> bool:
        """Tell whether the pool itself has ended, with every environment in it."""
        return False

    def title(self, endpoint: str) -> str:
        """Return the user's name for the pool; endpoint: of its client."""
        return urlsplit(endpoint).hostname or "?"

    async def discard_environment(  # noqa: B027 - most pools cannot
        self, environment_id: str
    ) -> None:
        """Free the place of an environment of the kernel's, which is not used any more.

        Most pools keep it until its cooldown: there is no tool that ends an environment.
        """

    @abstractmethod
    async def close(self) -> None:
        """Release the pool, in under a second; called once, by who has made this."""


class EndpointBackend(Backend):
    """A pool with its MCP endpoint and key in the settings."""

    def __init__(self, settings: AcaKernel) -> None:
        self._settings = settings
        self._client: McpClient | None = None

    async def connect(self) -> McpClient:
        """See Backend."""
        if self._client is None:
            endpoint = check_endpoint(self._settings.endpoint, self._settings.allow_plain_http)
            self._client = McpClient(
                endpoint,
                key_in(self._settings),
                connect_timeout_seconds=self._settings.connect_timeout_seconds,
            )
        return self._client

    async def discard_environment(self, environment_id: str) -> None:
        """See Backend; the pool that a batch has of its own ends it."""
        # If it cannot be reached, the next launch says so.
        with contextlib.suppress(AcaKernelError):
            if self._client is not None:
                await self._client.end_environment(environment_id)

    async def close(self) -> None:
        """See Backend."""
        if self._client is not None:
            await self._client.close()


def key_in(settings: AcaKernel) -> str:
    """Return the API key of the settings. Raises CredentialUnavailable: there is none."""
    if not settings.api_key:
        raise CredentialUnavailable(
            "There is no API key for the session pool. Set ACA_MCP_API_KEY to the key "
            "that fetchMCPServerCredentials returns."
        )
    return settings.api_key


def check_endpoint(endpoint: str, allow_plain_http: bool) -> str:
    """Return the endpoint if a key may be sent there.

    Raises SettingInvalid: no web address, or plain http to another machine.
    """
    parts = web_address(endpoint)
    if parts is None:
        raise not_an_address()
    if is_in_the_clear(parts) and not allow_plain_http:
        raise SettingInvalid(
            f"The endpoint on {parts.hostname} is plain http, which would send the API key in the "
            "clear. Use https, or set AcaKernel.allow_plain_http = True."
        )
    return endpoint
