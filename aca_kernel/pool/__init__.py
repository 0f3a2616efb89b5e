"""Session pools: the contract, three kinds of them, and the MCP client.

The only room that opens connections.

    backend           the contract, and a pool known by its endpoint and key
    embedded_backend  a pool of this kernel's own, beside it
    embedded_process  its process, started before this one has imported anything
    mcp_client        JSON-RPC: `initialize`, `tools/list`, `tools/call`
    mcp_errors        what is refused, as our errors
    tool_result       what a tool answered, in our names
    round_trip        how far a pool is
    transport/        HTTP: a request's body to a pool, and the answer back
    azure/            the control plane: pools known by their names in Azure

Nothing is imported here: `__main__` starts the embedded pool's process by a module of this
package, before anything else is imported.

Above: `environment`. Below: `remote.large_json`, `settings` and `errors`.
"""
