"""The control plane: session pools in Azure Resource Manager.

    resource_names   subscription, resource group, pool: checked before anything is sent
    shapes           Resource Manager's camelCase into our values, and back
    clouds           the Resource Manager of a cloud, and its token authority
    credentials      tokens of azure-identity's DefaultAzureCredential
    account          the Azure CLI's current account
    refusals         statuses and error codes into our errors
    arm              requests, and their repetition
    long_running     asynchronous operations, followed to their end
    pools            operations on session pools
    resource_groups  resource groups, and the registration of the provider
    azure_backend    a pool that the kernel knows by its name

azure-identity and httpx are imported with their first use. Nothing here knows of environments
or of Jupyter.
"""
