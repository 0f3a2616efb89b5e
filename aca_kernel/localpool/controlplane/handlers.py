"""What each route answers: requests in, the plane's doing, Resource Manager's answers out."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..mcp import Answer
from . import names
from .arm_errors import ArmError, invalid_content, invalid_namespace, not_found
from .deployments import resolve, shown
from .operations import RETRY_AFTER_SECONDS, Operation
from .plane import FEATURE, NAMESPACE
from .resources import POOL_VERSIONS, Json, PoolResource, check_name
from .tokens import TENANT

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .plane import ControlPlane

DEPLOYMENT_TYPE = "Microsoft.Resources/deployments"


@dataclass(frozen=True)
class ArmRequest:
    """One request: `path` holds the names that the route's path has in braces."""

    method: str
    version: str
    path: Mapping[str, str]
    # Decoded JSON; None where there was none.
    body: Any
    # http://HOST:PORT as the client wrote it: the links of an answer lead back there.
    origin: str

    def link(self, path: str) -> str:
        """Return a link of this server with the request's api-version."""
        return f"{self.origin}{path}?api-version={self.version}"


class Handlers:
    """A method for each thing that can be asked for; `routes` says how."""

    def __init__(self, plane: ControlPlane) -> None:
        self._plane = plane
        self._options = plane.options

    # Subscriptions and providers

    def list_subscriptions(self, _request: ArmRequest) -> Answer:
        """Answer with the one subscription."""
        return Answer(200, {"value": [self._subscription()], "count": {"value": 1}})

    def get_subscription(self, _request: ArmRequest) -> Answer:
        """Answer with the subscription."""
        return Answer(200, self._subscription())

    def list_tenants(self, _request: ArmRequest) -> Answer:
        """Answer with the one tenant."""
        return Answer(200, {"value": [{"id": f"/tenants/{TENANT}", "tenantId": TENANT}]})

    def get_provider(self, request: ArmRequest) -> Answer:
        """Answer with the state of a resource provider."""
        return Answer(200, self._provider(request))

    def register_provider(self, request: ArmRequest) -> Answer:
        """Begin to register a resource provider."""
        body = self._provider(request)
        if body["namespace"] == NAMESPACE:
            self._plane.register()
        return Answer(200, self._provider(request))

    def get_feature(self, _request: ArmRequest) -> Answer:
        """Answer with the state of the feature that switches MCP servers on."""
        features = f"/subscriptions/{self._options.subscription}/providers/Microsoft.Features"
        return Answer(
            200,
            {
                "id": f"{features}/providers/{NAMESPACE}/features/{FEATURE}",
                "name": f"{NAMESPACE}/{FEATURE}",
                "type": "Microsoft.Features/providers/features",
                "properties": {"state": self._plane.feature_state()},
            },
        )

    def register_feature(self, request: ArmRequest) -> Answer:
        """Begin to register the feature."""
        self._plane.register_feature()
        return self.get_feature(request)

    def _subscription(self) -> Json:
        subscription = self._options.subscription
        return {
            "id": f"/subscriptions/{subscription}",
            "subscriptionId": subscription,
            "tenantId": TENANT,
            "displayName": "Local session pools",
            "state": "Enabled",
            "authorizationSource": "RoleBased",
        }

    def _provider(self, request: ArmRequest) -> Json:
        namespace = request.path["namespace"]
        if namespace.lower() == "microsoft.resources":
            namespace, state, types = "Microsoft.Resources", "Registered", []
        elif namespace.lower() == NAMESPACE.lower():
            namespace, state = NAMESPACE, self._plane.registration_state()
            types = [
                {
                    "resourceType": "sessionPools",
                    "locations": list(names.LOCATIONS.values()),
                    "apiVersions": list(POOL_VERSIONS),
                }
            ]
        else:
            raise invalid_namespace(namespace)
        return {
            "id": f"/subscriptions/{self._options.subscription}/providers/{namespace}",
            "namespace": namespace,
            "registrationPolicy": "RegistrationRequired",
            "registrationState": state,
            "resourceTypes": types,
        }

    # Resource groups

    def list_groups(self, _request: ArmRequest) -> Answer:
        """Answer with all resource groups."""
        return Answer(200, {"value": [group.body() for group in self._plane.groups()]})

    def get_group(self, request: ArmRequest) -> Answer:
        """Answer with a resource group."""
        return Answer(200, self._plane.group(request.path["group"]).body())

    def head_group(self, request: ArmRequest) -> Answer:
        """Answer whether there is such a resource group: 204, or 404."""
        self._plane.group(request.path["group"])
        return Answer(204)

    def put_group(self, request: ArmRequest) -> Answer:
        """Create or change a resource group."""
        group, is_new = self._plane.put_group(request.path["group"], request.body)
        return Answer(201 if is_new else 200, group.body())

    def delete_group(self, request: ArmRequest) -> Answer:
        """Begin to delete a resource group; Resource Manager says Location, and nothing else."""
        operation = self._plane.delete_group(request.path["group"])
        result = f"/subscriptions/{self._options.subscription}/operationresults/{operation.id}"
        return Answer(202, headers=_polling(Location=request.link(result)))

    def list_resources(self, request: ArmRequest) -> Answer:
        """Answer with what is in a resource group."""
        kept = ("id", "name", "type", "location", "tags")
        bodies = (self._body(pool, request) for pool in self._plane.pools(request.path["group"]))
        return Answer(200, {"value": [{name: body[name] for name in kept} for body in bodies]})

    # Session pools

    def list_pools(self, request: ArmRequest) -> Answer:
        """Answer with the pools of a resource group, or of the subscription."""
        pools = self._plane.pools(request.path.get("group"))
        return Answer(200, {"value": [self._body(pool, request) for pool in pools]})

    def get_pool(self, request: ArmRequest) -> Answer:
        """Answer with a pool."""
        pool = self._plane.pool(request.path["group"], request.path["pool"])
        return Answer(200, self._body(pool, request))

    def put_pool(self, request: ArmRequest) -> Answer:
        """Begin to create or replace a pool."""
        group, name = request.path["group"], request.path["pool"]
        pool, operation, is_new = self._plane.put_pool(group, name, request.version, request.body)
        headers = self._operation_headers(operation, request, with_location=False)
        return Answer(201 if is_new else 200, self._body(pool, request), headers)

    def patch_pool(self, request: ArmRequest) -> Answer:
        """Begin to change a pool."""
        operation = self._plane.patch_pool(
            request.path["group"], request.path["pool"], request.body
        )
        return Answer(202, headers=self._operation_headers(operation, request))

    def delete_pool(self, request: ArmRequest) -> Answer:
        """Begin to delete a pool; 204 if there is none."""
        operation = self._plane.delete_pool(request.path["group"], request.path["pool"])
        if operation is None:
            return Answer(204)
        return Answer(202, headers=self._operation_headers(operation, request))

    def fetch_key(self, request: ArmRequest) -> Answer:
        """Answer with a pool's API key."""
        key = self._plane.fetch_key(request.path["group"], request.path["pool"])
        return Answer(200, {"apiKey": key}, {"Cache-Control": "no-store"})

    def regenerate_key(self, request: ArmRequest) -> Answer:
        """Do the same by the name that the documentation has for it."""
        if self._options.quirks.rotation_as_specified:
            # What the service would say is not known.
            raise ArmError(404, "NotFound", "There is no action 'regenerateCredentials'.")
        return self.rotate_key(request)

    def rotate_key(self, request: ArmRequest) -> Answer:
        """Make a new API key and answer with it."""
        key = self._plane.rotate_key(request.path["group"], request.path["pool"])
        return Answer(200, {"apiKey": key}, {"Cache-Control": "no-store"})

    def _body(self, pool: PoolResource, request: ArmRequest) -> Json:
        return pool.body(request.version, request.origin, self._options.quirks)

    # Operations

    def get_status(self, request: ArmRequest) -> Answer:
        """Answer with the status of an operation, 200 whatever it is."""
        operation = self._operation(request)
        path = self._operations_path("Statuses", operation.id)
        headers = _polling() if operation.is_running else {}
        return Answer(200, operation.body(path), headers)

    def get_result(self, request: ArmRequest) -> Answer:
        """Answer as Location does: 202 while it runs, then with the result."""
        operation = self._operation(request)
        if operation.is_running:
            location = request.link(self._operations_path("Results", operation.id))
            return Answer(202, headers=_polling(Location=location))
        if operation.error is not None:
            raise operation.error
        for pool in self._plane.pools():
            if pool.id == operation.resource_id:
                return Answer(200, self._body(pool, request))
        return Answer(204)

    def get_group_result(self, request: ArmRequest) -> Answer:
        """Answer as Location does for a resource group: 202 while it runs, then 200."""
        operation = self._operation(request)
        if not operation.is_running:
            return Answer(200)
        result = f"/subscriptions/{self._options.subscription}/operationresults/{operation.id}"
        return Answer(202, headers=_polling(Location=request.link(result)))

    def _operation(self, request: ArmRequest) -> Operation:
        operation = self._plane.operations.find(request.path["operation"])
        if operation is None:
            raise not_found("Operation", request.path["operation"])
        return operation

    def _operations_path(self, kind: str, operation_id: str) -> str:
        return (
            f"/subscriptions/{self._options.subscription}/providers/{NAMESPACE}/locations/"
            f"{self._options.location}/containerappOperation{kind}/{operation_id}"
        )

    def _operation_headers(
        self, operation: Operation, request: ArmRequest, *, with_location: bool = True
    ) -> dict[str, str]:
        status = request.link(self._operations_path("Statuses", operation.id))
        headers = _polling(**{"Azure-AsyncOperation": status})
        if with_location:
            headers["Location"] = request.link(self._operations_path("Results", operation.id))
        return headers

    # Deployments

    def put_deployment(self, request: ArmRequest) -> Answer:
        """Begin to deploy a template."""
        group = self._plane.group(request.path["group"])
        name = request.path["deployment"]
        check_name("deployment", "Deployment", name)
        resources, properties = _read_template(request.body)
        is_new = name.lower() not in group.deployments
        deployment: Json = {
            "id": f"{group.id}/providers/{DEPLOYMENT_TYPE}/{name}",
            "name": name,
            "type": DEPLOYMENT_TYPE,
            "properties": properties,
        }
        operation = self._plane.deploy(group.name, deployment, resources)
        group.deployments[name.lower()] = deployment
        status = request.link(f"{deployment['id']}/operationStatuses/{operation.id}")
        headers = _polling(**{"Azure-AsyncOperation": status})
        return Answer(201 if is_new else 200, deployment, headers)

    def validate_deployment(self, request: ArmRequest) -> Answer:
        """Check a template without deploying it."""
        group = self._plane.group(request.path["group"])
        resources, properties = _read_template(request.body)
        self._plane.check_deployment(group.name, resources)
        return Answer(200, {"properties": {**properties, "provisioningState": "Succeeded"}})

    def get_deployment(self, request: ArmRequest) -> Answer:
        """Answer with a deployment."""
        group = self._plane.group(request.path["group"])
        deployment = group.deployments.get(request.path["deployment"].lower())
        if deployment is None:
            raise not_found("Deployment", request.path["deployment"])
        return Answer(200, deployment)

    def get_deployment_status(self, request: ArmRequest) -> Answer:
        """Answer with the status of a deployment's operation."""
        operation = self._operation(request)
        body = operation.body(f"{operation.resource_id}/operationStatuses/{operation.id}")
        if operation.is_running:
            body["status"] = "Running"
        return Answer(200, body, _polling() if operation.is_running else {})


def _read_template(body: Any) -> tuple[Any, Json]:
    """Return a deployment's resources, and its properties as they are answered."""
    properties = body.get("properties") if isinstance(body, dict) else None
    if not isinstance(properties, dict):
        raise invalid_content("'properties' must be an object.")
    mode = properties.get("mode", "Incremental")
    if str(mode).lower() != "incremental":
        raise ArmError(
            400, "InvalidDeployment", f"This server deploys in mode Incremental, not '{mode}'."
        )
    template, given = properties.get("template"), properties.get("parameters")
    resources = resolve(template, given)
    return resources, {
        "mode": "Incremental",
        "parameters": shown(template, given),
        "provisioningState": "Accepted",
        "correlationId": str(uuid.uuid4()),
    }


def _polling(**headers: str) -> dict[str, str]:
    return {"Retry-After": str(RETRY_AFTER_SECONDS), **headers}
