"""What the control plane refuses, by the codes that Resource Manager documents, and its quirks."""

import copy

import pytest

from ..support import local_http, running_control_plane
from .test_control_plane import MCP_POOL, pool_body


@pytest.fixture(scope="module")
def arm():
    with running_control_plane(operation_seconds=0.0) as one:
        yield one


def without(name):
    body = copy.deepcopy(MCP_POOL)
    del body[name]
    return body


def life(**settings):
    return pool_body(dynamicPoolConfiguration={"lifecycleConfiguration": settings})


def scale(**settings):
    return pool_body(scaleConfiguration=settings)


GROUP = "{group}"
POOL = "{group}/providers/Microsoft.App/sessionPools/new-pool"
DEFAULT = "{group}/providers/Microsoft.App/sessionPools/local"
OTHER = "/subscriptions/99999999-9999-9999-9999-999999999999"


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "code"),
    [
        ("GET", OTHER, None, 404, "SubscriptionNotFound"),
        ("GET", OTHER + "/resourceGroups/local", None, 404, "SubscriptionNotFound"),
        ("GET", GROUP + "x", None, 404, "ResourceGroupNotFound"),
        ("GET", GROUP + "x/providers/Microsoft.App/sessionPools", None, 404,
         "ResourceGroupNotFound"),
        ("PUT", GROUP + "x/providers/Microsoft.App/sessionPools/abc", MCP_POOL, 404,
         "ResourceGroupNotFound"),
        ("DELETE", GROUP + "x", None, 404, "ResourceGroupNotFound"),
        ("GET", POOL, None, 404, "ResourceNotFound"),
        ("PATCH", POOL, {}, 404, "ResourceNotFound"),
        ("POST", POOL + "/fetchMCPServerCredentials", None, 404, "ResourceNotFound"),
        ("POST", POOL + "/regenerateCredentials", None, 404, "ResourceNotFound"),
        ("GET", GROUP + "/providers/Microsoft.App/jobs/x", None, 404, "InvalidResourceType"),
        ("GET", GROUP + "/providers/Microsoft.Web/sites/x", None, 404, "InvalidResourceNamespace"),
        ("POST", "/subscriptions/{subscription}/providers/Microsoft.Web/register", None, 404,
         "InvalidResourceNamespace"),
        ("GET", "/subscriptions/{subscription}/operationresults/x", None, 404, "OperationNotFound"),
        ("GET", GROUP + "/providers/Microsoft.Resources/deployments/x", None, 404,
         "DeploymentNotFound"),
        ("POST", DEFAULT, None, 405, "MethodNotAllowed"),
        ("GET", DEFAULT + "/fetchMCPServerCredentials", None, 405, "MethodNotAllowed"),
        ("PUT", GROUP + "x", {}, 400, "LocationRequired"),
        ("PUT", GROUP + "x", {"location": "moon"}, 400, "LocationNotAvailableForResourceType"),
        ("PUT", GROUP + "x.", {"location": "eastus"}, 400, "InvalidResourceGroupName"),
        ("PUT", GROUP, {"location": "westus2"}, 409, "PropertyChangeNotAllowed"),
        ("PUT", POOL, [], 400, "InvalidRequestContent"),
        ("PUT", POOL, "text", 400, "InvalidRequestContent"),
        ("PUT", POOL, {**MCP_POOL, "properties": []}, 400, "InvalidRequestContent"),
        ("PUT", POOL, {**MCP_POOL, "tags": {"a": 1}}, 400, "InvalidRequestContent"),
        ("PUT", POOL, pool_body(mcpServerSettings={"isMCPServerEnabled": "yes"}), 400,
         "InvalidRequestContent"),
        ("PUT", POOL, pool_body(mcpServerSettings=True), 400, "InvalidRequestContent"),
        ("PUT", POOL, without("location"), 400, "LocationRequired"),
        ("PUT", POOL, {**MCP_POOL, "location": "moon"}, 400, "LocationNotAvailableForResourceType"),
        ("PUT", POOL, {**MCP_POOL, "location": 5}, 400, "LocationNotAvailableForResourceType"),
        ("PUT", POOL, without("properties"), 400, "InvalidParameterValue"),
        ("PUT", POOL, pool_body(containerType="Ruby"), 400, "InvalidParameterValue"),
        ("PUT", POOL, pool_body(poolManagementType="Manual"), 400, "InvalidParameterValue"),
        ("PUT", POOL, scale(maxConcurrentSessions=0), 400, "InvalidParameterValue"),
        ("PUT", POOL, scale(maxConcurrentSessions=601), 400, "InvalidParameterValue"),
        ("PUT", POOL, scale(maxConcurrentSessions="5"), 400, "InvalidParameterValue"),
        ("PUT", POOL, scale(maxConcurrentSessions=True), 400, "InvalidParameterValue"),
        ("PUT", POOL, scale(maxConcurrentSessions=2, readySessionInstances=3), 400,
         "InvalidParameterValue"),
        ("PUT", POOL, life(coolDownPeriodInSeconds=299), 400, "InvalidParameterValue"),
        ("PUT", POOL, life(coolDownPeriodInSeconds=3601), 400, "InvalidParameterValue"),
        ("PUT", POOL, life(lifecycleType="OnContainerExit"), 400, "InvalidParameterValue"),
        ("PUT", POOL, pool_body(sessionNetworkConfiguration={"status": "On"}), 400,
         "InvalidParameterValue"),
        ("PATCH", DEFAULT, {"properties": {"scaleConfiguration": {"maxConcurrentSessions": 0}}},
         400, "InvalidParameterValue"),
        ("PATCH", DEFAULT, None, 400, "InvalidRequestContent"),
        ("PUT", DEFAULT, pool_body(containerType="Shell"), 409, "PropertyChangeNotAllowed"),
        ("PUT", DEFAULT, {**MCP_POOL, "location": "westus2"}, 409, "PropertyChangeNotAllowed"),
    ],
)  # fmt: skip
def test_what_is_refused(arm, method, path, body, status, code):
    subscription = arm.env["ACA_SUBSCRIPTION_ID"]
    answer = arm.request(method, path.format(group=arm.group_path, subscription=subscription), body)
    error = answer.json()["error"]
    assert (answer.status_code, error["code"]) == (status, code), error
    assert error["message"]
    assert answer.headers["x-ms-request-id"]


@pytest.mark.parametrize(
    "name", ["ab", "-abc", "1abc", "abc-", "ABC", "a--b", "a_b", "a.b", "x" * 64, "%20abc"]
)
def test_names_that_a_pool_may_not_have(arm, name):
    answer = arm.request("PUT", arm.pool_path(name), MCP_POOL)
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "InvalidSessionPoolName")


def test_a_refused_pool_is_not_created_or_changed(arm):
    before = arm.request("GET", arm.pool_path()).json()
    arm.request("PUT", arm.pool_path("refused"), scale(maxConcurrentSessions=0))
    assert arm.request("GET", arm.pool_path("refused")).status_code == 404
    patch = {"tags": {"new": "tag"}, "properties": {"scaleConfiguration": []}}
    assert arm.request("PATCH", arm.pool_path(), patch).status_code == 400
    assert arm.request("GET", arm.pool_path()).json() == before


@pytest.mark.parametrize(
    ("path", "version", "code"),
    [
        (DEFAULT, None, "MissingApiVersionParameter"),
        (GROUP, None, "MissingApiVersionParameter"),
        (DEFAULT, "", "MissingApiVersionParameter"),
        (DEFAULT, "2020-01-01", "NoRegisteredProviderFound"),
        (DEFAULT + "/fetchMCPServerCredentials", "2020-01-01", "NoRegisteredProviderFound"),
        (GROUP, "newest", "InvalidApiVersionParameter"),
    ],
)
def test_the_api_version_is_checked(arm, path, version, code):
    url = arm.url + path.format(group=arm.group_path)
    method = "POST" if "fetch" in path else "GET"
    params = {} if version is None else {"api-version": version}
    headers = {"Authorization": f"Bearer {arm.token()}"}
    answer = local_http(method, url, params=params, headers=headers)
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, code)
    if code == "NoRegisteredProviderFound":
        assert "2025-02-02-preview" in answer.json()["error"]["message"]


def test_a_body_that_is_no_json(arm):
    answer = local_http(
        "PUT",
        arm.url + arm.pool_path("new-pool"),
        params={"api-version": arm.API_VERSION},
        headers={"Authorization": f"Bearer {arm.token()}"},
        content=b"{'single': 'quotes'}",
    )
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "InvalidRequestContent")


def test_a_body_that_is_too_large_is_not_kept(arm):
    answer = local_http(
        "PUT",
        arm.url + arm.pool_path("new-pool"),
        headers={"Authorization": f"Bearer {arm.token()}"},
        content=b" " * (5 << 20),
    )
    assert answer.status_code == 413


def code_of(answer):
    return answer.status_code, answer.json()["error"]["code"]


def test_a_provisioning_that_fails():
    with running_control_plane(quirks=["provisioning_fails"]) as arm:
        created = arm.request("PUT", arm.pool_path("doomed"), MCP_POOL)
        assert created.status_code == 201
        status = arm.wait_for(created).json()
        assert status["status"] == "Failed"
        assert status["error"]["code"] == "SessionPoolOperationError"
        found = arm.request("GET", arm.pool_path("doomed")).json()["properties"]
        assert found["provisioningState"] == "Failed"
        path = arm.pool_path("doomed") + "/fetchMCPServerCredentials"
        assert code_of(arm.request("POST", path)) == (400, "SessionMCPServerNotEnabled")
        assert arm.wait_for(arm.request("DELETE", arm.pool_path("doomed"))).status_code == 200


def test_mcp_settings_that_are_null_when_read():
    with running_control_plane(quirks=["mcp_settings_null"]) as arm:
        found = arm.request("GET", arm.pool_path()).json()["properties"]
        assert found["mcpServerSettings"] is None
        path = arm.pool_path() + "/fetchMCPServerCredentials"
        assert arm.request("POST", path).json()["apiKey"] == arm.pool.api_key


def test_mcp_settings_in_the_casing_of_the_specification():
    with running_control_plane(quirks=["mcp_settings_casing"]) as arm:
        found = arm.request("GET", arm.pool_path()).json()["properties"]["mcpServerSettings"]
        assert found["isMcpServerEnabled"] is True
        assert "isMCPServerEnabled" not in found


def test_a_caller_without_a_role():
    with running_control_plane(quirks=["no_role"]) as arm:
        refused = arm.request("GET", arm.pool_path())
        assert code_of(refused) == (403, "AuthorizationFailed")
        assert "'Microsoft.App/sessionPools/read'" in refused.json()["error"]["message"]


def test_a_caller_with_the_role_reader():
    with running_control_plane(quirks=["reader_role"]) as arm:
        assert arm.request("GET", arm.pool_path()).status_code == 200
        refused = arm.request("PUT", arm.pool_path("new"), MCP_POOL)
        assert "'Microsoft.App/sessionPools/write'" in refused.json()["error"]["message"]
        refused = arm.request("POST", arm.pool_path() + "/fetchMCPServerCredentials")
        assert code_of(refused) == (403, "AuthorizationFailed")
        action = "'Microsoft.App/sessionPools/fetchMCPServerCredentials/action'"
        assert action in refused.json()["error"]["message"]


def test_requests_that_come_too_fast():
    with running_control_plane(quirks=["arm_throttles"]) as arm:
        answers = [arm.request("GET", arm.pool_path()) for _ in range(4)]
        assert [answer.status_code for answer in answers] == [429, 200, 429, 200]
        assert answers[0].headers["Retry-After"] == "1"
        assert answers[0].json()["error"]["code"] == "SubscriptionRequestsThrottled"
