"""`aca-kernel doctor`: the steps of a kernel start, one after the other.

    report             outcomes of checks, and their report
    checklist          a run of checks, and the consequence of a failed one
    check_machine      kernelspec and settings
    check_network      name, proxy, connection and certificate of an address
    check_azure        login, subscription, role, pool and key in Azure
    check_pool         the MCP server, up to the launch of an environment
    probe              the part in that environment: standard library, Python 3.9 or later
    check_environment  packages and behaviour of the environment
    command            the command itself

Each imports only what stands above it.
"""
