"""What carries a request's body to a pool: the contract of both ways, and their errors."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import SplitResult, urlsplit

from ...errors import PoolUnreachable, ResultUnknown, SettingInvalid

LOOPBACK_HOSTS = frozenset({"localhost", "127.0.0.1", "::1"})


@dataclass(frozen=True)
class HttpAnswer:
    """An HTTP answer, whatever its status; names in `headers` are in lower case.

    round_trips: how often the way there and back was taken for it, its connection included.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes
    round_trips: int = 1


class Transport(ABC):
    """Posts to one address, over connections that are kept between calls."""

    @abstractmethod
    async def post(
        self, body: bytes, *, headers: Mapping[str, str], timeout_seconds: float
    ) -> HttpAnswer:
        """Send a body once and return the answer; several calls may be pending at a time.

        headers: those of this request beside the common ones.
        timeout_seconds: how long to wait for the answer to begin, and to go on.
        Raises PoolUnreachable: nothing was sent.
        Raises ResultUnknown: it was sent, and no whole answer came.
        Raises SettingInvalid: the address, or how it is to be trusted, cannot work.
        """

    @property
    @abstractmethod
    def connections(self) -> int:
        """How many connections stand, used or not; one that has been closed may count."""

    @abstractmethod
    async def close(self) -> None:
        """Close the connections; what is pending is lost, and a later `post` opens new ones."""


def web_address(text: str) -> SplitResult | None:
    """Return the parts of an http or https address; None: it is not one."""
    try:
        parts = urlsplit(text)
        _ = parts.port  # fails if it is no number
    except ValueError:
        return None
    return parts if parts.scheme in ("http", "https") and parts.hostname else None


def is_in_the_clear(parts: SplitResult) -> bool:
    """Tell whether what is sent to an address crosses a network as it is."""
    return parts.scheme == "http" and parts.hostname not in LOOPBACK_HOSTS


def not_an_address() -> SettingInvalid:
    """Return the error of an endpoint that no request can be sent to."""
    return SettingInvalid(
        "The endpoint is not a web address. Set ACA_MCP_ENDPOINT to the "
        "mcpServerEndpoint of the session pool, https://…/mcp."
    )


def unreachable(detail: str) -> PoolUnreachable:
    """Return the error of a connection that could not be made."""
    return PoolUnreachable(
        "The session pool cannot be reached. Check the endpoint and the network.", detail=detail
    )


def answer_lost(detail: str) -> ResultUnknown:
    """Return the error of a request that was sent and not answered whole."""
    return ResultUnknown(
        "The connection to the session pool was lost before its answer arrived.", detail=detail
    )
