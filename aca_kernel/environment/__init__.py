"""One session environment: getting it, reaching the agent in it, handing it on.

    environment       its id, its clock, and the calls that reach it
    launch            an environment with a remote kernel booted in it
    retry             calls repeated through what passes by itself
    relay             one generation of it: makes the calls of exchanges
    exchange          what to call next, and what an answer says: a protocol without I/O
    tool_call         one call of an exchange
    windows           how long exchanges are held open, when the next one is sent ahead
    page_size         how much one call carries, and its answer
    side_by_side      a long log, read by several calls at a time
    line_watch        notices that a line is lost while calls wait
    boot              the agent's way into the session interpreter
    remote_sources    what is sent to it, as this kernel found it when it started
    variables         environment variables that are passed on to it
    near_files        files of the agent's folder that this machine sees
    side_channel      the way round a pending exchange, by the shell tool
    handover          environments that outlive their kernel
    waiting_line      kernels that wait for a place in a full pool, in order
    lock_files        files that a process holds for as long as it lives

Every call made here may be repeated. Nothing here knows of front ends or of what a record says.

Above: `checkpoint`, `host` and `kernel`. Below: `pool`, `messaging`, `remote`.
"""
