"""Tokens for Azure Resource Manager, from azure-identity's DefaultAzureCredential.

azure-identity is imported with the first token: that takes a third of a second. Its calls
block, some for seconds, and run in a thread.
"""

from __future__ import annotations

import asyncio
import logging
import os
import re
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, TypeVar

from ...errors import AcaKernelError, AccessDenied, CredentialUnavailable, SettingInvalid
from ..transport.tls import bundle
from .clouds import Cloud

T = TypeVar("T")

# Before a token expires, or half of its life if that is shorter. Source: DEFAULT_REFRESH_OFFSET of
# azure-identity.
RENEW_SECONDS = 300.0

# All credentials together. Each tool among them (az, azd, PowerShell) has 10 s of its own.
_TIMEOUT_SECONDS = 60.0

_LONGEST_REASON = 120

# "\tAzureCliCredential: Please run 'az login' to set up an account", as
# azure.identity.ChainedTokenCredential lists its attempts.
_ATTEMPT = re.compile(r"^\t(\w+)(?:: (.*))?$", re.MULTILINE)

# A login server or a tool may quote a secret. A token or a key is a long run of such characters,
# digits among them, which a GUID, for its hyphens, is not.
_SECRET = re.compile(r"eyJ[\w.-]+|(?=[\w+/=~-]*\d)[\w+/=~-]*[\w+/=~]{24,}[\w+/=~-]*")

# Their values are hidden, however short.
_SECRET_VARIABLES = (
    "AZURE_CLIENT_SECRET",
    "AZURE_CLIENT_CERTIFICATE_PASSWORD",
    "AZURE_PASSWORD",
    "IDENTITY_HEADER",
)

# Repeats the name before it.
_UNAVAILABLE = re.compile(r"^\w+Credential( authentication)? unavailable\.?\s*")


async def in_thread(call: Callable[[], T]) -> T:
    """Run a blocking call in a thread that nothing waits for when the program ends.

    The end of the program waits for those of asyncio.to_thread: a kernel that is told to shut
    down would stay until the Azure CLI has answered.
    """
    done: Future[T] = Future()
    done.set_running_or_notify_cancel()  # not cancelled any more: the thread sets the result

    def work() -> None:
        try:
            done.set_result(call())
        except Exception as error:  # noqa: BLE001 - it is raised where the call is awaited
            done.set_exception(error)

    threading.Thread(target=work, daemon=True, name="azure").start()
    return await asyncio.wrap_future(done)


class Tokens:
    """Tokens for one cloud's Resource Manager, kept in memory until they are renewed."""

    def __init__(self, cloud: Cloud) -> None:
        self._cloud = cloud
        self._credential: Any = None
        self._token = ""
        self._renew_at = 0.0
        self._lock = asyncio.Lock()

    def __repr__(self) -> str:
        return f"<Tokens for {self._cloud.arm_endpoint}>"

    async def token(self) -> str:
        """Return a token that is valid for minutes.

        Raises CredentialUnavailable: nobody is logged in.
        Raises AccessDenied: a login was tried and refused.
        Raises SettingInvalid: azure-identity's configuration cannot work.
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
        """The class of the last token's credential in azure-identity, or an empty text."""
        # Not public but in its log.
        used = getattr(self._credential, "_successful_credential", None)
        return "" if used is None else type(used).__name__

    def close(self) -> None:
        """Forget the token and its credential, in which azure-identity keeps a copy."""
        self._token = ""
        if self._credential is not None:
            self._credential.close()
            self._credential = None

    def _ask(self) -> Any:
        # Their long messages become one sentence here.
        for name in ("azure", "msal"):
            logging.getLogger(name).setLevel(logging.CRITICAL)
        from azure.core.exceptions import AzureError
        from azure.identity import DefaultAzureCredential

        try:
            if self._credential is None:
                self._credential = DefaultAzureCredential(**self._options())
            return self._credential.get_token(self._cloud.scope)
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
        """Return our error for azure-identity's, with its attempts and without secrets."""
        tried = [(name, _reason(why or "")) for name, why in _ATTEMPT.findall(text)]
        # After a success only that credential is asked, and not named.
        last_name, last_why = tried[-1] if tried else ("the way that worked before", _reason(text))
        # The chain skips credentials that are not configured and ends at one that was refused.
        if re.search(r"AADSTS\d+|authentication failed", last_why, re.IGNORECASE):
            return AccessDenied(
                f"The Azure login by {last_name} failed: {last_why}. Correct what it is "
                f"configured with, or log in with `{self._cloud.login_command}`.",
                detail=kind.__name__,
            )
        ways = ", ".join(f"{name} ({why})" if why else name for name, why in tried)
        return CredentialUnavailable(
            f"Nobody is logged in to Azure: run `{self._cloud.login_command}`, then try again. "
            f"Tried: {ways or last_why}.",
            detail=kind.__name__,
        )


def _reason(text: str) -> str:
    """Return the first sentence of a text, shortened, without possible secrets."""
    for value in filter(None, map(os.environ.get, _SECRET_VARIABLES)):
        text = text.replace(value, "…")
    said = _UNAVAILABLE.sub("", text.strip())
    first = re.split(r"\.\s|[\r\n]", said, maxsplit=1)[0].rstrip(" .")
    first = _SECRET.sub("…", first)
    return first if len(first) <= _LONGEST_REASON else first[:_LONGEST_REASON].rstrip() + "…"
