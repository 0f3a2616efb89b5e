"""A session pool on this machine: the service's MCP face over sandboxed Python sessions.

    serve, __main__, embedded  start a pool for a person, for a parent process
    service                    a pool with its server, from open port to last file
    server                     HTTP: who may call, how large, how answers are written
    controlplane/              Azure Resource Manager: creates pools, gives out keys and tokens
    hosted                     one pool with its protocol, key and files
    faults, keys               failures on demand and counters; the API key
    mcp                        JSON-RPC and the methods of the protocol
    stateless                  how requests of the protocol's stateless revision differ
    tools                      the tools, their arguments and results
    session_pool               environments, their life, and how many there may be
    session, channel           one session on the event loop: calls and time limits
    prepare                    what a start does before it imports a server
    directories                where sessions' files are, and sweeping after dead pools
    sandbox                    the processes of one session; bubblewrap, cgroup, lane,
                               python_environment and network are its parts
    options                    all settings
    inside/                    the programs that run in the sandbox

Above: `cli`, which serves one; `pool` and `batch` start one as a process. Below: `errors`, and
`remote.large_json` for its JSON.

Each module imports only what stands below it.
Those from `options` up to `prepare` need no event loop: a pool starts its first session's
processes before it imports tornado, which takes longer than all the rest.
"""
