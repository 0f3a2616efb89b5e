"""What the environment may ask of this machine. All that it says is checked here, nowhere else.

    calls                the table of what can be asked, and who does it
    call                 one such request, read with a check of its types
    checkpoint_commands  checkpoints that a cell asks for
    permission           whether the running cell's own text asks for it
    shell                `!` commands, started with the shell tool
    status               this side's part of `%aca status`
    transfer             `%aca upload` and `%aca download`: this machine's half
    open_files           the table of files that are on their way, for all directions
    notebook_files/      files beside the notebook: what is let out, and what comes back

Above: `kernel`. Below: `checkpoint`, `environment`, `messaging`, `pool`, `remote`.
"""
