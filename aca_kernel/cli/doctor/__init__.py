"""`aca-kernel doctor`: what a kernel start would do, step by step, and where it fails.

    report             what a check found, and how it is shown
    checklist          checks one after the other, and what follows from a failed one
    check_machine      kernelspec and settings
    check_network      name, proxy, connection and certificate of an address
    check_azure        login, subscription, role, pool and key in Azure
    check_pool         the MCP server, up to the launch of an environment
    probe              what runs in that environment: standard library, Python 3.9 or later
    check_environment  what the environment has, and how it behaves
    command            the command itself

Each imports only what stands above it.
"""
