"""The control plane of the tutorial, spoken to over HTTP as Azure Resource Manager is."""

import httpx

MCP_POOL = {
    "location": "East US",
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


def call(endpoint, key, tool, **arguments):
    message = {"jsonrpc": "2.0", "id": 1, "method": "tools/call"}
    message["params"] = {"name": tool, "arguments": arguments}
    answer = httpx.post(endpoint, headers={"x-ms-apikey": key}, json=message, timeout=60)
    return answer.raise_for_status().json()["result"]


def test_a_pool_is_created_used_and_deleted(control_plane):
    arm = control_plane
    created = arm.request("PUT", arm.pool_path("second"), MCP_POOL)
    assert created.status_code == 201
    assert created.json()["properties"]["provisioningState"] == "InProgress"
    assert arm.wait_for(created).json()["status"] == "Succeeded"
    properties = arm.request("GET", arm.pool_path("second")).json()["properties"]
    assert properties["provisioningState"] == "Succeeded"
    endpoint = properties["mcpServerSettings"]["mcpServerEndpoint"]
    key = arm.request("POST", arm.pool_path("second") + "/fetchMCPServerCredentials").json()
    launched = call(endpoint, key["apiKey"], "launchPythonEnvironment")["structuredContent"]
    ran = call(
        endpoint,
        key["apiKey"],
        "runPythonCodeInRemoteEnvironment",
        environmentId=launched["environmentId"],
        pythonCode="6 * 7",
    )
    assert ran["structuredContent"]["executionResult"] == 42
    deleted = arm.request("DELETE", arm.pool_path("second"))
    assert deleted.status_code == 202
    assert arm.wait_for(deleted).json()["status"] == "Succeeded"
    assert arm.request("GET", arm.pool_path("second")).status_code == 404
    assert httpx.post(endpoint, headers={"x-ms-apikey": key["apiKey"]}, json={}).status_code == 404
