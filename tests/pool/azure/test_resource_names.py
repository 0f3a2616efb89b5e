"""Names, addresses and options are checked before anything is sent."""

from __future__ import annotations

import json

import pytest

from aca_kernel.errors import AcaKernelError, RemoteProtocolError, SettingInvalid
from aca_kernel.pool.azure import resource_names
from aca_kernel.pool.azure.clouds import cloud_at
from aca_kernel.pool.azure.shapes import (
    PoolChoices,
    changed_pool,
    deployment_template,
    key_from,
    new_pool,
    pool_from,
)
from aca_kernel.pool.embedded_process import is_pool_likely
from aca_kernel.settings import AcaKernel

from .support import SUBSCRIPTION, clean


@pytest.fixture(autouse=True)
def _clean(monkeypatch: pytest.MonkeyPatch) -> None:
    clean(monkeypatch)


@pytest.mark.parametrize("given", ["", "west", SUBSCRIPTION[:-1], SUBSCRIPTION + "/..", "0" * 36])
def test_what_is_no_subscription_is_refused(given: str) -> None:
    with pytest.raises(SettingInvalid, match="az account list"):
        resource_names.check_subscription(given)


@pytest.mark.parametrize("given", ["", "a/b", "a b", "ends.", "x" * 91, "a?b", "../up"])
def test_what_is_no_resource_group_is_refused(given: str) -> None:
    with pytest.raises(SettingInvalid, match="1 to 90"):
        resource_names.check_resource_group(given)


@pytest.mark.parametrize("given", ["", "ab", "1st", "West", "a--b", "end-", "x" * 64, "a/b", "a.b"])
def test_what_is_no_pool_is_refused(given: str) -> None:
    with pytest.raises(SettingInvalid, match="3 to 63"):
        resource_names.check_pool(given)


def test_names_that_azure_takes_are_taken() -> None:
    assert resource_names.check_subscription(f" {SUBSCRIPTION} ") == SUBSCRIPTION
    assert resource_names.check_resource_group("My_Group.(1)-ü") == "My_Group.(1)-ü"
    assert resource_names.check_pool("west-2") == "west-2"
    assert resource_names.check_location("West US 2") == "westus2"
    with pytest.raises(SettingInvalid, match="list-locations"):
        resource_names.check_location("east/us")


def test_the_ids_are_resource_managers_paths() -> None:
    pool = resource_names.pool_id(SUBSCRIPTION, "rg", "west")
    assert pool.path == (
        f"/subscriptions/{SUBSCRIPTION}/resourceGroups/rg/providers/Microsoft.App/sessionPools/west"
    )


@pytest.mark.parametrize(
    ("endpoint", "authority", "cli_name"),
    [
        ("https://management.azure.com/", "login.microsoftonline.com", None),
        (
            "https://management.usgovcloudapi.net",
            "login.microsoftonline.us",
            "AzureUSGovernment",
        ),
        ("https://management.chinacloudapi.cn", "login.chinacloudapi.cn", "AzureChinaCloud"),
        ("https://arm.example.org/base/", None, None),
        ("http://localhost:8931", None, None),
    ],
)
def test_a_cloud_follows_from_its_resource_manager(
    endpoint: str, authority: str | None, cli_name: str | None
) -> None:
    cloud = cloud_at(endpoint)
    assert (cloud.authority, cloud.cli_name) == (authority, cli_name)
    # The token is for this Resource Manager only, never for the real one.
    assert cloud.scope == endpoint.rstrip("/") + "/.default"


def test_the_authority_of_the_environment_counts_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AZURE_AUTHORITY_HOST", "https://login.microsoftonline.us")
    assert cloud_at("https://management.chinacloudapi.cn").authority is None


@pytest.mark.parametrize(
    "endpoint",
    ["", "management.azure.com", "ftp://x", "https://", "http://[", "https://x:y", "https://x?a=b"],
)
def test_what_is_no_resource_manager_is_refused(endpoint: str) -> None:
    with pytest.raises(SettingInvalid, match="ACA_ARM_ENDPOINT"):
        cloud_at(endpoint)


def test_a_token_is_not_sent_in_the_clear() -> None:
    with pytest.raises(SettingInvalid, match="plain http"):
        cloud_at("http://arm.example.org")
    assert cloud_at("http://arm.example.org", allow_plain_http=True)


@pytest.mark.parametrize(
    "options",
    [{"max_sessions": 0}, {"cooldown_seconds": 299}, {"cooldown_seconds": 3601}, {"egress": "off"}],
)
def test_options_that_the_service_would_refuse_are_refused(options: dict) -> None:
    with pytest.raises(SettingInvalid):
        PoolChoices(**options)


# -- shapes ------------------------------------------------------------------------


def resource(**properties: object) -> dict:
    path = resource_names.pool_id(SUBSCRIPTION, "rg", "west").path
    return {"id": path, "name": "west", "location": "East US", "properties": properties}


ENDPOINT = "https://pool.example/mcp"


@pytest.mark.parametrize(
    ("mcp", "is_enabled"),
    [
        ({"isMCPServerEnabled": True, "mcpServerEndpoint": ENDPOINT}, True),
        ({"isMcpServerEnabled": True, "mcpServerEndpoint": ENDPOINT}, True),
        ({"isMCPServerEnabled": False, "mcpServerEndpoint": ENDPOINT}, False),
        ({"isMCPServerEnabled": True}, False),
        (None, False),
    ],
)
def test_both_spellings_and_null_of_the_mcp_settings(mcp: object, is_enabled: bool) -> None:
    assert pool_from(resource(mcpServerSettings=mcp)).is_mcp_enabled is is_enabled


@pytest.mark.parametrize(
    "configuration",
    [
        {"lifecycleConfiguration": {"coolDownPeriodInSeconds": 600}},
        {"lifecycleConfiguration": {"cooldownPeriodInSeconds": 600}},
        {"cooldownPeriodInSeconds": 600},
    ],
)
def test_every_place_and_spelling_of_the_cooldown(configuration: dict) -> None:
    assert pool_from(resource(dynamicPoolConfiguration=configuration)).cooldown_seconds == 600


def test_a_pool_about_which_nothing_is_said() -> None:
    pool = pool_from(resource())
    assert (pool.max_sessions, pool.cooldown_seconds, pool.egress) == (None, None, None)
    with pytest.raises(RemoteProtocolError):
        pool_from({"message": "not a pool"})


@pytest.mark.parametrize("answer", [{}, {"apiKey": ""}, {"apiKey": 7}, {"key": "secret-key"}])
def test_an_answer_without_a_key_is_not_repeated(answer: dict) -> None:
    with pytest.raises(RemoteProtocolError) as caught:
        key_from(answer)
    assert "secret-key" not in str(caught.value)


def test_a_change_leaves_what_is_not_chosen() -> None:
    before = resource(
        provisioningState="Succeeded",
        containerType="PythonLTS",
        scaleConfiguration={"maxConcurrentSessions": 5, "readySessionInstances": 2},
        sessionNetworkConfiguration={"status": "EgressDisabled"},
        mcpServerSettings={"isMcpServerEnabled": True, "mcpServerEndpoint": ENDPOINT},
    ) | {"tags": {"team": "a"}}
    body = changed_pool(before, PoolChoices(max_sessions=9))
    assert body["tags"] == {"team": "a"}
    assert body["properties"] == {
        "containerType": "PythonLTS",
        "scaleConfiguration": {"maxConcurrentSessions": 9, "readySessionInstances": 2},
        "sessionNetworkConfiguration": {"status": "EgressDisabled"},
        # By the name that the service has for it.
        "mcpServerSettings": {"isMcpServerEnabled": True},
    }


def test_the_template_is_the_tutorials_with_parameters() -> None:
    template = deployment_template("west", None, PoolChoices(cooldown_seconds=600))
    (pool,) = template["resources"]
    assert pool["type"] == "Microsoft.App/sessionPools"
    assert pool["apiVersion"] == "2025-02-02-preview"
    assert template["parameters"]["name"]["defaultValue"] == "west"
    assert "defaultValue" not in template["parameters"]["location"]
    assert template["parameters"]["coolDownPeriodInSeconds"]["defaultValue"] == 600
    # With its parameters filled in it is what `pool create` sends.
    text = json.dumps(pool["properties"])
    for name, parameter in template["parameters"].items():
        text = text.replace(
            f"\"[parameters('{name}')]\"", json.dumps(parameter.get("defaultValue"))
        )
    assert json.loads(text) == new_pool("eastus", PoolChoices(cooldown_seconds=600))["properties"]


# -- which place counts ------------------------------------------------------------

ENV_ENDPOINT = {"ACA_MCP_ENDPOINT": ENDPOINT}
ENV_POOL = {"ACA_SESSION_POOL": "west", "ACA_RESOURCE_GROUP": "rg"}


@pytest.mark.parametrize(
    ("given", "env", "place"),
    [
        ({}, {}, "embedded"),
        ({}, ENV_ENDPOINT, "endpoint"),
        ({}, ENV_POOL, "azure"),
        ({}, {**ENV_ENDPOINT, **ENV_POOL}, "endpoint"),
        ({"session_pool": "west"}, {}, "azure"),
        # Who chooses the kernel of one pool must not get another.
        ({"session_pool": "west"}, ENV_ENDPOINT, "azure"),
        ({"session_pool": "west", "endpoint": ENDPOINT}, {}, "endpoint"),
        ({"session_pool": "west", "endpoint": ""}, ENV_ENDPOINT, "azure"),
        ({"endpoint": ""}, {**ENV_ENDPOINT, **ENV_POOL}, "embedded"),
        ({"session_pool": ""}, ENV_ENDPOINT, "endpoint"),
        # Half a name: the kernel says what is missing.
        ({"resource_group": "rg"}, {}, "azure"),
        ({}, {"ACA_RESOURCE_GROUP": "rg"}, "azure"),
        # A subscription alone is an account, not a wish.
        ({}, {"ACA_SUBSCRIPTION_ID": SUBSCRIPTION}, "embedded"),
    ],
)
def test_the_most_explicit_place_counts(
    given: dict, env: dict, place: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in env.items():
        monkeypatch.setenv(name, value)
    settings = AcaKernel(**given)
    assert settings.place == place
    # Reading a setting does not change what counts.
    assert settings.session_pool is not None
    assert settings.place == place


def test_no_embedded_pool_is_started_early_for_a_pool_in_azure(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert is_pool_likely(["-f", "connection.json", "--AcaKernel.pool_full_timeout_seconds=5"])
    assert not is_pool_likely(["--AcaKernel.session_pool=west"])
    assert not is_pool_likely(["--pool=west"])
    monkeypatch.setenv("ACA_SESSION_POOL", "west")
    assert not is_pool_likely([])


def test_every_sentence_ends_as_one() -> None:
    for check, bad in [
        (resource_names.check_subscription, "x"),
        (resource_names.check_resource_group, ""),
        (resource_names.check_pool, ""),
        (resource_names.check_location, ""),
        (cloud_at, ""),
    ]:
        with pytest.raises(AcaKernelError) as caught:
            check(bad)
        assert caught.value.message.endswith(".")
        assert "\n" not in caught.value.message
