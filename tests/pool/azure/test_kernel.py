"""A kernel that knows its pool by its name: started from a kernelspec, as a front end does."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from jupyter_client.kernelspec import KernelSpecManager

from aca_kernel.cli import main

from ...support import (
    Client,
    ControlPlane,
    eventually,
    local_http,
    running_control_plane,
    running_kernel,
)
from .support import clean, logged_in_az, put_az_on_path


@pytest.fixture(scope="module")
def control_plane() -> Iterator[ControlPlane]:
    """A control plane for the tests that change nothing in it but the key."""
    with running_control_plane(max_concurrent_sessions=50) as one:
        yield one


@pytest.fixture(autouse=True)
def _own_jupyter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clean(monkeypatch)
    monkeypatch.setenv("JUPYTER_DATA_DIR", str(tmp_path / "jupyter"))


def install(plane: ControlPlane, *arguments: str) -> str:
    """Make a kernelspec by the command that `pool create` ends with; return its name."""
    env = plane.env
    place = ["--arm-endpoint", plane.url, "--subscription", env["ACA_SUBSCRIPTION_ID"]]
    place += ["--resource-group", env["ACA_RESOURCE_GROUP"], "--pool", env["ACA_SESSION_POOL"]]
    assert main(["install", "--user", *place, *arguments]) == 0
    return "aca-" + env["ACA_SESSION_POOL"]


def login(plane: ControlPlane) -> dict[str, str]:
    """What the environment of a kernel needs besides its kernelspec."""
    return {name: value for name, value in plane.env.items() if name.startswith("IDENTITY_")}


@contextmanager
def azure_kernel(plane: ControlPlane, *arguments: str) -> Iterator[Client]:
    with running_kernel(login(plane), name=install(plane, *arguments)) as kernel:
        yield kernel


def rotate(plane: ControlPlane) -> None:
    with pytest.MonkeyPatch.context() as patch:
        clean(patch, {**plane.env, "PATH": ""})
        assert main(["pool", "rotate-key"]) == 0


def current_key(plane: ControlPlane) -> str:
    path = plane.pool_path() + "/fetchMCPServerCredentials"
    return str(plane.request("POST", path).json()["apiKey"])


def works(plane: ControlPlane, key: str) -> bool:
    """Tell whether the pool accepts a key."""
    message = {"jsonrpc": "2.0", "id": 1, "method": "tools/list"}
    answer = local_http("POST", plane.pool.endpoint, headers={"x-ms-apikey": key}, json=message)
    return answer.status_code == 200 and "result" in answer.json()


def test_a_pools_name_is_all_that_a_kernelspec_needs(control_plane: ControlPlane) -> None:
    name = install(control_plane)
    spec = KernelSpecManager().get_kernel_spec(name)
    assert spec.display_name == "Python (Azure: local)"
    key = current_key(control_plane)
    assert key not in Path(spec.resource_dir, "kernel.json").read_text()
    with running_kernel(login(control_plane), name=name) as kernel:
        assert kernel.run("6 * 7").result == "42"
        assert kernel.run("!echo shell").text.strip() == "shell"
        # Neither the key nor the way to it is in reach of the cells.
        assert key not in kernel.run("import os; print(os.environ)").text
        assert "IDENTITY" not in kernel.run("print(sorted(os.environ))").text


def test_environment_variables_name_a_pool_too(control_plane: ControlPlane) -> None:
    with running_kernel(control_plane.env) as kernel:
        assert kernel.run("6 * 7").result == "42"
        assert control_plane.pool.process.poll() is None


def test_opening_a_notebook_needs_no_login(control_plane: ControlPlane) -> None:
    name = install(control_plane)
    with running_kernel({"AZURE_TOKEN_CREDENTIALS": "AzureCliCredential"}, name=name) as kernel:
        assert kernel.ask("kernel_info_request", {})["content"]["status"] == "ok"
        error = kernel.run("1").error
        assert error is not None
        assert error["ename"] == "CredentialUnavailable"
        assert "az login" in error["evalue"]


def test_the_azure_cli_logs_a_kernel_in(
    control_plane: ControlPlane, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put_az_on_path(tmp_path / "bin", monkeypatch, logged_in_az(control_plane.env, tmp_path / "log"))
    env = {
        "AZURE_TOKEN_CREDENTIALS": "AzureCliCredential",
        "ACA_ARM_ENDPOINT": control_plane.url,
        "ACA_RESOURCE_GROUP": "local",
        "ACA_SESSION_POOL": "local",
    }
    with running_kernel(env) as kernel:
        assert kernel.run("6 * 7").result == "42"
    assert "account show" in (tmp_path / "log").read_text()


def check_rotation(plane: ControlPlane) -> None:
    with azure_kernel(plane) as kernel:
        assert kernel.run("kept = 42").status == "ok"
        old = current_key(plane)
        rotate(plane)
        assert not works(plane, old)
        cell = kernel.run("kept")
        assert cell.error is None
        assert cell.result == "42"
        # No word of it: there was nothing to wait for.
        assert cell.said == ""
        assert kernel.run("!echo still").text.strip() == "still"


def test_a_rotated_key_is_fetched_again_and_nothing_is_lost(control_plane: ControlPlane) -> None:
    check_rotation(control_plane)


def test_a_key_that_is_refused_in_a_result_is_fetched_again_too() -> None:
    with running_control_plane(quirks=["auth_error_in_200"]) as plane:
        check_rotation(plane)


def test_a_rotation_during_a_cell_does_not_end_it(control_plane: ControlPlane) -> None:
    with azure_kernel(control_plane) as kernel:
        code = "import time\nfor n in range(20):\n    print(n, flush=True); time.sleep(0.1)"
        msg_id = kernel.send(code)
        kernel.wait_for_stream(msg_id, "3")
        rotate(control_plane)
        cell = kernel.collect(msg_id)
        assert cell.error is None
        assert cell.text.endswith("19\n")


def test_a_key_that_is_not_accepted_yet_is_waited_for_visibly() -> None:
    # Long enough for a kernel that starts slowly: it fetches the key when it starts.
    with running_control_plane(key_rotation_seconds=15) as plane:
        rotate(plane)
        with azure_kernel(plane) as kernel:
            cell = kernel.run("6 * 7")
            assert cell.error is None
            assert cell.result == "42"
            waiting = "does not accept yet the API key that Azure gives for it"
            assert cell.said.count(waiting) == 1
            assert "Waiting…" in cell.said


@pytest.fixture(scope="module")
def rotated_plane() -> Iterator[ControlPlane]:
    """A control plane whose new key is not accepted."""
    with running_control_plane(key_rotation_seconds=600) as one:
        rotate(one)
        yield one


def test_a_key_that_is_never_accepted_is_one_sentence(rotated_plane: ControlPlane) -> None:
    with azure_kernel(rotated_plane, "--key-rotation-timeout-seconds=1") as kernel:
        error = kernel.run("1").error
        assert error is not None
        assert error["ename"] == "AccessDenied"
        assert "aca-kernel pool rotate-key" in error["evalue"]
        assert current_key(rotated_plane) not in str(error)


def test_a_pool_that_takes_no_key_is_one_sentence() -> None:
    with running_control_plane() as plane:
        settings = {"isMCPServerEnabled": True, "isMcpServerApiKeyDisabled": True}
        properties = {"containerType": "PythonLTS", "mcpServerSettings": settings}
        body = {"location": "eastus", "properties": properties}
        put = plane.request("PUT", plane.pool_path(), body, api_version="2025-10-02-preview")
        plane.wait_for(put)
        with azure_kernel(plane) as kernel:
            error = kernel.run("1").error
            assert error is not None
            assert error["ename"] == "AccessDenied"
            assert "has its API keys disabled" in error["evalue"]


def test_waiting_for_a_key_can_be_interrupted(rotated_plane: ControlPlane) -> None:
    with azure_kernel(rotated_plane) as kernel:
        msg_id = kernel.send("1")
        kernel.wait_for_stream(msg_id, "Waiting")
        kernel.interrupt()
        error = kernel.collect(msg_id).error
        assert error is not None
        assert error["ename"] == "KeyboardInterrupt"


def test_a_pool_that_is_made_anew_is_found_again() -> None:
    with running_control_plane() as plane, azure_kernel(plane) as kernel:
        assert kernel.run("lost = 1").status == "ok"
        body = plane.request("GET", plane.pool_path()).json()
        plane.wait_for(plane.request("DELETE", plane.pool_path()))
        gone = kernel.run("1").error
        assert gone is not None
        made = plane.request("PUT", plane.pool_path(), body)
        plane.wait_for(made)
        cell = kernel.run("'lost' in dir()")
        assert cell.error is None
        assert cell.result == "False"


@pytest.mark.parametrize(
    ("quirk", "ename", "words"),
    [
        ("mcp_settings_null", "PoolNotFound", "has no MCP server"),
        ("no_role", "AccessDenied", "Container Apps SessionPools Contributor"),
        ("reader_role", "AccessDenied", "Container Apps SessionPools Contributor"),
    ],
)
def test_a_pool_that_cannot_be_used_is_one_sentence(quirk: str, ename: str, words: str) -> None:
    with running_control_plane(quirks=[quirk]) as plane, azure_kernel(plane) as kernel:
        for _ in range(2):
            error = kernel.run("1").error
            assert error is not None
            assert error["ename"] == ename
            assert words in error["evalue"]
            assert len(error["traceback"]) == 1


@pytest.mark.parametrize(
    ("env", "words"),
    [
        ({"ACA_SESSION_POOL": "west"}, "needs its resource group"),
        ({"ACA_RESOURCE_GROUP": "rg"}, "no session pool"),
        ({"ACA_SESSION_POOL": "Not_A_Pool", "ACA_RESOURCE_GROUP": "rg"}, "not a session pool's"),
        ({"ACA_SESSION_POOL": "west", "ACA_RESOURCE_GROUP": "a/b"}, "not a resource group's"),
        (
            {"ACA_SESSION_POOL": "west", "ACA_RESOURCE_GROUP": "rg", "ACA_SUBSCRIPTION_ID": "x"},
            "not a subscription's id",
        ),
        (
            {
                "ACA_SESSION_POOL": "west",
                "ACA_RESOURCE_GROUP": "rg",
                "ACA_ARM_ENDPOINT": "http://x",
            },
            "plain http",
        ),
    ],
)
def test_half_a_configuration_is_one_sentence(env: dict[str, str], words: str) -> None:
    with running_kernel(env) as kernel:
        error = kernel.run("1").error
        assert error is not None
        assert error["ename"] == "SettingInvalid"
        assert words in error["evalue"]


def test_the_cooldown_is_the_pools(control_plane: ControlPlane) -> None:
    import asyncio

    from aca_kernel.pool.azure.azure_backend import AzureBackend
    from aca_kernel.settings import AcaKernel

    env = control_plane.env
    settings = AcaKernel(
        subscription=env["ACA_SUBSCRIPTION_ID"],
        resource_group="local",
        session_pool="local",
        arm_endpoint=control_plane.url,
        cooldown_seconds=42,
    )

    async def connect() -> Any:
        backend = AzureBackend(settings)
        try:
            return (await backend.connect()) is (await backend.connect())
        finally:
            await backend.close()

    with pytest.MonkeyPatch.context() as patch:
        clean(patch, login(control_plane))
        assert asyncio.run(connect())
    assert settings.cooldown_seconds == 300


def test_a_kernel_that_is_shut_down_does_not_wait_for_a_login(
    control_plane: ControlPlane, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = tmp_path / "log"
    body = f"open({str(log)!r}, 'a').close()\nimport time; time.sleep(9)"
    put_az_on_path(tmp_path / "bin", monkeypatch, body)
    name = install(control_plane)
    env = {"AZURE_TOKEN_CREDENTIALS": "AzureCliCredential"}
    with running_kernel(env, name=name) as kernel:
        kernel.send("1")
        assert eventually(log.exists)
        kernel.client.shutdown()
        # The stand-in holds on for nine seconds; a front end kills a kernel after five.
        assert eventually(lambda: kernel.manager.provisioner.process.poll() is not None, 4)


def test_a_pool_that_is_being_made_is_waited_for_visibly() -> None:
    with running_control_plane(operation_seconds=2) as plane:
        body = plane.request("GET", plane.pool_path()).json()
        # The kernel is there before: however long it takes to start, it comes too early.
        with running_kernel({**plane.env, "ACA_SESSION_POOL": "west"}) as kernel:
            plane.request("PUT", plane.pool_path("west"), body).raise_for_status()
            cell = kernel.run("6 * 7")
            assert cell.result == "42"
            assert "west is not ready yet" in cell.said


def test_a_resource_manager_that_is_not_there_is_one_sentence(control_plane: ControlPlane) -> None:
    env = {
        "ACA_ARM_ENDPOINT": "http://127.0.0.1:9",
        "ACA_SUBSCRIPTION_ID": "00000000-0000-0000-0000-000000000000",
        "ACA_RESOURCE_GROUP": "rg",
        "ACA_SESSION_POOL": "west",
    }
    with running_kernel({**login(control_plane), **env}) as kernel:
        error = kernel.run("1").error
        assert error is not None
        assert error["ename"] == "PoolUnreachable"
        assert "ACA_ARM_ENDPOINT" in error["evalue"]
