"""The tutorial's `az rest` lines, run by the Azure CLI itself; opt-in, see CONTRIBUTING.md."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from .support import ControlPlane

AZ = os.environ.get("ACA_TEST_AZURE_CLI", "")
pytestmark = pytest.mark.skipif(not AZ, reason="ACA_TEST_AZURE_CLI names no Azure CLI")

Az = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def az_rest(control_plane: ControlPlane, tmp_path: Path) -> Az:
    """Run `az rest` on a path, as the tutorial does but for the address and the login."""

    def run(method: str, path: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        command = [AZ, "rest", "--method", method, "--uri", control_plane.url + path]
        command += ["--uri-parameters", f"api-version={control_plane.API_VERSION}"]
        command += ["--skip-authorization-header"]
        command += ["--headers", f"Authorization=Bearer {control_plane.token()}"]
        return subprocess.run(
            [*command, *arguments],
            env={
                **os.environ,
                "AZURE_CONFIG_DIR": str(tmp_path / "azure"),
                "AZURE_CORE_COLLECT_TELEMETRY": "false",
                "NO_PROXY": "127.0.0.1",
            },
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    return run


def test_the_tutorials_lines(az_rest: Az, control_plane: ControlPlane) -> None:
    arm = control_plane
    query = ("--query", "properties.mcpServerSettings.mcpServerEndpoint", "-o", "tsv")
    endpoint = az_rest("GET", arm.pool_path(), *query)
    assert endpoint.returncode == 0, endpoint.stderr
    assert endpoint.stdout.strip() == f"{arm.url}{arm.group_path}/sessionPools/local/mcp"
    path = arm.pool_path() + "/fetchMCPServerCredentials"
    key = az_rest("POST", path, "--query", "apiKey", "-o", "tsv")
    assert key.stdout.strip() == arm.pool.api_key


def test_a_pool_is_created_and_deleted(az_rest: Az, control_plane: ControlPlane) -> None:
    arm = control_plane
    body = {
        "location": "eastus",
        "properties": {
            "containerType": "PythonLTS",
            "mcpServerSettings": {"isMCPServerEnabled": True},
        },
    }
    created = az_rest("PUT", arm.pool_path("by-az"), "--body", json.dumps(body))
    assert json.loads(created.stdout)["properties"]["provisioningState"] == "InProgress"
    assert az_rest("DELETE", arm.pool_path("by-az")).returncode == 0


def test_the_cli_understands_our_errors(az_rest: Az, control_plane: ControlPlane) -> None:
    refused = az_rest("GET", control_plane.pool_path("missing"))
    assert refused.returncode != 0
    assert "ResourceNotFound" in refused.stderr
