"""What these tests share: a clean environment, a canned Resource Manager, a stand-in `az`."""

from __future__ import annotations

import json
import os
import stat
import sys
import time
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any, TypeVar

import pytest

from aca_kernel.pool.azure.arm import Arm
from aca_kernel.pool.azure.clouds import Cloud, cloud_at
from aca_kernel.pool.azure.credentials import Tokens

from ...support import serving

T = TypeVar("T")

SUBSCRIPTION = "00000000-0000-0000-0000-000000000000"

# Whatever could lead a test to somebody's real account.
VARIABLES = (
    "ACA_",
    "AZURE_",
    "IDENTITY_",
    "MSI_",
    "IMDS_",
    "REQUESTS_CA_BUNDLE",
    "CURL_CA_BUNDLE",
    "SSL_CERT_",
)


def clean(monkeypatch: pytest.MonkeyPatch, env: dict[str, str] | None = None) -> None:
    """Leave none of those variables but the given ones."""
    for name in list(os.environ):
        if name.startswith(VARIABLES):
            monkeypatch.delenv(name)
    for name, value in (env or {}).items():
        monkeypatch.setenv(name, value)


async def with_arm(cloud: Cloud, use: Callable[[Arm], Coroutine[Any, Any, T]], **options: Any) -> T:
    arm = Arm(cloud, Tokens(cloud), **options)
    try:
        return await use(arm)
    finally:
        await arm.close()


class CannedArm(BaseHTTPRequestHandler):
    """Gives tokens, and answers each request with the next of what the test has prepared.

    answers: (status, headers, body) in turn, the last one again and again.
    seen: method and path of each request that was not for a token, and its token.
    """

    answers: list[tuple[int, dict[str, str], Any]] = []
    seen: list[tuple[str, str, str]] = []
    tokens = 0
    protocol_version = "HTTP/1.1"

    def _answer(self) -> None:
        self.rfile.read(int(self.headers.get("content-length") or 0))
        cls = type(self)
        if self.path.startswith("/msi/token"):
            cls.tokens += 1
            expires_on = str(int(time.time()) + 3600)
            token = {"access_token": f"token-{cls.tokens}", "expires_on": expires_on}
            status, headers = 200, {"content-type": "application/json"}
            body: Any = {**token, "resource": "r", "token_type": "Bearer"}
        else:
            cls.seen.append((self.command, self.path, self.headers.get("authorization", "")))
            status, headers, body = cls.answers[0]
            if len(cls.answers) > 1:
                del cls.answers[0]
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("content-length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    do_GET = do_PUT = do_POST = do_DELETE = _answer  # noqa: N815 - http.server's names

    def log_message(self, *_: Any) -> None:
        pass


@contextmanager
def canned_arm(certificate: str | None = None) -> Iterator[str]:
    """Serve CannedArm; yield its address."""
    CannedArm.answers, CannedArm.seen, CannedArm.tokens = [], [], 0
    with serving(CannedArm, certificate) as address:
        yield address


def identity(url: str) -> dict[str, str]:
    """The variables of a managed identity that CannedArm serves."""
    return {"IDENTITY_ENDPOINT": f"{url}/msi/token", "IDENTITY_HEADER": "a-header-secret"}


def local_cloud(url: str) -> Cloud:
    return cloud_at(url)


def put_az_on_path(folder: Path, monkeypatch: pytest.MonkeyPatch, body: str) -> Path:
    """Write a stand-in for the Azure CLI; body: Python, with `arguments` to look at."""
    folder.mkdir(exist_ok=True)
    script = folder / "az"
    script.write_text(f"#!{sys.executable}\nimport sys\narguments = sys.argv[1:]\n{body}\n")
    script.chmod(script.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
    return script


def logged_in_az(env: dict[str, str], log: Path) -> str:
    """Return the body of a stand-in that is logged in, by the local control plane's tokens."""
    return f"""
import json, time, urllib.parse, urllib.request
with open({str(log)!r}, "a") as file:
    file.write(" ".join(arguments) + "\\n")
if arguments[:2] == ["account", "show"]:
    print(json.dumps({{"id": {env["ACA_SUBSCRIPTION_ID"]!r}, "name": "Local"}}))
elif arguments[:2] == ["account", "get-access-token"]:
    resource = arguments[arguments.index("--resource") + 1]
    query = urllib.parse.urlencode({{"resource": resource, "api-version": "2019-08-01"}})
    request = urllib.request.Request({env["IDENTITY_ENDPOINT"]!r} + "?" + query)
    request.add_header("X-IDENTITY-HEADER", {env["IDENTITY_HEADER"]!r})
    given = json.load(urllib.request.build_opener(urllib.request.ProxyHandler({{}})).open(request))
    token = {{"accessToken": given["access_token"], "expires_on": int(given["expires_on"])}}
    print(json.dumps(token))
else:
    sys.exit("unknown command")
"""
