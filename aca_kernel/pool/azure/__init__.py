"""The control plane: session pools as Azure Resource Manager knows them.

    resource_names   subscription, resource group, pool: checked before anything is sent
    shapes           Resource Manager's camelCase into our values, and back
    clouds           which Resource Manager, and who gives tokens for it
    credentials      tokens of azure-identity's DefaultAzureCredential
    account          what the Azure CLI says about the current account
    refusals         statuses and error codes into our errors
    arm              requests, and their repetition
    long_running     asynchronous operations, followed to their end
    pools            what can be done with a session pool
    resource_groups  resource groups, and the registration of the provider
    azure_backend    a pool that the kernel knows by its name

azure-identity and httpx are imported when they are first needed. Nothing here knows of
environments or of Jupyter.
"""
