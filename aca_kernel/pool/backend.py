"""Where environments come from: the contract, and a pool known by endpoint and key.

A pool that Azure knows by its name is azure/azure_backend.py's, the embedded one
embedded_backend.py's.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from urllib.parse import urlsplit

from ..errors import CredentialUnavailable, SettingInvalid
from ..settings import AcaKernel
from .mcp_client import McpClient
from .transport.contract import is_in_the_clear, not_an_address, web_address


class Backend(ABC):
    """A session pool as the kernel sees it.

    is_embedded: the pool lives and dies with this kernel, so that a place in it costs
    nobody anything and it may be used before the first cell.
    """

    is_embedded = False

    @abstractmethod
    async def connect(self) -> McpClient:
        """Return a client for the pool; called before each launch.

        A pool that has to be started, or that has died, is started here. The same client
        is returned as long as the pool is the same.
        Raises SettingInvalid, CredentialUnavailable, PoolUnreachable.
        """

    def is_lost(self) -> bool:
        """Tell whether the pool itself has ended, with every environment in it."""
        return False

    def notice(self) -> str:
        """Return what the user should know about this pool once, or an empty text."""
        return ""

    def title(self, endpoint: str) -> str:
        """Return what a user knows the pool by; endpoint: of the client that reaches it."""
        return urlsplit(endpoint).hostname or "?"

    def isolation(self) -> str:
        """Return how environments of this pool are kept apart from everything else."""
        return "by the session pool"

    async def discard_environment(self) -> None:  # noqa: B027 - most pools cannot
        """The kernel's environment is not used any more: free its place, if that can be done.

        There is no tool that ends an environment, so that most pools keep it until its
        cooldown has passed.
        """

    @abstractmethod
    async def close(self) -> None:
        """Let go of the pool; called once, when the kernel ends. Takes under a second."""


class EndpointBackend(Backend):
    """A pool that is named by its MCP endpoint and key in the settings."""

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
