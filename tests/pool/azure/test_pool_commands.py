"""`aca-kernel pool …`: what it does to the control plane, what it says, what it refuses."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sysconfig
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pexpect
import pytest

from aca_kernel.cli import main

from ...support import ControlPlane, running_control_plane
from .support import SUBSCRIPTION, clean, logged_in_az, put_az_on_path

SCRIPT = str(Path(sysconfig.get_path("scripts"), "aca-kernel"))

GROUP = ("--resource-group", "made-here")


@pytest.fixture(scope="module")
def plane() -> Iterator[ControlPlane]:
    """One control plane for the tests that leave it usable."""
    with running_control_plane() as one:
        yield one


@pytest.fixture(autouse=True)
def _environment(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    names = request.fixturenames
    clean(monkeypatch, request.getfixturevalue("plane").env if "plane" in names else None)


class Said:
    """What a command printed, and its exit status."""

    def __init__(self, status: int, out: str, err: str) -> None:
        self.status, self.out, self.err = status, out, err
        self.all = out + err


@pytest.fixture
def pool(capsys: pytest.CaptureFixture[str]) -> Any:
    """Run `aca-kernel pool` in this process."""

    def run(*arguments: str) -> Said:
        try:
            status = main(["pool", *arguments])
        except SystemExit as stopped:
            status = int(str(stopped.code))
        said = capsys.readouterr()
        # No command ever shows a token, nor a key, which are hexadecimal here.
        assert "eyJ" not in said.out + said.err
        assert not re.search(r"[0-9a-f]{40}", said.out + said.err)
        return Said(status, said.out, said.err)

    return run


def sentence(said: Said, command: str, status: int = 2) -> str:
    """Return what a refused command says, which is one line."""
    assert said.status == status, said.all
    assert said.out == ""
    assert said.err.startswith(f"aca-kernel pool {command}: ")
    assert said.err.count("\n") == 1
    return said.err


def test_from_nothing_to_a_pool_and_back(plane: ControlPlane, pool: Any) -> None:
    created = pool("create", *GROUP, "--name", "west", "--location", "West US 2")
    assert created.status == 0, created.all
    endpoint = f"{plane.url}/subscriptions/{SUBSCRIPTION}/resourceGroups/made-here"
    assert f"MCP endpoint: {endpoint}/sessionPools/west/mcp\n" in created.out
    assert (
        f"Next: aca-kernel install --user --subscription {SUBSCRIPTION} "
        "--resource-group made-here --pool west" in created.out
    )
    assert "Made the resource group made-here in westus2.\n" in created.err
    # No terminal: one line for each thing that is waited for.
    assert created.err.count("Creating the session pool west…\n") == 1
    assert "\r" not in created.err
    made = plane.request("GET", f"{plane.group_path}".replace("/local", "/made-here"))
    assert made.json()["location"] == "westus2"

    shown = pool("show", *GROUP, "--name", "west", "--json")
    assert json.loads(shown.out) == {
        "name": "west",
        "subscription": SUBSCRIPTION,
        "resource_group": "made-here",
        "location": "westus2",
        "state": "Succeeded",
        "container_type": "PythonLTS",
        "is_mcp_enabled": True,
        "is_key_disabled": False,
        "has_mcp_settings": True,
        "mcp_endpoint": f"{endpoint}/sessionPools/west/mcp",
        "max_sessions": 5,
        "cooldown_seconds": 300,
        "egress": "enabled",
    }
    assert re.search(r"^Cooldown +300 s$", pool("show", *GROUP, "-n", "west").out, re.MULTILINE)

    listed = pool("list")
    assert [line.split()[0] for line in listed.out.splitlines()] == ["NAME", "local", "west"]
    only = json.loads(pool("list", *GROUP, "--json").out)
    assert [one["name"] for one in only] == ["west"]

    assert pool("delete", *GROUP, "--name", "west", "--yes").out == (
        "Deleted the session pool west in resource group made-here.\n"
    )
    assert "There is" not in pool("list", *GROUP).out
    gone = pool("delete", *GROUP, "--delete-resource-group", "--yes")
    assert gone.out == "Deleted the resource group made-here with everything in it.\n"
    said = pool("show", *GROUP, "--name", "west")
    assert "no resource group made-here" in sentence(said, "show", 1)


def test_creating_again_changes_only_what_is_given(plane: ControlPlane, pool: Any) -> None:
    place = ("--resource-group", "local", "--name", "again")
    options = ("--max-sessions", "3", "--cooldown", "600", "--egress", "disabled")
    assert pool("create", *place, *options).status == 0
    same = pool("create", *place, *options)
    assert "exists already and was left as it is" in same.out
    assert "Changing" not in same.err
    changed = pool("create", *place, "--max-sessions", "4")
    assert "existed and was changed: max sessions 3 → 4." in changed.out
    shown = json.loads(pool("show", *place, "--json").out)
    assert (shown["max_sessions"], shown["cooldown_seconds"], shown["egress"]) == (
        4,
        600,
        "disabled",
    )
    moved = pool("create", *place, "--location", "westus")
    assert "exists in eastus and cannot be moved" in sentence(moved, "create")
    pool("delete", *place, "--yes")


def test_a_change_keeps_disabled_keys_and_says_that_they_are(
    plane: ControlPlane, pool: Any
) -> None:
    settings = {"isMCPServerEnabled": True, "isMcpServerApiKeyDisabled": True}
    properties = {"containerType": "PythonLTS", "mcpServerSettings": settings}
    body = {"location": "eastus", "tags": {"team": "west"}, "properties": properties}
    path = plane.pool_path("keyless")
    newer = "2025-10-02-preview"
    plane.wait_for(plane.request("PUT", path, body, api_version=newer))
    changed = pool("create", "--name", "keyless", "--cooldown", "900", "--egress", "disabled")
    assert changed.status == 0, changed.all
    assert "keyless has its API keys disabled" in changed.out
    assert "aca-kernel install" not in changed.out
    resource = plane.request("GET", path, api_version=newer).json()
    assert resource["tags"] == {"team": "west"}
    kept = resource["properties"]["mcpServerSettings"]
    assert kept["isMcpServerApiKeyDisabled"] is True
    shown = pool("show", "--name", "keyless")
    assert re.search(r"^API key +disabled$", shown.out, re.MULTILINE)
    assert "keyless has its API keys disabled" in shown.out
    pool("delete", "--name", "keyless", "--yes")


def test_creating_says_what_the_cooldown_means_for_the_bill(plane: ControlPlane, pool: Any) -> None:
    said = pool("create", "--name", "billed", "--cooldown", "600")
    assert "With 600 s, each pause longer than that begins another hour; a longer" in said.out
    said = pool("create", "--name", "billed", "--cooldown", "3600")
    assert "With 3600 s, each pause longer than that begins another hour. More" in said.out
    pool("delete", "--name", "billed", "--yes")


def test_a_pool_without_mcp_server_gets_one(plane: ControlPlane, pool: Any) -> None:
    body = {"location": "eastus", "properties": {"containerType": "PythonLTS"}}
    plane.wait_for(plane.request("PUT", plane.pool_path("without"), body))
    shown = pool("show", "--name", "without")
    assert "none, it is off" in shown.out
    assert "aca-kernel pool delete" in shown.out
    assert "off" in pool("list", "--resource-group", "local").out
    said = pool("rotate-key", "--name", "without")
    assert "has no MCP server" in sentence(said, "rotate-key", 1)
    assert "was changed: MCP server on." in pool("create", "--name", "without").out
    pool("delete", "--name", "without", "--yes")


def test_a_pool_of_another_kind_is_left_alone(plane: ControlPlane, pool: Any) -> None:
    body = {"location": "eastus", "properties": {"containerType": "Shell"}}
    plane.wait_for(plane.request("PUT", plane.pool_path("shell"), body))
    said = sentence(pool("create", "--name", "shell"), "create")
    assert "has the container type Shell" in said
    pool("delete", "--name", "shell", "--yes")


def test_rotating_replaces_the_key_and_shows_none(plane: ControlPlane, pool: Any) -> None:
    path = plane.pool_path() + "/fetchMCPServerCredentials"
    before = plane.request("POST", path).json()["apiKey"]
    said = pool("rotate-key")
    assert said.status == 0
    after = plane.request("POST", path).json()["apiKey"]
    assert after != before
    assert before not in said.all
    assert after not in said.all
    assert "five minutes" in said.out


def test_a_key_is_rotated_by_the_name_that_the_service_knows(
    pool: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    with running_control_plane(quirks=["rotation_as_specified"]) as plane:
        clean(monkeypatch, plane.env)
        before = plane.request("POST", f"{plane.pool_path()}/fetchMCPServerCredentials").json()
        assert pool("rotate-key").status == 0
        after = plane.request("POST", f"{plane.pool_path()}/fetchMCPServerCredentials").json()
        assert after["apiKey"] != before["apiKey"]


def test_the_template_can_be_deployed(plane: ControlPlane, pool: Any) -> None:
    said = pool("template", "--name", "made", "--max-sessions", "2", "--location", "East US")
    template = json.loads(said.out)
    path = f"{plane.group_path}/providers/Microsoft.Resources/deployments/one"
    body = {"properties": {"mode": "Incremental", "template": template, "parameters": {}}}
    answer = plane.request("PUT", path, body, api_version="2021-04-01")
    assert answer.is_success, answer.text
    assert plane.wait_for(answer).json()["status"] == "Succeeded"
    shown = json.loads(pool("show", "--name", "made", "--json").out)
    assert (shown["is_mcp_enabled"], shown["max_sessions"]) == (True, 2)
    pool("delete", "--name", "made", "--yes")


def test_the_template_needs_no_login_and_no_names(pool: Any) -> None:
    said = pool("template")
    assert said.status == 0
    assert json.loads(said.out)["parameters"]["name"] == {"type": "String"}
    assert said.err == ""


def test_the_azure_cli_alone_is_enough(
    plane: ControlPlane, pool: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    body = logged_in_az(plane.env, tmp_path / "log")
    clean(
        monkeypatch,
        {"ACA_ARM_ENDPOINT": plane.url, "AZURE_TOKEN_CREDENTIALS": "AzureCliCredential"},
    )
    put_az_on_path(tmp_path / "bin", monkeypatch, body)
    said = pool("show", "--resource-group", "local", "--name", "local")
    assert said.status == 0, said.all
    assert re.search(rf"^Subscription +{SUBSCRIPTION}$", said.out, re.MULTILINE)


# -- asking -------------------------------------------------------------------------


def ask(env: dict[str, str], *arguments: str) -> pexpect.spawn:
    return pexpect.spawn(
        SCRIPT,
        ["pool", *arguments],
        env={**os.environ, **env},
        encoding="utf-8",
        timeout=30,
        dimensions=(24, 60),
    )


def test_deleting_asks_and_takes_no_for_an_answer(plane: ControlPlane, pool: Any) -> None:
    pool("create", "--name", "asked")
    for answer in ("n", "", "what?"):
        child = ask(plane.env, "delete", "--name", "asked")
        child.expect_exact("Delete the session pool asked in resource group local")
        child.expect_exact("[y/N] ")
        child.sendline(answer)
        child.expect_exact("Nothing was deleted.")
        child.expect(pexpect.EOF)
        child.close()
        assert child.exitstatus == 1
    child = ask(plane.env, "delete", "--name", "asked")
    child.expect_exact("[y/N] ")
    child.sendline("y")
    # A line that changes, on a terminal.
    child.expect(r"\r\x1b\[2KDeleting the session pool asked… \d+ s")
    child.expect_exact("Deleted the session pool asked in resource group local.")
    child.expect(pexpect.EOF)
    child.close()
    assert child.exitstatus == 0


def test_deleting_a_group_names_it(plane: ControlPlane, pool: Any) -> None:
    pool("create", *GROUP, "--name", "west", "--location", "eastus")
    child = ask(plane.env, "delete", *GROUP, "--delete-resource-group")
    child.expect_exact(f"Delete the resource group made-here of subscription {SUBSCRIPTION}")
    child.expect_exact("[y/N] ")
    child.sendcontrol("d")
    child.expect_exact("Nothing was deleted.")
    child.expect(pexpect.EOF)
    child.close()
    assert child.exitstatus == 1
    assert "west" in pool("list", *GROUP).out
    pool("delete", *GROUP, "--delete-resource-group", "--yes")


def test_without_a_terminal_nothing_is_deleted_unasked(plane: ControlPlane) -> None:
    done = subprocess.run(
        [SCRIPT, "pool", "delete"],
        check=False,
        env={**os.environ, **plane.env},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 2
    assert done.stderr == (
        "aca-kernel pool delete: Nobody can be asked here, so nothing is deleted: add --yes.\n"
    )
    assert plane.request("GET", plane.pool_path()).status_code == 200


# -- what the service may do --------------------------------------------------------


def test_the_provider_is_registered_first(pool: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    with running_control_plane(quirks=["provider_not_registered"]) as plane:
        clean(monkeypatch, plane.env)
        said = pool("create", "--name", "west")
        assert said.status == 0, said.all
        assert "Registered Microsoft.App for the subscription.\n" in said.err


def test_the_feature_is_registered_before_a_pool_is_created(
    pool: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    with running_control_plane(quirks=["feature_not_registered"]) as plane:
        clean(monkeypatch, plane.env)
        said = pool("create", "--name", "west")
        assert said.status == 0, said.all
        registered = "Registered the feature Microsoft.App/SessionPoolsSupportMCP"
        assert f"{registered} for the subscription.\n" in said.err
        assert "MCP endpoint: http" in said.out
        assert registered not in pool("create", "--name", "east").err


@pytest.mark.parametrize(
    ("quirk", "words"),
    [
        ("mcp_settings_null", "has not switched on its MCP server"),
        ("provisioning_fails", "Creating the session pool west failed in Azure"),
        ("no_role", "lacks the role 'Contributor' on subscription"),
        (
            "reader_role",
            "lacks the role 'Container Apps SessionPools Contributor' on resource group local",
        ),
    ],
)
def test_a_creation_that_cannot_be_says_why(
    pool: Any, monkeypatch: pytest.MonkeyPatch, quirk: str, words: str
) -> None:
    with running_control_plane(quirks=[quirk]) as plane:
        clean(monkeypatch, plane.env)
        said = pool("create", "--name", "west")
        assert said.status == 1
        assert said.out == ""
        assert words in said.err.splitlines()[-1]
        assert "Traceback" not in said.err


@pytest.mark.parametrize("quirk", ["mcp_settings_casing", "arm_throttles"])
def test_what_can_be_got_along_with(pool: Any, monkeypatch: pytest.MonkeyPatch, quirk: str) -> None:
    with running_control_plane(quirks=[quirk]) as plane:
        clean(monkeypatch, plane.env)
        said = pool("create", "--name", "west")
        assert said.status == 0, said.all
        assert "MCP endpoint: http" in said.out


def test_a_creation_that_takes_too_long_is_left_to_azure(
    pool: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    with running_control_plane(operation_seconds=60) as plane:
        clean(monkeypatch, plane.env)
        said = pool("create", "--name", "west", "--timeout-seconds", "1")
        assert said.status == 1
        assert "aca-kernel pool show" in said.err.splitlines()[-1]


# -- bad input ----------------------------------------------------------------------

WITH_POOL = ["create", "show", "delete", "rotate-key"]


@pytest.mark.parametrize("command", WITH_POOL)
def test_what_is_missing_is_said_before_anything_is_sent(pool: Any, command: str) -> None:
    assert "--resource-group" in sentence(pool(command, "--name", "west"), command)
    assert "--name" in sentence(pool(command, "--resource-group", "rg"), command)


@pytest.mark.parametrize("command", ["create", "delete"])
@pytest.mark.parametrize("seconds", ["-1", "0", "nan", "x"])
def test_a_time_that_is_none_is_said_before_anything_is_sent(
    pool: Any, command: str, seconds: str
) -> None:
    words = (command, "-g", "rg", "--name", "west", f"--timeout-seconds={seconds}")
    assert "--timeout-seconds" in sentence(pool(*words), command)


WRONG_PLACES = [
    ("--subscription", "west", "not a subscription's id"),
    ("--resource-group", "a/b", "not a resource group's name"),
    ("--arm-endpoint", "http://arm.example", "plain http"),
    ("--arm-endpoint", "nowhere", "not a web address"),
]


@pytest.mark.parametrize(
    ("command", "option", "value", "words"),
    [
        (command, *wrong)
        for command in (*WITH_POOL, "list", "template")
        for wrong in WRONG_PLACES
        # `template` sends nothing anywhere.
        if (command, wrong[0]) != ("template", "--arm-endpoint")
    ],
)
def test_a_wrong_place_is_one_sentence(
    pool: Any, command: str, option: str, value: str, words: str
) -> None:
    place = [] if command == "list" else ["--resource-group", "rg", "--name", "west"]
    yes = ["--yes"] if command == "delete" else []
    assert words in sentence(pool(command, *place, *yes, option, value), command)


@pytest.mark.parametrize("command", [*WITH_POOL, "template"])
def test_a_wrong_name_is_one_sentence(pool: Any, command: str) -> None:
    said = pool(command, "--resource-group", "rg", "--name", "Not_A_Pool")
    assert "not a session pool's name" in sentence(said, command)


@pytest.mark.parametrize("command", ["create", "template"])
@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--cooldown", "299"], "300 to 3600"),
        (["--cooldown", "soon"], "invalid int value"),
        (["--max-sessions", "0"], "1 or more"),
        (["--egress", "maybe"], "invalid choice"),
        (["--location", "east/us"], "not a location"),
    ],
)
def test_wrong_options_are_one_sentence(
    pool: Any, command: str, arguments: list[str], words: str
) -> None:
    said = pool(command, "--resource-group", "rg", "--name", "west", *arguments)
    assert words in sentence(said, command)


@pytest.mark.parametrize("command", [*WITH_POOL, "list"])
def test_no_login_is_one_sentence(pool: Any, command: str, monkeypatch: pytest.MonkeyPatch) -> None:
    place = ["--subscription", SUBSCRIPTION]
    place += [] if command == "list" else ["--resource-group", "rg", "--name", "west"]
    place += ["--yes"] if command == "delete" else []
    monkeypatch.setenv("AZURE_TOKEN_CREDENTIALS", "AzureCliCredential")
    monkeypatch.setenv("PATH", "/nonexistent")
    said = sentence(pool(command, *place), command, 1)
    assert "az login" in said
    assert "Azure CLI not found on path" in said


def test_a_group_that_has_to_be_made_needs_a_location(plane: ControlPlane, pool: Any) -> None:
    said = sentence(pool("create", *GROUP, "--name", "west"), "create")
    assert "--location" in said
    assert plane.request("GET", plane.group_path.replace("/local", "/made-here")).status_code == 404


@pytest.mark.parametrize("command", ["show", "delete", "rotate-key"])
def test_a_pool_that_is_not_there_is_one_sentence(
    plane: ControlPlane, pool: Any, command: str
) -> None:
    yes = ["--yes"] if command == "delete" else []
    said = pool(command, "--resource-group", "local", "--name", "nowhere", *yes)
    assert "no session pool nowhere in resource group local" in sentence(said, command, 1)


def test_another_subscription_is_one_sentence(plane: ControlPlane, pool: Any) -> None:
    other = "33333333-3333-3333-3333-333333333333"
    said = pool("list", "--subscription", other)
    assert "no such subscription" in sentence(said, "list", 1)


def test_a_pool_that_is_being_made_is_waited_for(
    pool: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    with running_control_plane(operation_seconds=2) as plane:
        clean(monkeypatch, plane.env)
        body = plane.request("GET", plane.pool_path()).json()
        plane.request("PUT", plane.pool_path("west"), body).raise_for_status()
        assert "State           InProgress" in pool("show", "--name", "west").out
        said = pool("create", "--name", "west")
        assert said.status == 0, said.all
        assert "Waiting for the session pool west…\n" in said.err
        assert "exists already and was left as it is" in said.out
