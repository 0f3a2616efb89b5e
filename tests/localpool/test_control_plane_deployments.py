"""ARM templates: what is understood of them, and deployments over HTTP."""

import copy

import pytest

from aca_kernel.localpool.controlplane.arm_errors import ArmError
from aca_kernel.localpool.controlplane.deployments import resolve

from ..support import running_control_plane
from .test_control_plane import MCP_POOL, Endpoint

TEMPLATE = {
    "$schema": "https://schema.management.azure.com/schemas/2019-04-01/deploymentTemplate.json#",
    "contentVersion": "1.0.0.0",
    "parameters": {"name": {"type": "String"}, "location": {"type": "String"}},
    "resources": [
        {
            "type": "Microsoft.App/sessionPools",
            "apiVersion": "2025-02-02-preview",
            "name": "[parameters('name')]",
            "location": "[parameters('location')]",
            "properties": MCP_POOL["properties"],
        }
    ],
}
PARAMETERS = {"name": {"value": "my-pool"}, "location": {"value": "eastus"}}


def template(**changes):
    return {**copy.deepcopy(TEMPLATE), **changes}


def resource(**changes):
    return template(resources=[{**TEMPLATE["resources"][0], **changes}])


def test_parameters_are_filled_in():
    (found,) = resolve(TEMPLATE, PARAMETERS)
    assert (found.name, found.api_version) == ("my-pool", "2025-02-02-preview")
    assert found.body["location"] == "eastus"
    assert found.body["properties"] == MCP_POOL["properties"]


def test_names_of_parameters_do_not_depend_on_case_or_blanks():
    (found,) = resolve(
        resource(name="[ Parameters( 'NAME' ) ]"), {"Name": {"value": "x"}, **PARAMETERS}
    )
    assert found.name == "my-pool"


def test_parameters_are_of_any_type_and_may_have_defaults():
    declared = {
        "most": {"type": "int", "defaultValue": 7},
        "mcp": {"type": "object", "defaultValue": {"isMCPServerEnabled": True}},
        "text": {"type": "string", "defaultValue": "[[in brackets]"},
    }
    body = template(
        parameters={**TEMPLATE["parameters"], **declared},
        resources=[
            {
                **TEMPLATE["resources"][0],
                "tags": {"note": "[parameters('text')]", "also": "[[no expression]"},
                "properties": {
                    "scaleConfiguration": {"maxConcurrentSessions": "[parameters('most')]"},
                    "mcpServerSettings": "[parameters('mcp')]",
                },
            }
        ],
    )
    (found,) = resolve(body, PARAMETERS)
    assert found.body["properties"]["scaleConfiguration"] == {"maxConcurrentSessions": 7}
    assert found.body["properties"]["mcpServerSettings"] == {"isMCPServerEnabled": True}
    assert found.body["tags"] == {"note": "[in brackets]", "also": "[no expression]"}
    (found,) = resolve(body, {**PARAMETERS, "most": {"value": 9}})
    assert found.body["properties"]["scaleConfiguration"] == {"maxConcurrentSessions": 9}


@pytest.mark.parametrize(
    ("body", "parameters", "named"),
    [
        (None, PARAMETERS, "template is missing"),
        (template(resources=None), PARAMETERS, "'resources'"),
        (template(resources=["x"]), PARAMETERS, "is no object"),
        (template(variables={"a": 1}), PARAMETERS, "'variables'"),
        (template(outputs={"a": {}}), PARAMETERS, "'outputs'"),
        (template(parameters=[]), PARAMETERS, "parameters must be"),
        (template(parameters={"name": 5}), {}, "'name' is no object"),
        (template(parameters={"name": {"type": "odd"}}), {}, "type of parameter 'name'"),
        (TEMPLATE, {"name": {"value": "x"}}, "'location' is not provided"),
        (TEMPLATE, {**PARAMETERS, "other": {"value": "x"}}, "other"),
        (TEMPLATE, {**PARAMETERS, "name": "x"}, "with 'value'"),
        (TEMPLATE, {**PARAMETERS, "name": {"value": 5}}, "must be of type String"),
        (
            template(parameters={**TEMPLATE["parameters"], "n": {"type": "int"}}),
            {**PARAMETERS, "n": {"value": True}},
            "must be of type int",
        ),
        (
            template(
                parameters={**TEMPLATE["parameters"], "n": {"type": "int", "allowedValues": [1]}}
            ),
            {**PARAMETERS, "n": {"value": 2}},
            "not an allowed value",
        ),
        (resource(location="[resourceGroup().location]"), PARAMETERS, "resourceGroup()"),
        (resource(name="[concat(parameters('name'), 'x')]"), PARAMETERS, "concat"),
        (resource(name="[parameters('nam')]"), PARAMETERS, "'nam' is not found"),
        (resource(type="Microsoft.Web/sites"), PARAMETERS, "Microsoft.Web/sites"),
        (resource(apiVersion=None), PARAMETERS, "'apiVersion'"),
        (resource(copy={"name": "x", "count": 2}), PARAMETERS, "'copy'"),
        (resource(condition=False), PARAMETERS, "'condition'"),
        (resource(condition="[parameters('name')]"), PARAMETERS, "'condition'"),
        (resource(dependsOn=["x"]), PARAMETERS, "'dependson'"),
        (template(resources=TEMPLATE["resources"] * 2), PARAMETERS, "multiple times"),
    ],
)
def test_what_is_not_understood_is_named(body, parameters, named):
    with pytest.raises(ArmError) as caught:
        resolve(body, parameters)
    assert (caught.value.status, caught.value.code) == (400, "InvalidTemplate")
    assert named in caught.value.message


@pytest.fixture(scope="module")
def arm():
    with running_control_plane() as one:
        yield one


def deploy(arm, body, name="deploy", method="PUT", action=""):
    path = f"{arm.group_path}/providers/Microsoft.Resources/deployments/{name}{action}"
    # The Azure CLI writes "resourcegroups".
    path = path.replace("resourceGroups", "resourcegroups")
    return arm.request(method, path, body, api_version="2024-11-01")


def properties(body=TEMPLATE, parameters=PARAMETERS, **more):
    return {
        "properties": {
            "mode": "Incremental",
            "template": body,
            "parameters": parameters,
            **more,
        }
    }


def test_the_tutorial_s_template_is_deployed(arm):
    checked = deploy(arm, properties(), method="POST", action="/validate")
    assert checked.json()["properties"]["provisioningState"] == "Succeeded"
    assert arm.request("GET", arm.pool_path("my-pool")).status_code == 404
    created = deploy(arm, properties())
    assert created.status_code == 201
    assert created.json()["properties"]["provisioningState"] == "Running"
    status = arm.wait_for(created).json()
    assert status["status"] == "Succeeded"
    found = deploy(arm, None, method="GET").json()
    assert found["properties"]["provisioningState"] == "Succeeded"
    assert found["properties"]["outputResources"] == [{"id": arm.pool_path("my-pool")}]
    assert Endpoint(arm, "my-pool").post("ping").status_code == 200
    assert deploy(arm, properties()).status_code == 200  # again: nothing new


def test_secure_parameters_are_not_shown(arm):
    body = template(
        parameters={**TEMPLATE["parameters"], "secret": {"type": "secureString"}},
    )
    given = {**PARAMETERS, "name": {"value": "other"}, "secret": {"value": "hush-hush"}}
    created = deploy(arm, properties(body, given), name="secure")
    assert created.status_code == 201
    assert "hush-hush" not in created.text
    assert created.json()["properties"]["parameters"]["secret"] == {"type": "secureString"}
    arm.wait_for(created)


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({}, "InvalidRequestContent"),
        ([], "InvalidRequestContent"),
        (properties(mode="Complete"), "InvalidDeployment"),
        (properties(resource(name="[uniqueString('x')]")), "InvalidTemplate"),
        (properties(resource(name="-bad-")), "InvalidTemplateDeployment"),
        (properties(resource(apiVersion="2020-01-01")), "InvalidTemplateDeployment"),
    ],
)
def test_deployments_that_are_refused(arm, body, code):
    answer = deploy(arm, body, name="refused")
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, code)
    assert deploy(arm, None, name="refused", method="GET").status_code == 404


def test_the_inner_error_says_what_is_wrong(arm):
    answer = deploy(arm, properties(resource(name="-bad-")))
    (inner,) = answer.json()["error"]["details"]
    assert inner["code"] == "InvalidSessionPoolName"
    assert "-bad-" in inner["message"]


def test_a_deployment_whose_resource_fails():
    with running_control_plane(quirks=["provisioning_fails"]) as arm:
        status = arm.wait_for(deploy(arm, properties())).json()
        assert status["status"] == "Failed"
        assert status["error"]["code"] == "DeploymentFailed"
        assert status["error"]["details"][0]["code"] == "SessionPoolOperationError"
        found = deploy(arm, None, method="GET").json()
        assert found["properties"]["provisioningState"] == "Failed"
