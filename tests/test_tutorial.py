# ruff: noqa: E501  the tutorial's own lines
"""Azure's tutorial on MCP with dynamic sessions, from an empty subscription to the clean-up.

Once by its own commands: az lines by the HTTP requests that they are (`test_azure_cli.py` has
some by the Azure CLI itself), curl lines as they stand in the tutorial, in bash. Once by ours
for the same steps. Then what the two ways make is compared. Names and the location are ours,
`$VARIABLES` as there.

Source: https://learn.microsoft.com/azure/container-apps/sessions-tutorial-python-mcp
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from .support import ControlPlane, eventually, running_control_plane, running_kernel

ACA_KERNEL = str(Path(sys.executable).with_name("aca-kernel"))
GROUP = "tutorial"
POOL = "tutorial-pool"
LOCATION = "eastus"
DEPLOYMENTS = "2024-11-01"

# The file deploy.json of "Create a Python session pool with MCP server".
DEPLOY_JSON: dict[str, Any] = {
    "$schema": "https://schema.management.azure.com/schemas/2019-04-01/deploymentTemplate.json#",
    "contentVersion": "1.0.0.0",
    "parameters": {"name": {"type": "String"}, "location": {"type": "String"}},
    "resources": [
        {
            "type": "Microsoft.App/sessionPools",
            "apiVersion": "2025-02-02-preview",
            "name": "[parameters('name')]",
            "location": "[parameters('location')]",
            "properties": {
                "poolManagementType": "Dynamic",
                "containerType": "PythonLTS",
                "scaleConfiguration": {"maxConcurrentSessions": 5},
                "sessionNetworkConfiguration": {"status": "EgressEnabled"},
                "dynamicPoolConfiguration": {
                    "lifecycleConfiguration": {
                        "lifecycleType": "Timed",
                        "coolDownPeriodInSeconds": 300,
                    }
                },
                "mcpServerSettings": {"isMCPServerEnabled": True},
            },
        }
    ],
}

INITIALIZE = r"""
curl -sS -X POST "$MCP_ENDPOINT" \
    -H "Content-Type: application/json" \
    -H "x-ms-apikey: $API_KEY" \
    -d '{ "jsonrpc": "2.0", "id": "1", "method": "initialize" }'
"""

LAUNCH = r"""
ENVIRONMENT_RESPONSE=$(curl -sS -X POST "$MCP_ENDPOINT" \
    -H "Content-Type: application/json" \
    -H "x-ms-apikey: $API_KEY" \
    -d '{ "jsonrpc": "2.0", "id": "2", "method": "tools/call", "params": { "name": "launchPythonEnvironment", "arguments": {} } }')

echo $ENVIRONMENT_RESPONSE
"""

EXTRACT = r"""
ENVIRONMENT_ID=$(echo $ENVIRONMENT_RESPONSE | jq -r '.result.structuredContent.environmentId')
echo $ENVIRONMENT_ID
"""

RUN = r"""
curl -sS -X POST "$MCP_ENDPOINT" \
    -H "Content-Type: application/json" \
    -H "x-ms-apikey: $API_KEY" \
    -d '{
        "jsonrpc": "2.0",
        "id": "3",
        "method": "tools/call",
        "params": {
            "name": "runPythonCodeInRemoteEnvironment",
            "arguments": {
                "environmentId": "'"$ENVIRONMENT_ID"'",
                "pythonCode": "import sys; print(f\"Python {sys.version}\")"
            }
        }
    }'
"""

RUN_MORE = r"""
curl -sS -X POST "$MCP_ENDPOINT" \
    -H "Content-Type: application/json" \
    -H "x-ms-apikey: $API_KEY" \
    -d '{
        "jsonrpc": "2.0",
        "id": "4",
        "method": "tools/call",
        "params": {
            "name": "runPythonCodeInRemoteEnvironment",
            "arguments": {
                "environmentId": "'"$ENVIRONMENT_ID"'",
                "pythonCode": "import math\nresults = {n: math.factorial(n) for n in range(1, 11)}\nfor k, v in results.items():\n    print(f\"{k}! = {v}\")"
            }
        }
    }'
"""
FACTORIALS = """\
import math
results = {n: math.factorial(n) for n in range(1, 11)}
for k, v in results.items():
    print(f"{k}! = {v}")
"""


@pytest.fixture
def arm(monkeypatch: pytest.MonkeyPatch) -> Iterator[ControlPlane]:
    """A subscription that has not used Container Apps before, found by its variables."""
    with running_control_plane(quirks=["provider_not_registered"]) as one:
        for name in ("ACA_MCP_ENDPOINT", "ACA_MCP_API_KEY"):
            monkeypatch.delenv(name, raising=False)
        for name, value in one.env.items():
            monkeypatch.setenv(name, value)
        monkeypatch.setenv("NO_PROXY", "127.0.0.1")
        yield one


def paths(arm: ControlPlane) -> tuple[str, str, str]:
    """Return the paths of the subscription, of the tutorial's resource group and of its pool."""
    subscription = f"/subscriptions/{arm.env['ACA_SUBSCRIPTION_ID']}"
    group = f"{subscription}/resourceGroups/{GROUP}"
    return subscription, group, f"{group}/providers/Microsoft.App/sessionPools/{POOL}"


def deploy(arm: ControlPlane, template: dict[str, Any]) -> None:
    """az deployment group create --template-file … --parameters name=… location=…"""
    _, group, _ = paths(arm)
    body = {
        "properties": {
            "mode": "Incremental",
            "template": template,
            "parameters": {"name": {"value": POOL}, "location": {"value": LOCATION}},
        }
    }
    path = f"{group}/providers/Microsoft.Resources/deployments/deploy"
    answer = arm.request("PUT", path, body, api_version=DEPLOYMENTS)
    assert answer.status_code in (200, 201), answer.text
    assert arm.wait_for(answer).json()["status"] == "Succeeded"


def set_up(arm: ControlPlane) -> None:
    """az provider register --namespace Microsoft.App; az group create."""
    subscription, group, _ = paths(arm)
    provider = f"{subscription}/providers/Microsoft.App"
    assert arm.request("POST", f"{provider}/register").status_code == 200
    assert eventually(
        lambda: arm.request("GET", provider).json()["registrationState"] == "Registered"
    )
    assert arm.request("PUT", group, {"location": LOCATION}).status_code == 201


def ours(*arguments: str) -> str:
    """Run `aca-kernel` with these arguments and return what it prints."""
    done = subprocess.run(
        [ACA_KERNEL, *arguments], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.skipif(
    not (shutil.which("bash") and shutil.which("curl") and shutil.which("jq")),
    reason="the tutorial's commands need bash, curl and jq",
)
def test_by_the_tutorials_commands(arm: ControlPlane) -> None:
    _, group, pool = paths(arm)

    # Setup
    set_up(arm)

    # Create a Python session pool with MCP server
    deploy(arm, DEPLOY_JSON)

    # Get the MCP server endpoint: az rest --method GET --query properties.mcpServerSettings...
    found = arm.request("GET", pool).json()
    endpoint = found["properties"]["mcpServerSettings"]["mcpServerEndpoint"]

    # Get MCP server credentials: az rest --method POST --query apiKey
    key = arm.request("POST", pool + "/fetchMCPServerCredentials").json()["apiKey"]

    # Initialize the MCP server, Launch a Python environment, Execute Python commands
    steps = "\necho\n".join((INITIALIZE, LAUNCH + EXTRACT, RUN, RUN_MORE))
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", steps],
        env={**os.environ, "MCP_ENDPOINT": endpoint, "API_KEY": key},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    answers = [line for line in done.stdout.splitlines() if line]
    initialized, launched, environment_id, version, factorials = answers
    initialized = json.loads(initialized)["result"]
    assert initialized["protocolVersion"] == "2025-03-26"
    assert initialized["serverInfo"]["name"] == "Microsoft Container Apps MCP Server"
    assert initialized["capabilities"]["tools"] == {"call": True, "list": True}
    assert json.loads(launched)["result"]["structuredContent"]["environmentId"] == environment_id
    version = json.loads(version)
    assert version["id"] == "3"
    assert version["result"]["structuredContent"]["stdout"] == f"Python {sys.version}\n"
    lines = json.loads(factorials)["result"]["structuredContent"]["stdout"].splitlines()
    assert (lines[0], lines[9]) == ("1! = 1", "10! = 3628800")

    # Clean up resources: az group delete
    deleted = arm.request("DELETE", group)
    assert deleted.status_code == 202
    assert arm.wait_for(deleted).status_code == 200
    assert arm.request("HEAD", group).status_code == 404


def test_by_our_commands(arm: ControlPlane, tmp_path: Path) -> None:
    _, group, pool = paths(arm)
    place = ("--resource-group", GROUP)
    named = (*place, "--name", POOL)

    # Setup, and Create a Python session pool with MCP server
    printed = ours("pool", "create", *named, "--location", LOCATION)

    # Get the MCP server endpoint
    shown = json.loads(ours("pool", "show", *named, "--json"))
    assert shown["mcp_endpoint"] == f"{arm.url}{group}/sessionPools/{POOL}/mcp"
    assert shown["mcp_endpoint"] in printed

    # Get MCP server credentials, to Execute Python commands: a kernel does all of it
    with running_kernel({"ACA_RESOURCE_GROUP": GROUP, "ACA_SESSION_POOL": POOL}) as client:
        version = client.run("import sys; print(f'Python {sys.version}')")
        assert version.text == f"Python {sys.version}\n"
        factorials = client.run(FACTORIALS).text.splitlines()
        assert (factorials[0], factorials[9]) == ("1! = 1", "10! = 3628800")

    # Connect to GitHub Copilot in VS Code: the tutorial's file, then with VS Code asking
    pool_place = (*place, "--pool", POOL)
    ours("mcp-config", *pool_place, "--write", str(tmp_path / "mcp.json"), "--embed-key")
    key = arm.request("POST", pool + "/fetchMCPServerCredentials").json()["apiKey"]
    server = {
        "type": "http",
        "url": shown["mcp_endpoint"],
        "headers": {"x-ms-apikey": key},
    }
    assert json.loads((tmp_path / "mcp.json").read_text()) == {
        "servers": {"aca-python-sessions": server}
    }
    asking = json.loads(ours("mcp-config", *pool_place))["servers"]["aca-python-sessions"]
    assert {**asking, "headers": server["headers"]} == server
    assert asking["headers"] == {"x-ms-apikey": "${input:aca_python_sessions_key}"}

    # Clean up resources
    ours("pool", "delete", *place, "--delete-resource-group", "--yes")
    assert arm.request("HEAD", group).status_code == 404


def test_our_command_makes_the_same_pool_as_the_template(arm: ControlPlane) -> None:
    _, _, pool = paths(arm)
    set_up(arm)
    deploy(arm, DEPLOY_JSON)
    by_template = arm.request("GET", pool).json()
    arm.wait_for(arm.request("DELETE", pool))
    ours("pool", "create", "--resource-group", GROUP, "--name", POOL)
    assert arm.request("GET", pool).json() == by_template


def test_our_template_makes_the_same_pool_as_the_tutorials(arm: ControlPlane) -> None:
    _, _, pool = paths(arm)
    set_up(arm)
    deploy(arm, DEPLOY_JSON)
    by_theirs = arm.request("GET", pool).json()
    arm.wait_for(arm.request("DELETE", pool))
    deploy(arm, json.loads(ours("pool", "template")))
    assert arm.request("GET", pool).json() == by_theirs


def test_the_key_is_in_nothing_that_our_commands_print(arm: ControlPlane) -> None:
    _, _, pool = paths(arm)
    named = ("--resource-group", GROUP, "--name", POOL)
    printed = ours("pool", "create", *named, "--location", LOCATION)
    first = arm.request("POST", pool + "/fetchMCPServerCredentials").json()["apiKey"]
    printed += (
        ours("pool", "show", *named) + ours("pool", "list") + ours("pool", "rotate-key", *named)
    )
    second = arm.request("POST", pool + "/fetchMCPServerCredentials").json()["apiKey"]
    assert first != second
    assert first not in printed
    assert second not in printed
    assert arm.env["IDENTITY_HEADER"] not in printed
