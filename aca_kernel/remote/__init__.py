"""What runs in the environment: standard library, relative imports, Python 3.9 or later.

These files are sent to the environment as they are and loaded there as the package
`_aca_remote`; see loader.py. Where a module says so it uses pyzmq and ipykernel, which the
environment must have. All that lies here is sent (environment/remote_sources.py).

    wire               the form in which records travel, for both halves
    loader             unpacks the agent in the session interpreter and starts it
    agent              keeps the remote kernel's messages in a log and answers exchanges
    session_ipython    leads exchanges past a session interpreter that is an IPython
    call_socket        the socket between the agent and who calls it
    depot              files that the kernel keeps in the agent's folder
    spawn, process     the remote kernel's process: its start, and its life
    retirement         what is left of a generation, and how it is removed
    launcher           the program of the remote kernel
    arguments          ipykernel's own arguments, without those that cannot be applied
    extension          what is changed in it
    shell              `!` commands
    magic              the line magic `%aca`; command_line reads such a line, for both halves
    asking             questions to the user's machine
    transfer           `%aca upload` and `%aca download`; transfer_progress shows how far they are
    paging             the loops that send and take the pages of a file
    paged_files        files on their way, at both ends
    notebook_files/    files beside the notebook
    state, origin      checkpoints as the remote kernel sees them; what it was like at first
    checkpoint/        how they are taken and brought back; sent with the first one
    large_json         JSON that is one long string for the most part
    trimming           tracebacks without what is ours

Above: all rooms, which use `wire`, `command_line`, `paged_files` and `large_json`, and
`localpool` the last of these only. Below: nothing of ours.
"""
