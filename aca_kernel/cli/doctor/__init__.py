"""`aca-kernel doctor`: what a kernel start would do, step by step, and where it fails.

    report     what a check found, and how it is shown
    course     checks one after the other, and what follows from a failed one
    local      kernelspec and settings
    network    name, proxy, connection and certificate of an address
    control    login, subscription, role, pool and key in Azure
    session    the MCP server, up to the launch of an environment
    probe      what runs in that environment: standard library, Python 3.9 or later
    inside     what the environment has, and how it behaves
    command    the command itself

Each imports only what stands above it.
"""
