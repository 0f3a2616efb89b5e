"""Tokens: whose they are, how long they are kept, and what is said when there is none."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path

import pytest

from aca_kernel.errors import AccessDenied, CredentialUnavailable, SettingInvalid
from aca_kernel.pool.azure.account import subscription_of
from aca_kernel.pool.azure.clouds import cloud_at
from aca_kernel.pool.azure.credentials import Tokens, _reason
from aca_kernel.pool.azure.pools import SessionPools
from aca_kernel.pool.azure.resource_names import pool_id

from ...support import ControlPlane, running_control_plane
from .support import SUBSCRIPTION, clean, logged_in_az, put_az_on_path, with_arm

CLI_ONLY = {"AZURE_TOKEN_CREDENTIALS": "AzureCliCredential"}


def token(arm_endpoint: str) -> str:
    async def once() -> str:
        tokens = Tokens(cloud_at(arm_endpoint))
        try:
            return await tokens.token()
        finally:
            tokens.close()

    return asyncio.run(once())


def test_the_managed_identity_gives_tokens_that_are_accepted(
    control_plane: ControlPlane, monkeypatch: pytest.MonkeyPatch
) -> None:
    env = control_plane.env
    clean(monkeypatch, env)
    pool = pool_id(env["ACA_SUBSCRIPTION_ID"], env["ACA_RESOURCE_GROUP"], env["ACA_SESSION_POOL"])

    async def look(arm: object) -> str:
        return (await SessionPools(arm).get(pool)).name  # type: ignore[arg-type]

    assert asyncio.run(with_arm(cloud_at(control_plane.url), look)) == "local"


def test_a_token_is_kept_and_renewed_before_it_expires(monkeypatch: pytest.MonkeyPatch) -> None:
    with running_control_plane(token_lifetime_seconds=4) as plane:
        clean(monkeypatch, plane.env)
        env = plane.env
        pool = pool_id(
            env["ACA_SUBSCRIPTION_ID"], env["ACA_RESOURCE_GROUP"], env["ACA_SESSION_POOL"]
        )

        async def use() -> int:
            cloud = cloud_at(plane.url)
            tokens = Tokens(cloud)
            first = await tokens.token()
            assert await tokens.token() == first
            accepted = 0

            async def until_renewed(arm: object) -> None:
                nonlocal accepted
                while await tokens.token() == first:
                    await SessionPools(arm).get(pool)  # type: ignore[arg-type]
                    accepted += 1
                    await asyncio.sleep(0.2)
                await SessionPools(arm).get(pool)  # type: ignore[arg-type]

            from aca_kernel.pool.azure.arm import Arm

            arm = Arm(cloud, tokens)
            try:
                await asyncio.wait_for(until_renewed(arm), 20)
            finally:
                await arm.close()
            return accepted

        assert asyncio.run(use()) > 1


def test_the_azure_cli_gives_tokens_and_the_subscription(
    control_plane: ControlPlane, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    env = control_plane.env
    log = tmp_path / "log"
    clean(monkeypatch, CLI_ONLY)
    put_az_on_path(tmp_path / "bin", monkeypatch, logged_in_az(env, log))
    assert asyncio.run(subscription_of("")) == env["ACA_SUBSCRIPTION_ID"]
    given = token(control_plane.url)
    assert given.startswith("eyJ")
    # For the Resource Manager that was set, so that it is worth nothing elsewhere.
    assert f"--resource {control_plane.url}" in log.read_text()


@pytest.mark.parametrize(
    "body",
    [
        "sys.exit('Please run az login to setup account.')",
        "print('not JSON')",
        "print('[]')",
        "import os, signal; os.kill(os.getpid(), signal.SIGKILL)",
    ],
)
def test_no_subscription_is_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, body: str
) -> None:
    clean(monkeypatch)
    put_az_on_path(tmp_path / "bin", monkeypatch, body)
    with pytest.raises(SettingInvalid, match=r"ACA_SUBSCRIPTION_ID.*az login"):
        asyncio.run(subscription_of(""))


def test_a_given_subscription_needs_no_azure_cli(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    assert asyncio.run(subscription_of(SUBSCRIPTION)) == SUBSCRIPTION
    with pytest.raises(SettingInvalid, match="There is no Azure subscription"):
        asyncio.run(subscription_of(""))


def test_no_login_says_what_was_tried_and_what_to_run(monkeypatch: pytest.MonkeyPatch) -> None:
    clean(monkeypatch, {"AZURE_TOKEN_CREDENTIALS": "dev", "PATH": "/nonexistent"})
    with pytest.raises(CredentialUnavailable) as caught:
        token("https://management.azure.com")
    message = caught.value.message
    assert "run `az login`" in message
    assert "AzureCliCredential (Azure CLI not found on path)" in message
    assert "AzureDeveloperCliCredential" in message
    assert "\n" not in message
    with pytest.raises(CredentialUnavailable, match="az cloud set --name AzureUSGovernment"):
        token("https://management.usgovcloudapi.net")


def test_an_azure_cli_without_login_is_one_of_the_ways(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clean(monkeypatch, CLI_ONLY)
    secret = "eyJhbGciOi.eyJhdWQi.c2lnbmF0dXJl"
    body = f"sys.exit('ERROR: AADSTS70043: The refresh token {secret} has expired.')"
    put_az_on_path(tmp_path / "bin", monkeypatch, body)
    with pytest.raises((CredentialUnavailable, AccessDenied)) as caught:
        token("https://management.azure.com")
    assert "az login" in caught.value.message
    assert "AADSTS70043" in caught.value.message
    assert secret not in caught.value.message


def test_a_service_principal_that_is_refused_is_named_without_its_secret(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    guid = "11111111-1111-1111-1111-111111111111"
    env = {
        "AZURE_TENANT_ID": guid,
        "AZURE_CLIENT_ID": guid,
        "AZURE_CLIENT_SECRET": "a-client-secret",
        # Nobody listens there.
        "AZURE_AUTHORITY_HOST": "https://127.0.0.1:9",
    }
    clean(monkeypatch, env)
    with pytest.raises(AccessDenied) as caught:
        token("https://management.azure.com")
    assert "EnvironmentCredential" in caught.value.message
    assert "a-client-secret" not in caught.value.message


@pytest.mark.parametrize(
    "env",
    [{"AZURE_AUTHORITY_HOST": "http://login.example"}, {"AZURE_TOKEN_CREDENTIALS": "nonsense"}],
)
def test_variables_that_azure_identity_cannot_use_are_one_sentence(
    monkeypatch: pytest.MonkeyPatch, env: dict[str, str]
) -> None:
    clean(monkeypatch, env)
    with pytest.raises(SettingInvalid, match="AZURE_"):
        token("https://management.azure.com")


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ("AzureCliCredential authentication unavailable. Not here. More.", "Not here"),
        ("Key 0123456789abcdef0123456789abcdef is bad", "Key … is bad"),
        ("token eyJ0eXAi.eyJhdWQi.c2ln", "token …"),
        (f"Subscription {SUBSCRIPTION} is unknown", f"Subscription {SUBSCRIPTION} is unknown"),
        ("x " * 100, "x " * 59 + "x…"),
    ],
)
def test_reasons_are_short_and_hold_no_secret(said: str, told: str) -> None:
    assert _reason(said) == told


def test_a_configured_secret_is_hidden_however_short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AZURE_CLIENT_SECRET", "hush")
    assert _reason("Invalid client secret hush given") == "Invalid client secret … given"


def test_tokens_do_not_show_what_they_hold() -> None:
    tokens = Tokens(cloud_at("https://management.azure.com"))
    tokens._token = "eyJ-a-token"
    assert "eyJ" not in repr(tokens)


def test_azure_identity_is_imported_with_the_first_token_only() -> None:
    code = (
        "import sys, aca_kernel.pool.azure.azure_backend, aca_kernel.cli.pool.create\n"
        "print([name for name in sys.modules if name.startswith(('azure.', 'msal', 'httpx'))])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
