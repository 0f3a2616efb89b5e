"""One session environment: getting it, reaching the agent in it, handing it on.

    environment       its id, its clock, and the calls that reach it
    launch            an environment with a remote kernel booted in it
    relay             one generation of it: the agent's boot, and the exchange of records
    tool_concurrency  whether the shell tool gets past a pending exchange
    handover          environments that outlive their kernel
    waiting_line      kernels that wait for a place in a full pool, in order

Every call made here may be repeated. Nothing here knows of front ends or of what a record says.

Above: `checkpoint`, `host` and `kernel`. Below: `pool`, `messaging`, `remote`.
"""
