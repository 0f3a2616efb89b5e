"""Tokens for Azure Resource Manager, from azure-identity's DefaultAzureCredential.

azure-identity is imported with the first token: it takes a third of a second and no local
notebook needs it. Its calls block, some for seconds, and run in a thread.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import re
import threading
import time
from collections.abc import Callable
from typing import Any, TypeVar

from ...errors import AcaKernelError, AccessDenied, CredentialUnavailable, SettingInvalid
from ..transport.tls import bundle
from .clouds import Cloud

T = TypeVar("T")

# A token is renewed so long before it expires, or half-way if it lives shorter than twice
# that. Source: DEFAULT_REFRESH_OFFSET of azure-identity.
RENEW_SECONDS = 300.0

# All ways together. Each tool that is asked (az, azd, PowerShell) has 10 s of its own.
_TIMEOUT_SECONDS = 60.0

_LONGEST_REASON = 120

# "\tAzureCliCredential: Please run 'az login' to set up an account", as
# azure.identity.ChainedTokenCredential lists what it has tried.
_ATTEMPT = re.compile(r"^\t(\w+)(?:: (.*))?$", re.MULTILINE)

# What a login server or a tool says may repeat what it was given. A token or a key is a long
# run of such characters with digits in it, which a GUID, for its hyphens, is not.
_SECRET = re.compile(r"eyJ[\w.-]+|(?=[\w+/=~-]*\d)[\w+/=~-]*[\w+/=~]{24,}[\w+/=~-]*")

# What these hold is known, and hidden however short it is.
_SECRET_VARIABLES = (
    "AZURE_CLIENT_SECRET",
    "AZURE_CLIENT_CERTIFICATE_PASSWORD",
    "AZURE_PASSWORD",
    "IDENTITY_HEADER",
)

# What says no more than the name before it.
_UNAVAILABLE = re.compile(r"^\w+Credential( authentication)? unavailable\.?\s*")


async def in_thread(call: Callable[[], T]) -> T:
    """Run a blocking call in a thread that nothing waits for when the program ends.

    The threads of asyncio.to_thread are waited for: a kernel that is told to shut down
    would stay until the Azure CLI has answered.
    """
    loop = asyncio.get_running_loop()
    future: asyncio.Future[T] = loop.create_future()

    def deliver(result: T | None, error: BaseException | None) -> None:
        if future.done():
            return
        if error is not None:
            future.set_exception(error)
        else:
            future.set_result(result)  # type: ignore[arg-type]  # it is a T without an error

    def work() -> None:
        result, error = None, None
        try:
            result = call()
        except Exception as caught:  # noqa: BLE001 - it is raised where the call is awaited
            error = caught
        # The program may have ended meanwhile, and its loop with it.
        with contextlib.suppress(RuntimeError):
            loop.call_soon_threadsafe(deliver, result, error)

    threading.Thread(target=work, daemon=True, name="azure").start()
    return await future


class Tokens:
    """Tokens for one cloud's Resource Manager, kept in memory until shortly before they expire."""

    def __init__(self, cloud: Cloud) -> None:
        self._cloud = cloud
        self._credential: Any = None
        self._token = ""
        self._renew_at = 0.0
        self._lock = asyncio.Lock()

    def __repr__(self) -> str:
        return f"<Tokens for {self._cloud.arm_endpoint}>"

    async def token(self) -> str:
        """Return a token that is good for the next minutes.

        Raises CredentialUnavailable: nobody is logged in.
        Raises AccessDenied: a login was tried and refused.
        Raises SettingInvalid: what azure-identity is configured with cannot work.
        """
        async with self._lock:
            if not self._token or time.monotonic() >= self._renew_at:
                try:
                    given = await asyncio.wait_for(in_thread(self._ask), _TIMEOUT_SECONDS)
                except asyncio.TimeoutError:
                    raise CredentialUnavailable(
                        "The Azure login did not answer in time. Check that `az account show` "
                        "works, then try again."
                    ) from None
                left = given.expires_on - time.time()
                self._token = given.token
                self._renew_at = time.monotonic() + left - min(RENEW_SECONDS, left / 2)
            return self._token

    @property
    def credential_name(self) -> str:
        """Which way of logging in gave the last token, by azure-identity's name; or empty."""
        # Nothing public says it but a line of its log.
        used = getattr(self._credential, "_successful_credential", None)
        return "" if used is None else type(used).__name__

    def close(self) -> None:
        """Forget the token and what was used to get it; the next call begins anew.

        For a token that was refused too: azure-identity keeps a copy of its own.
        """
        self._token = ""
        if self._credential is not None:
            self._credential.close()
            self._credential = None

    def _ask(self) -> Any:
        # azure-identity says at length, and at once, what becomes one sentence here.
        for name in ("azure", "msal"):
            logging.getLogger(name).setLevel(logging.CRITICAL)
        from azure.core.exceptions import AzureError
        from azure.identity import CredentialUnavailableError, DefaultAzureCredential

        try:
            if self._credential is None:
                self._credential = DefaultAzureCredential(**self._options())
            return self._credential.get_token(self._cloud.scope)
        except CredentialUnavailableError as error:
            raise self._unavailable(str(error.message), type(error)) from None
        except AzureError as error:
            raise self._unavailable(str(error.message), type(error)) from None
        except ValueError as error:
            raise SettingInvalid(
                f"azure-identity cannot use its environment variables: {_reason(str(error))}. "
                "Correct those that begin with AZURE_."
            ) from None

    def _options(self) -> dict[str, Any]:
        options: dict[str, Any] = {}
        if self._cloud.authority is not None:
            options["authority"] = self._cloud.authority
        named = bundle()
        if named is not None:
            # It reads REQUESTS_CA_BUNDLE by itself, but not the others.
            options["connection_verify"] = named[1]
        return options

    def _unavailable(self, text: str, kind: type[Exception]) -> AcaKernelError:
        """Return our error for azure-identity's, with what was tried and no secret in it."""
        tried = [(name, _reason(why or "")) for name, why in _ATTEMPT.findall(text)]
        # Once a way has worked it is the only one that is asked, and not named.
        last_name, last_why = tried[-1] if tried else ("the way that worked before", _reason(text))
        # The chain goes on past what is not set up and ends at what was set up and refused.
        if re.search(r"AADSTS\d+|authentication failed", last_why, re.IGNORECASE):
            return AccessDenied(
                f"The Azure login by {last_name} failed: {last_why}. Correct what it is "
                f"configured with, or log in with {self._login_command()}.",
                detail=kind.__name__,
            )
        ways = ", ".join(f"{name} ({why})" if why else name for name, why in tried)
        return CredentialUnavailable(
            f"Nobody is logged in to Azure: run {self._login_command()}, then try again. "
            f"Tried: {ways or last_why}.",
            detail=kind.__name__,
        )

    def _login_command(self) -> str:
        if self._cloud.cli_name:
            return f"`az cloud set --name {self._cloud.cli_name}` and `az login`"
        return "`az login`"


def _reason(text: str) -> str:
    """Return the first sentence of a text, shortened, and without what might be a secret."""
    for value in filter(None, map(os.environ.get, _SECRET_VARIABLES)):
        text = text.replace(value, "…")
    said = _UNAVAILABLE.sub("", text.strip())
    first = re.split(r"\.\s|[\r\n]", said, maxsplit=1)[0].rstrip(" .")
    first = _SECRET.sub("…", first)
    return first if len(first) <= _LONGEST_REASON else first[:_LONGEST_REASON].rstrip() + "…"
