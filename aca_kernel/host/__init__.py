"""Requests of the environment to this machine, all checked here and nowhere else.

    calls                requests, and their answers
    call_table           the table of requests and who does what they ask
    call                 one request, read with a check of its types
    checkpoint_commands  checkpoints that a cell asks for
    permission           permission by the running cell's own text
    shell                `!` commands, started with the shell tool
    status               this side's part of `%aca status`
    transfer             `%aca upload` and `%aca download`: this machine's half
    folder_transfer      folders: what of them is sent and taken
    paged_source         pages of a file that is sent
    open_files           the table of files in transfer, for all directions
    notebook_files/      files beside the notebook, sent and returned

Above: `kernel`. Below: `checkpoint`, `environment`, `messaging`, `pool`, `remote`.
"""
