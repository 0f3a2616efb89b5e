"""Session pools in Resource Manager: what a change sends, and which names of actions are tried."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest

from aca_kernel import errors
from aca_kernel.pool.azure.arm import Arm
from aca_kernel.pool.azure.pools import SessionPools, endpoint_of
from aca_kernel.pool.azure.resource_groups import register_mcp_feature
from aca_kernel.pool.azure.resource_names import PoolId, ResourceGroupId
from aca_kernel.pool.azure.shapes import PoolChoices, changed_pool, pool_from

from .support import SUBSCRIPTION, CannedArm, canned_arm, clean, identity, local_cloud, with_arm

POOL = PoolId(ResourceGroupId(SUBSCRIPTION, "group"), "west")


@pytest.fixture
def url(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    with canned_arm() as address:
        clean(monkeypatch, identity(address))
        yield address


def asked(url: str, use: Callable[[Arm], Awaitable[Any]]) -> Any:
    async def once(arm: Arm) -> Any:
        return await use(arm)

    return asyncio.run(with_arm(local_cloud(url), once))


def refused(status: int, code: str = "", message: str = "") -> tuple[int, dict[str, str], Any]:
    body = {"error": {"code": code, "message": message}} if code else b""
    return status, {"content-type": "application/json"}, body


def seen() -> list[str]:
    """The last part of each path that was asked for, by its method."""
    return [
        f"{method} {urlsplit(path).path.rsplit('/', 1)[1]}" for method, path, _ in CannedArm.seen
    ]


ROTATIONS = ["POST regenerateCredentials", "POST rotateMcpServerCredentials"]


@pytest.mark.parametrize(
    "answer",
    [
        refused(404),
        refused(404, "NotFound", "No such action."),
        refused(404, "InvalidResourceType", "There is no such type."),
        refused(405, "MethodNotAllowed", "Not here."),
        refused(400, "InvalidAction", "The action 'regenerateCredentials' is not supported."),
        refused(400, "BadRequest", "The requested resource does not support http method 'POST'."),
    ],
)
def test_a_rotation_that_is_not_known_is_tried_by_its_other_name(url: str, answer: Any) -> None:
    CannedArm.answers = [answer, (200, {}, {"apiKey": "new"})]
    asked(url, lambda arm: SessionPools(arm).rotate_key(POOL))
    assert seen() == ROTATIONS


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (refused(404, "ResourceNotFound", "No pool."), errors.PoolNotFound),
        (refused(404, "ResourceGroupNotFound", "No group."), errors.PoolNotFound),
        (refused(400, "SessionMCPServerNotEnabled", "It is off."), errors.PoolNotFound),
        (refused(403, "AuthorizationFailed", "No role for the action."), errors.AccessDenied),
        (refused(503, "ServiceUnavailable"), errors.ResultUnknown),
    ],
)
def test_a_rotation_that_is_refused_or_may_have_been_done_is_not_tried_again(
    url: str, answer: Any, expected: type[Exception]
) -> None:
    CannedArm.answers = [answer, (200, {}, {"apiKey": "new"})]
    with pytest.raises(expected):
        asked(url, lambda arm: SessionPools(arm).rotate_key(POOL))
    assert seen() == ROTATIONS[:1]


def feature(state: str) -> tuple[int, dict[str, str], Any]:
    return 200, {}, {"properties": {"state": state}}


def register(url: str) -> str:
    said = asked(url, lambda arm: register_mcp_feature(arm, SUBSCRIPTION))
    assert isinstance(said, str)
    return said


@pytest.mark.parametrize(
    "answer",
    [
        feature("Registered"),
        feature("Pending"),
        refused(403, "AuthorizationFailed", "No role."),
        refused(404, "FeatureNotFound", "No such feature."),
        refused(400, "BadRequest", "No."),
    ],
)
def test_a_feature_that_is_there_or_cannot_be_looked_at_is_left_alone(
    url: str, answer: Any
) -> None:
    CannedArm.answers = [answer]
    assert register(url) == ""
    assert seen() == ["GET SessionPoolsSupportMCP"]


def test_a_feature_that_this_login_cannot_register_is_told(url: str) -> None:
    CannedArm.answers = [feature("NotRegistered"), refused(403, "AuthorizationFailed", "No role.")]
    assert "could not register it (HTTP 403 AuthorizationFailed)" in register(url)
    assert seen() == ["GET SessionPoolsSupportMCP", "POST register"]


def test_a_feature_that_waits_for_approval_is_told(url: str) -> None:
    CannedArm.answers = [feature("NotRegistered"), (200, {}, {}), feature("Pending")]
    assert "is Pending" in register(url)


RESOURCE = {
    "id": f"{POOL.path}",
    "name": "west",
    "type": "Microsoft.App/sessionPools",
    "systemData": {"createdBy": "somebody"},
    "location": "eastus",
    "tags": {"team": "west"},
    "identity": {"type": "SystemAssigned"},
    "kind": "unheard-of",
    "properties": {
        "provisioningState": "Succeeded",
        "poolManagementEndpoint": "https://eastus.example",
        "containerType": "PythonLTS",
        "scaleConfiguration": {"maxConcurrentSessions": 5, "readySessionInstances": 2, "new": 1},
        "dynamicPoolConfiguration": {
            "lifecycleConfiguration": {
                "lifecycleType": "Timed",
                "coolDownPeriodInSeconds": 300,
                "maxAlivePeriodInSeconds": 900,
            },
            "new": 2,
        },
        "sessionNetworkConfiguration": {"status": "EgressEnabled", "new": 3},
        "mcpServerSettings": {
            "isMcpServerEnabled": True,
            "isMcpServerApiKeyDisabled": True,
            "mcpServerEndpoint": "https://eastus.example/mcp",
            "new": 4,
        },
        "managedIdentitySettings": [{"identity": "system", "lifecycle": "None"}],
        "unheardOf": {"of": 5},
    },
}


def test_a_change_sends_again_whatever_it_does_not_change() -> None:
    choices = PoolChoices(max_sessions=7, cooldown_seconds=600, egress="disabled")
    assert changed_pool(RESOURCE, choices) == {
        "location": "eastus",
        "tags": {"team": "west"},
        "identity": {"type": "SystemAssigned"},
        "kind": "unheard-of",
        "properties": {
            "containerType": "PythonLTS",
            "scaleConfiguration": {
                "maxConcurrentSessions": 7,
                "readySessionInstances": 2,
                "new": 1,
            },
            "dynamicPoolConfiguration": {
                "lifecycleConfiguration": {
                    "lifecycleType": "Timed",
                    "coolDownPeriodInSeconds": 600,
                    "maxAlivePeriodInSeconds": 900,
                },
                "new": 2,
            },
            "sessionNetworkConfiguration": {"status": "EgressDisabled", "new": 3},
            "mcpServerSettings": {
                "isMcpServerEnabled": True,
                "isMcpServerApiKeyDisabled": True,
                "new": 4,
            },
            "managedIdentitySettings": [{"identity": "system", "lifecycle": "None"}],
            "unheardOf": {"of": 5},
        },
    }


def test_a_version_that_is_not_offered_is_got_along_without(url: str) -> None:
    unknown = refused(400, "NoRegisteredProviderFound", "No such api-version.")
    CannedArm.answers = [unknown, (200, {}, RESOURCE)]
    pool = asked(url, lambda arm: SessionPools(arm).get_in_full(POOL))
    assert pool.is_key_disabled
    versions = [path.partition("api-version=")[2] for _, path, _ in CannedArm.seen]
    assert versions == ["2025-10-02-preview", "2025-02-02-preview"]


def test_a_pool_with_its_keys_disabled_has_no_endpoint_for_us() -> None:
    with pytest.raises(errors.AccessDenied, match="keys disabled"):
        endpoint_of(pool_from(RESOURCE))
