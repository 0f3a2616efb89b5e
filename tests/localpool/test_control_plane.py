"""Pools, resource groups and deployments of the control plane, over HTTP."""

import contextlib
import copy
import os
import subprocess
import sys

import pytest

from ..support import eventually, local_http, running_control_plane, running_pool

RUN_PYTHON = "runPythonCodeInRemoteEnvironment"
RUN_SHELL = "runShellCommandInRemoteEnvironment"

MCP_POOL = {
    "location": "East US",
    "tags": {"purpose": "test"},
    "properties": {
        "poolManagementType": "Dynamic",
        "containerType": "PythonLTS",
        "scaleConfiguration": {"maxConcurrentSessions": 5},
        "sessionNetworkConfiguration": {"status": "EgressEnabled"},
        "dynamicPoolConfiguration": {
            "lifecycleConfiguration": {"lifecycleType": "Timed", "coolDownPeriodInSeconds": 300}
        },
        "mcpServerSettings": {"isMCPServerEnabled": True},
    },
}


def pool_body(**properties):
    body = copy.deepcopy(MCP_POOL)
    body["properties"].update(properties)
    return body


class Endpoint:
    """An MCP endpoint and its key, as a client gets them from the control plane."""

    def __init__(self, arm, name=None):
        properties = arm.request("GET", arm.pool_path(name)).json()["properties"]
        self.url = properties["mcpServerSettings"]["mcpServerEndpoint"]
        path = arm.pool_path(name) + "/fetchMCPServerCredentials"
        self.key = arm.request("POST", path).json()["apiKey"]

    def post(self, method, params=None, key=None):
        message = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params or {}}
        headers = {"x-ms-apikey": key or self.key}
        return local_http("POST", self.url, headers=headers, json=message, timeout=60)

    def call(self, tool, **arguments):
        answer = self.post("tools/call", {"name": tool, "arguments": arguments})
        return answer.raise_for_status().json()["result"]["structuredContent"]

    def launch(self):
        return self.call("launchPythonEnvironment")["environmentId"]

    def python(self, environment_id, code):
        return self.call(RUN_PYTHON, environmentId=environment_id, pythonCode=code)

    def tools(self):
        return {tool["name"] for tool in self.post("tools/list").json()["result"]["tools"]}


def create(arm, name, body=MCP_POOL):
    created = arm.request("PUT", arm.pool_path(name), body)
    assert created.status_code == 201, created.text
    assert arm.wait_for(created).json()["status"] == "Succeeded"
    return Endpoint(arm, name) if body["properties"].get("mcpServerSettings") else None


@pytest.fixture(scope="module")
def arm():
    """One control plane for the tests that only add to it."""
    with running_control_plane(min_cooldown_seconds=1, faults=True) as one:
        yield one


def test_a_pool_is_created_in_an_operation(arm):
    created = arm.request("PUT", arm.pool_path("made"), MCP_POOL)
    assert created.status_code == 201
    assert int(created.headers["Retry-After"]) > 0
    body = created.json()
    assert body["properties"]["provisioningState"] == "InProgress"
    assert "mcpServerEndpoint" not in body["properties"]["mcpServerSettings"]
    status = arm.wait_for(created).json()
    assert status["status"] == "Succeeded"
    assert status["id"] in created.headers["Azure-AsyncOperation"]
    assert status["startTime"] <= status["endTime"]
    body = arm.request("GET", arm.pool_path("made")).json()
    endpoint = f"{arm.url}{arm.group_path}/sessionPools/made"
    assert body == {
        "id": arm.pool_path("made"),
        "name": "made",
        "type": "Microsoft.App/sessionPools",
        "location": "eastus",
        "tags": {"purpose": "test"},
        "properties": {
            **MCP_POOL["properties"],
            "provisioningState": "Succeeded",
            "poolManagementEndpoint": endpoint,
            "scaleConfiguration": {"maxConcurrentSessions": 5, "readySessionInstances": 0},
            "mcpServerSettings": {
                "isMCPServerEnabled": True,
                "mcpServerEndpoint": f"{endpoint}/mcp",
            },
        },
    }


def test_pools_have_endpoints_keys_and_sessions_of_their_own(arm):
    first, second = create(arm, "first"), create(arm, "second")
    assert first.url != second.url
    assert first.key != second.key
    assert first.post("ping", key=second.key).status_code == 401
    environment_id = first.launch()
    assert first.python(environment_id, "6 * 7")["executionResult"] == 42
    answer = second.post(
        "tools/call",
        {"name": RUN_PYTHON, "arguments": {"environmentId": environment_id, "pythonCode": "1"}},
    )
    assert answer.json()["result"]["isError"] is True


def test_deleting_a_pool_ends_its_sessions(arm, helpers):
    endpoint = create(arm, "short-lived")
    environment_id = endpoint.launch()
    code = "import os; os.environ['MARK'] = 'of-this-test'; os.popen('sleep 1000') and None"
    endpoint.python(environment_id, code)
    # While a process becomes another program, its variables cannot be read.
    assert eventually(lambda: bool(helpers.processes_with("MARK=of-this-test")))
    deleted = arm.request("DELETE", arm.pool_path("short-lived"))
    assert deleted.status_code == 202
    assert arm.request("GET", deleted.headers["Location"]).status_code in (202, 204)
    assert arm.wait_for(deleted).json()["status"] == "Succeeded"
    assert arm.request("GET", deleted.headers["Location"]).status_code == 204
    assert arm.request("GET", arm.pool_path("short-lived")).status_code == 404
    assert endpoint.post("ping").status_code == 404
    assert eventually(lambda: not helpers.processes_with("MARK=of-this-test"))
    assert arm.request("DELETE", arm.pool_path("short-lived")).status_code == 204


def test_the_limits_of_a_pool_are_its_resource_s(arm, helpers):
    body = pool_body(
        scaleConfiguration={"maxConcurrentSessions": 1},
        dynamicPoolConfiguration={
            "lifecycleConfiguration": {"lifecycleType": "Timed", "coolDownPeriodInSeconds": 3}
        },
    )
    endpoint = create(arm, "small", body)
    endpoint.python(endpoint.launch(), "1")
    refused = {"name": RUN_PYTHON, "arguments": {"environmentId": "", "pythonCode": "1"}}
    refused["arguments"]["environmentId"] = endpoint.launch()
    assert endpoint.post("tools/call", refused).status_code == 429
    # The first has cooled down.
    helpers.wait_until(
        lambda: (
            endpoint.post(
                "tools/call",
                {
                    **refused,
                    "arguments": {**refused["arguments"], "environmentId": endpoint.launch()},
                },
            ).status_code
            == 200
        )
    )


def test_property_names_do_not_depend_on_case(arm):
    body = {
        "Location": "westus2",
        "Properties": {
            "containertype": "pythonlts",
            "dynamicPoolConfiguration": {
                "lifecycleConfiguration": {"cooldownPeriodInSeconds": 600}
            },
            "mcpServerSettings": {"isMcpServerEnabled": True},
        },
    }
    arm.wait_for(arm.request("PUT", arm.pool_path("other-case"), body))
    path = arm.pool_path("other-case").replace("resourceGroups", "RESOURCEGROUPS").upper()
    found = arm.request("GET", path.replace("OTHER-CASE", "Other-Case")).json()
    assert found["properties"]["containerType"] == "PythonLTS"
    life = found["properties"]["dynamicPoolConfiguration"]["lifecycleConfiguration"]
    assert life["coolDownPeriodInSeconds"] == 600
    assert found["properties"]["mcpServerSettings"]["isMCPServerEnabled"] is True
    # Off unless the pool says otherwise.
    assert found["properties"]["sessionNetworkConfiguration"]["status"] == "EgressDisabled"
    assert arm.request("POST", path + "/FETCHMCPSERVERCREDENTIALS").status_code == 200
    endpoint = Endpoint(arm, "other-case")
    endpoint.url = endpoint.url.lower()
    assert endpoint.post("ping").status_code == 200


def test_a_pool_may_be_called_like_a_part_of_a_path(arm):
    for name in ("mcp", "faults"):
        endpoint = create(arm, name)
        assert endpoint.post("ping").status_code == 200
        assert arm.request("GET", arm.pool_path(name)).json()["name"] == name


def test_a_shell_pool_runs_no_python(arm):
    endpoint = create(arm, "shell", pool_body(containerType="Shell"))
    assert endpoint.tools() == {"launchShell", RUN_SHELL}
    environment_id = endpoint.call("launchShell")["environmentId"]
    shell = endpoint.call(RUN_SHELL, environmentId=environment_id, shellCommand="echo hello")
    assert shell["stdout"] == "hello\n"


@pytest.mark.parametrize(
    ("name", "properties", "api_version"),
    [
        ("without", {"mcpServerSettings": None}, None),
        ("switched-off", {"mcpServerSettings": {"isMCPServerEnabled": False}}, None),
        ("container", {"containerType": "CustomContainer"}, None),
        ("stable", {}, "2026-01-01"),
    ],
)
def test_pools_without_an_mcp_server(arm, name, properties, api_version):
    versions = {"api_version": api_version} if api_version else {}
    created = arm.request("PUT", arm.pool_path(name), pool_body(**properties), **versions)
    assert created.status_code == 201
    assert arm.wait_for(created).json()["status"] == "Succeeded"
    found = arm.request("GET", arm.pool_path(name)).json()["properties"]
    assert found["provisioningState"] == "Succeeded"
    assert found["mcpServerSettings"] is None
    refused = arm.request("POST", arm.pool_path(name) + "/fetchMCPServerCredentials")
    assert refused.status_code == 400
    assert refused.json()["error"]["code"] == "SessionMCPServerNotEnabled"
    data = f"{arm.url}{arm.group_path}/sessionPools/{name}/mcp"
    assert local_http("POST", data, json={}).status_code == 404


def test_the_stable_version_does_not_know_mcp(arm):
    create(arm, "known")
    path = arm.pool_path("known")
    found = arm.request("GET", path, api_version="2026-01-01").json()
    assert "mcpServerSettings" not in found["properties"]
    # A replacement by it leaves alone what it does not know.
    body = pool_body(scaleConfiguration={"maxConcurrentSessions": 9})
    arm.wait_for(arm.request("PUT", path, body, api_version="2026-01-01"))
    found = arm.request("GET", path, api_version="2025-10-02-preview").json()["properties"]
    assert found["mcpServerSettings"]["isMCPServerEnabled"] is True
    assert found["scaleConfiguration"]["maxConcurrentSessions"] == 9


def test_a_patch_changes_limits_of_the_running_pool_and_no_mcp_settings(arm):
    endpoint = create(arm, "patched", pool_body(scaleConfiguration={"maxConcurrentSessions": 1}))
    environment_id = endpoint.launch()
    endpoint.python(environment_id, "x = 1")
    patch = {
        "tags": {"new": "tag"},
        "properties": {
            "scaleConfiguration": {"maxConcurrentSessions": 2},
            "sessionNetworkConfiguration": {"status": "EgressDisabled"},
            "mcpServerSettings": {"isMCPServerEnabled": False},
        },
    }
    patched = arm.request("PATCH", arm.pool_path("patched"), patch)
    assert patched.status_code == 202
    assert patched.headers["Location"]
    assert arm.wait_for(patched).json()["status"] == "Succeeded"
    found = arm.request("GET", patched.headers["Location"]).json()
    assert found["tags"] == {"new": "tag"}
    assert found["properties"]["sessionNetworkConfiguration"]["status"] == "EgressDisabled"
    assert found["properties"]["mcpServerSettings"]["isMCPServerEnabled"] is True
    # The session lives on, beside a second one, which was refused before.
    assert endpoint.python(environment_id, "x")["executionResult"] == 1
    other = endpoint.launch()
    assert endpoint.python(other, "1")["executionResult"] == 1


@pytest.mark.skipif(not os.path.exists("/proc/net/dev"), reason="Linux only")
def test_egress_comes_from_the_resource_and_changes_for_new_sessions(arm):
    if arm.pool.isolation != "bubblewrap":
        pytest.skip("only a sandbox has a network of its own")
    interfaces = (
        "sorted(line.split(':')[0].strip() for line in open('/proc/net/dev') if ':' in line)"
    )
    body = pool_body(sessionNetworkConfiguration={"status": "EgressDisabled"})
    endpoint = create(arm, "network", body)
    before = endpoint.launch()
    assert endpoint.python(before, interfaces)["executionResult"] == ["lo"]
    patch = {"properties": {"sessionNetworkConfiguration": {"status": "EgressEnabled"}}}
    arm.wait_for(arm.request("PATCH", arm.pool_path("network"), patch))
    with open("/proc/net/dev") as file:
        ours = sorted(line.split(":")[0].strip() for line in file if ":" in line)
    assert endpoint.python(endpoint.launch(), interfaces)["executionResult"] == ours
    assert endpoint.python(before, interfaces)["executionResult"] == ["lo"]


def test_a_put_replaces_a_pool(arm):
    endpoint = create(arm, "replaced")
    assert endpoint.post("ping").status_code == 200
    body = pool_body(mcpServerSettings={"isMCPServerEnabled": False})
    replaced = arm.request("PUT", arm.pool_path("replaced"), body)
    assert replaced.status_code == 200
    arm.wait_for(replaced)
    assert endpoint.post("ping").status_code == 404
    arm.wait_for(arm.request("PUT", arm.pool_path("replaced"), MCP_POOL))
    assert Endpoint(arm, "replaced").post("ping").status_code == 200


@pytest.mark.parametrize("action", ["regenerateCredentials", "rotateMcpServerCredentials"])
def test_a_key_is_rotated_at_once_unless_there_is_a_window(arm, action):
    endpoint = create(arm, f"rotated-{action[:3]}")
    path = arm.pool_path(f"rotated-{action[:3]}")
    new_key = arm.request("POST", f"{path}/{action}").json()["apiKey"]
    assert new_key != endpoint.key
    assert endpoint.post("ping").status_code == 401
    assert endpoint.post("ping", key=new_key).status_code == 200
    assert arm.request("POST", f"{path}/fetchMCPServerCredentials").json()["apiKey"] == new_key


def test_in_the_rotation_window_the_old_key_works_and_the_new_one_does_not(helpers):
    with running_control_plane(key_rotation_seconds=3.0) as arm:
        endpoint = Endpoint(arm)
        path = arm.pool_path() + "/regenerateCredentials"
        new_key = arm.request("POST", path).json()["apiKey"]
        assert endpoint.post("ping").status_code == 200
        assert endpoint.post("ping", key=new_key).status_code == 401
        helpers.wait_until(lambda: endpoint.post("ping", key=new_key).status_code == 200)
        assert endpoint.post("ping").status_code == 401


def test_the_pool_of_the_server_is_one_of_them(arm):
    endpoint = Endpoint(arm)
    assert endpoint.key == arm.pool.api_key
    assert endpoint.url == f"{arm.url}{arm.group_path}/sessionPools/local/mcp"
    environment_id = endpoint.launch()
    endpoint.python(environment_id, "x = 5")
    # The same pool at the endpoint that a pool without control plane has.
    endpoint.url = arm.pool.endpoint
    assert endpoint.python(environment_id, "x")["executionResult"] == 5


def test_the_pool_of_the_server_can_be_deleted():
    with running_control_plane() as arm:
        endpoint = Endpoint(arm)
        arm.wait_for(arm.request("DELETE", arm.pool_path()))
        assert endpoint.post("ping").status_code == 404
        endpoint.url = arm.pool.endpoint
        assert endpoint.post("ping").status_code == 404
        assert arm.request("GET", arm.group_path).status_code == 200


def test_faults_are_a_pool_s_own(arm):
    create(arm, "faulty")
    endpoint = Endpoint(arm, "faulty")
    headers = {"x-ms-apikey": endpoint.key}
    url = endpoint.url.removesuffix("/mcp") + "/faults"
    local_http(
        "POST", url, headers=headers, json={"kind": "status", "status": 503}
    ).raise_for_status()
    message = {"name": "launchPythonEnvironment", "arguments": {}}
    assert Endpoint(arm).post("tools/call", message).status_code == 200
    assert endpoint.post("tools/call", message).status_code == 503
    assert local_http("GET", url, headers=headers).json()["toolCalls"] == {
        "launchPythonEnvironment": 1
    }


def test_resource_groups_come_and_go_with_their_pools(arm):
    path = f"{arm.group_path.rpartition('/')[0]}/group-1"
    assert arm.request("HEAD", path).status_code == 404
    created = arm.request("PUT", path, {"location": "westeurope", "tags": {"a": "b"}})
    assert created.status_code == 201
    assert created.json() == {
        "id": path,
        "name": "group-1",
        "type": "Microsoft.Resources/resourceGroups",
        "location": "westeurope",
        "tags": {"a": "b"},
        "properties": {"provisioningState": "Succeeded"},
    }
    assert arm.request("PUT", path, {"location": "West Europe"}).status_code == 200
    assert arm.request("HEAD", path).status_code == 204
    pool = f"{path}/providers/Microsoft.App/sessionPools/inside"
    arm.wait_for(arm.request("PUT", pool, MCP_POOL))
    assert [one["name"] for one in arm.request("GET", path + "/resources").json()["value"]] == [
        "inside"
    ]
    key = arm.request("POST", pool + "/fetchMCPServerCredentials").json()["apiKey"]
    endpoint = arm.request("GET", pool).json()["properties"]["mcpServerSettings"]
    deleted = arm.request("DELETE", path)
    assert deleted.status_code == 202
    # Resource Manager gives no Azure-AsyncOperation for resource groups.
    assert "Azure-AsyncOperation" not in deleted.headers
    assert int(deleted.headers["Retry-After"]) > 0
    assert arm.wait_for(deleted).status_code == 200
    assert arm.request("GET", path).status_code == 404
    assert arm.request("GET", pool).json()["error"]["code"] == "ResourceGroupNotFound"
    gone = local_http(
        "POST",
        endpoint["mcpServerEndpoint"],
        headers={"x-ms-apikey": key},
        json={"jsonrpc": "2.0", "id": 1, "method": "ping"},
    )
    assert gone.status_code == 404


def test_a_group_being_deleted_takes_no_new_pool():
    with running_control_plane(operation_seconds=30.0) as arm:
        deleted = arm.request("DELETE", arm.group_path)
        assert arm.request("GET", deleted.headers["Location"]).status_code == 202
        group = arm.request("GET", arm.group_path).json()
        assert group["properties"]["provisioningState"] == "Deleting"
        refused = arm.request("PUT", arm.pool_path("late"), MCP_POOL)
        assert (refused.status_code, refused.json()["error"]["code"]) == (
            409,
            "ResourceGroupBeingDeleted",
        )
        # The server does not wait for the half minute: the fixture's end is bounded.


def test_a_pool_at_work_is_left_alone_until_it_has_finished():
    with running_control_plane(operation_seconds=3.0) as arm:
        created = arm.request("PUT", arm.pool_path("busy"), MCP_POOL)
        for method in ("PUT", "PATCH"):
            refused = arm.request(method, arm.pool_path("busy"), MCP_POOL)
            assert (refused.status_code, refused.json()["error"]["code"]) == (
                409,
                "OperationInProgress",
            )
        path = arm.pool_path("busy") + "/fetchMCPServerCredentials"
        assert arm.request("POST", path).status_code == 409
        # A deletion waits for it, and leaves nothing behind.
        deleted = arm.request("DELETE", arm.pool_path("busy"))
        assert arm.wait_for(deleted).json()["status"] == "Succeeded"
        assert arm.wait_for(created).json()["status"] == "Succeeded"
        assert arm.request("GET", arm.pool_path("busy")).status_code == 404


def test_lists_by_group_and_by_subscription(arm):
    other = f"{arm.group_path.rpartition('/')[0]}/group-2"
    arm.request("PUT", other, {"location": "eastus"})
    pool = f"{other}/providers/Microsoft.App/sessionPools/elsewhere"
    arm.wait_for(arm.request("PUT", pool, MCP_POOL))
    listing = "/providers/Microsoft.App/sessionPools"
    subscription = arm.group_path.partition("/resourceGroups")[0]
    inside = arm.request("GET", other + listing).json()["value"]
    assert [one["name"] for one in inside] == ["elsewhere"]
    everywhere = {one["name"] for one in arm.request("GET", subscription + listing).json()["value"]}
    assert {"local", "elsewhere"} <= everywhere
    groups = arm.request("GET", subscription + "/resourcegroups").json()["value"]
    assert {"local", "group-2"} <= {one["name"] for one in groups}


def test_the_subscription_and_its_provider(arm):
    subscription = arm.group_path.partition("/resourceGroups")[0]
    found = arm.request("GET", subscription, api_version="2022-12-01").json()
    assert found["state"] == "Enabled"
    listed = arm.request("GET", "/subscriptions", api_version="2022-12-01").json()["value"]
    assert [one["subscriptionId"] for one in listed] == [found["subscriptionId"]]
    provider = arm.request("GET", subscription + "/providers/Microsoft.App").json()
    assert provider["registrationState"] == "Registered"
    (pools,) = provider["resourceTypes"]
    assert "2025-02-02-preview" in pools["apiVersions"]


def test_a_provider_is_registered_before_pools_are_created():
    with running_control_plane(quirks=["provider_not_registered"], operation_seconds=0.5) as arm:
        path = arm.group_path.partition("/resourceGroups")[0] + "/providers/Microsoft.App"
        assert arm.request("GET", path).json()["registrationState"] == "NotRegistered"
        refused = arm.request("PUT", arm.pool_path("new"), MCP_POOL)
        assert (refused.status_code, refused.json()["error"]["code"]) == (
            409,
            "MissingSubscriptionRegistration",
        )
        answer = arm.request("POST", path + "/register")
        assert answer.json()["registrationState"] == "Registering"
        assert eventually(
            lambda: arm.request("GET", path).json()["registrationState"] == "Registered"
        )
        assert arm.request("PUT", arm.pool_path("new"), MCP_POOL).status_code == 201


def directories_of(pid):
    """The directories of all pools of a server: it holds a lock in each."""
    found = set()
    for fd in os.listdir(f"/proc/{pid}/fd"):
        with contextlib.suppress(OSError):
            target = os.readlink(f"/proc/{pid}/fd/{fd}")
            if target.endswith("/lock"):
                found.add(os.path.dirname(target))
    return found


def test_the_end_of_the_server_is_the_end_of_all_its_pools():
    with running_control_plane() as arm:
        for name in ("one", "two"):
            endpoint = create(arm, name)
            endpoint.python(endpoint.launch(), "1")
        # Still at work when the server ends.
        arm.request("PUT", arm.pool_path("three"), MCP_POOL)
        directories = directories_of(arm.pool.process.pid)
        assert len(directories) >= 3
    assert arm.pool.process.returncode == 0
    assert not [path for path in directories if os.path.exists(path)]


def test_deleting_a_pool_removes_its_files():
    with running_control_plane() as arm:
        before = directories_of(arm.pool.process.pid)
        create(arm, "with-files")
        (path,) = directories_of(arm.pool.process.pid) - before
        arm.wait_for(arm.request("DELETE", arm.pool_path("with-files")))
        assert not os.path.exists(path)
        assert directories_of(arm.pool.process.pid) == before


def test_an_embedded_pool_does_not_import_the_control_plane():
    code = (
        "import sys, aca_kernel.localpool.embedded\n"
        "print([name for name in sys.modules if 'controlplane' in name])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_an_embedded_pool_has_no_control_plane():
    with running_pool() as pool:
        url = pool.endpoint.removesuffix("/mcp")
        for path in ("/subscriptions?api-version=2022-12-01", "/msi/token"):
            assert local_http("GET", url + path).status_code == 404
        assert pool.environment == {}
