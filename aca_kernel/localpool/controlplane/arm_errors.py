"""Every error of Resource Manager that the control plane answers, by the fact it states.

Source of codes and texts: https://learn.microsoft.com/azure/azure-resource-manager/troubleshooting/common-deployment-errors
and answers of the service; where Microsoft.App documents no code, the comment says so.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..mcp import Answer

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

# Where a client is told to get a token; Resource Manager names the tenant there, too.
_CHALLENGE = (
    'Bearer authorization_uri="https://login.microsoftonline.com/{tenant}", error="{error}"'
)


class ArmError(Exception):
    """An answer other than success.

    details: errors that this one is made of, innermost last.
    """

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        *,
        headers: Mapping[str, str] | None = None,
        details: Sequence[ArmError] = (),
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.headers = dict(headers or {})
        self.details = details

    def body(self) -> dict[str, Any]:
        """Return what stands in the member "error"."""
        body: dict[str, Any] = {"code": self.code, "message": self.message}
        if self.details:
            body["details"] = [detail.body() for detail in self.details]
        return body

    def answer(self) -> Answer:
        """Return the whole answer."""
        return Answer(self.status, {"error": self.body()}, self.headers)


def unauthenticated(code: str, message: str, tenant: str) -> ArmError:
    """Return that there is no token, or that it does not count."""
    error = "invalid_token" if code != "AuthenticationFailed" else "authorization_required"
    challenge = _CHALLENGE.format(tenant=tenant, error=error)
    return ArmError(401, code, message, headers={"WWW-Authenticate": challenge})


def authorization_failed(client: str, action: str, scope: str) -> ArmError:
    """Return that the caller has no role for an action."""
    return ArmError(
        403,
        "AuthorizationFailed",
        f"The client '{client}' with object id '{client}' does not have authorization to perform "
        f"action '{action}' over scope '{scope}' or the scope is invalid. If access was recently "
        "granted, please refresh your credentials.",
    )


def throttled(subscription: str, seconds: int) -> ArmError:
    """Return that requests come too fast."""
    return ArmError(
        429,
        "SubscriptionRequestsThrottled",
        f"Number of requests for subscription '{subscription}' exceeded. "
        f"Please try again after '{seconds}' seconds.",
        headers={"Retry-After": str(seconds)},
    )


def missing_api_version() -> ArmError:
    """Return that the query names no api-version."""
    return ArmError(
        400,
        "MissingApiVersionParameter",
        "The api-version query parameter (?api-version=) is required for all requests.",
    )


def invalid_api_version(version: str) -> ArmError:
    """Return that an api-version is no date."""
    return ArmError(
        400,
        "InvalidApiVersionParameter",
        f"The api-version '{version[:50]}' is invalid. It is of the form 2025-01-01[-preview].",
    )


def no_registered_provider(
    location: str, version: str, kind: str, versions: Sequence[str], locations: Sequence[str]
) -> ArmError:
    """Return that a resource type has no such api-version."""
    return ArmError(
        400,
        "NoRegisteredProviderFound",
        f"No registered resource provider found for location '{location}' and API version "
        f"'{version[:50]}' for type '{kind}'. The supported api-versions are "
        f"'{', '.join(versions)}'. The supported locations are '{', '.join(locations)}'.",
    )


def invalid_resource_type(kind: str, namespace: str, version: str) -> ArmError:
    """Return that there is no such resource type here."""
    return ArmError(
        404,
        "InvalidResourceType",
        f"The resource type '{kind[:100]}' could not be found in the namespace "
        f"'{namespace[:100]}' for api version '{version[:50]}'.",
    )


def invalid_namespace(namespace: str) -> ArmError:
    """Return that there is no such resource provider here."""
    return ArmError(
        404,
        "InvalidResourceNamespace",
        f"The resource namespace '{namespace[:100]}' is invalid.",
    )


def method_not_allowed(method: str, allowed: Sequence[str]) -> ArmError:
    """Return that a resource has no such method."""
    return ArmError(
        405,
        "MethodNotAllowed",
        f"The request method '{method}' is not allowed here.",
        headers={"Allow": ", ".join(allowed)},
    )


def subscription_not_found(subscription: str) -> ArmError:
    """Return that there is no such subscription."""
    return ArmError(
        404,
        "SubscriptionNotFound",
        f"The subscription '{subscription[:100]}' could not be found.",
    )


def group_not_found(group: str) -> ArmError:
    """Return that there is no such resource group."""
    return ArmError(
        404, "ResourceGroupNotFound", f"Resource group '{group[:100]}' could not be found."
    )


def resource_not_found(kind: str, name: str, group: str) -> ArmError:
    """Return that there is no such resource in a group."""
    return ArmError(
        404,
        "ResourceNotFound",
        f"The Resource '{kind}/{name[:100]}' under resource group '{group}' was not found. "
        "For more details please go to https://aka.ms/ARMResourceNotFoundFix",
    )


def not_found(what: str, name: str) -> ArmError:
    """Return that there is no such deployment or operation."""
    return ArmError(404, f"{what}NotFound", f"{what} '{name[:100]}' could not be found.")


def missing_registration(namespace: str) -> ArmError:
    """Return that the subscription has not registered a resource provider."""
    return ArmError(
        409,
        "MissingSubscriptionRegistration",
        f"The subscription is not registered to use namespace '{namespace}'. "
        "See https://aka.ms/rps-not-found for how to register subscriptions.",
    )


def mcp_not_enabled(pool: str) -> ArmError:
    """Return that a pool has no MCP server, and so no credentials. Observed 2026-08."""
    return ArmError(
        400,
        "SessionMCPServerNotEnabled",
        f"Session pool '{pool}' does not have MCP Server enabled.",
    )


def invalid_content(message: str) -> ArmError:
    """Return that a body cannot be read."""
    return ArmError(
        400,
        "InvalidRequestContent",
        f"The request content was invalid and could not be deserialized: {message}",
    )


def invalid_value(name: str, wanted: str) -> ArmError:
    """Return that a property of a pool cannot be so. Microsoft.App documents no code for it."""
    return ArmError(400, "InvalidParameterValue", f"The property '{name}' must be {wanted}.")


def invalid_name(kind: str, name: str, rule: str) -> ArmError:
    """Return that a name does not follow its rule."""
    return ArmError(
        400, f"Invalid{kind}Name", f"The name '{name[:100]}' is invalid: it must be {rule}."
    )


def location_required() -> ArmError:
    """Return that a definition says no location."""
    return ArmError(
        400, "LocationRequired", "The location property is required for this definition."
    )


def location_not_available(location: str, kind: str, locations: Sequence[str]) -> ArmError:
    """Return that there is no such location."""
    return ArmError(
        400,
        "LocationNotAvailableForResourceType",
        f"The provided location '{location[:50]}' is not available for resource type '{kind}'. "
        f"List of available regions for the resource type is '{','.join(locations)}'.",
    )


def cannot_change(name: str, old: str, new: str) -> ArmError:
    """Return that a property was settled when the resource was created."""
    return ArmError(
        409,
        "PropertyChangeNotAllowed",
        f"Changing property '{name}' is not allowed: it is '{old}', not '{new[:100]}'.",
    )


def in_progress(pool: str, state: str) -> ArmError:
    """Return that a pool is still busy. Microsoft.App documents no code for it."""
    return ArmError(
        409,
        "OperationInProgress",
        f"Session pool '{pool}' is in state '{state}'. Try again when the operation has ended.",
    )


def group_being_deleted(group: str) -> ArmError:
    """Return that a resource group is about to disappear."""
    return ArmError(
        409,
        "ResourceGroupBeingDeleted",
        f"The resource group '{group}' is in deprovisioning state and cannot perform this "
        "operation.",
    )


def provisioning_failed(pool: str, reason: str) -> ArmError:
    """Return why a pool could not be made, as the operation states it."""
    return ArmError(
        500,
        "SessionPoolOperationError",
        f"Session pool '{pool}' could not be provisioned: {reason}",
    )


def invalid_template(message: str) -> ArmError:
    """Return that a template, or its parameters, cannot be deployed."""
    return ArmError(400, "InvalidTemplate", f"Deployment template validation failed: '{message}'.")


def invalid_deployment(cause: ArmError) -> ArmError:
    """Return that a resource of a template cannot be as the template has it."""
    return ArmError(
        400,
        "InvalidTemplateDeployment",
        "The template deployment failed because a resource did not pass validation. "
        "See the inner error for details.",
        details=[cause],
    )


def deployment_failed(causes: Sequence[ArmError]) -> ArmError:
    """Return that resources of a deployment failed, as its operation states it."""
    return ArmError(
        400,
        "DeploymentFailed",
        "At least one resource deployment operation failed. Please list deployment operations "
        "for details. Please see https://aka.ms/arm-deployment-operations for usage details.",
        details=causes,
    )
