"""The control plane of the local pool: as much of Azure Resource Manager as the tutorial uses.

    arm_server     who is let in; api-versions, roles, links
    routes         which path and method does what
    handlers       what each route answers
    plane          what requests do: pools that start and end, operations that take their time
    deployments    ARM templates, resolved
    operations     asynchronous operations as clients see them
    resources      session pools and resource groups: checked, merged and written as JSON
    tokens         bearer tokens, and the managed identity endpoint that gives them
    names          what names may look like
    arm_errors     every error of Resource Manager that is answered here

Each imports only what stands below it. `resources` and what is below it do no input or output.
Imported only by a pool that serves a control plane: an embedded one must start quickly.

Sources: the tutorial; the specification of Microsoft.App/sessionPools at api-version
2025-10-02-preview (github.com/Azure/azure-rest-api-specs); the Resource Manager RPC
(github.com/cloud-and-ai-microsoft/resource-provider-contract); what other people measured at
the service in 2026 is called "observed".
"""
