"""The half that runs in the environment: standard library, relative imports, Python 3.9 or later.

All files here are sent to the environment (environment/remote_sources.py) and loaded there as the
package `_aca_remote` (loader.py). Where a module says so it needs pyzmq, ipykernel or IPython.

    wire               the encoding of records, for both halves
    loader             writes the agent's modules in the environment and starts it
    agent              starts remote kernels and answers exchanges
    kernel_messages    what they are told and say, in order, for the log
    open_requests      what the remote kernel has not finished
    pacing             for how long an exchange waits for more
    readiness          whether a new remote kernel answers
    wake_fifo          ends an exchange that is held open
    install_ipykernel  what a remote kernel needs, where it is missing
    session_ipython    exchanges in a session interpreter that is an IPython
    call_socket        the socket between the agent and its callers
    servers            servers in the environment that outputs name
    spool              the beginning of the log, in pieces for answers that are cut
    agent_folder       the agent's folder, and its recovery
    depot              files that the kernel keeps in the agent's folder
    spawn, process     the start of the remote kernel's process, and its life
    retirement         removal of a generation's processes and files
    launcher           the program of the remote kernel
    arguments          ipykernel's own arguments, without those that cannot be applied
    extension          changes to ipykernel in it
    ahead_of_replies   cells that are sent before the replies to those before them have come
    shell, starter     `!` commands; ahead: of a starter that is there before
    facts_ahead        facts about files that came along with a cell
    magic              the line magic `%aca`; command_line parses it, for both halves
    asking             questions to the user's machine
    transfer           `%aca upload` and `%aca download`, with transfer_progress
    paging             loops that send and receive the pages of a file
    paged_files        files in transfer, at both ends; folder_stream: folders
    notebook_files/    files beside the notebook
    state, origin      checkpoints in the remote kernel; its state before the first cell
    checkpoint/        storing and restoring; sent with the first checkpoint
    originals          copies of modules that code may change, for what is stored
    large_json         JSON with one long string
    trimming           tracebacks without our frames

Above: all rooms; they use `wire`, `command_line`, `paged_files`, `large_json`, `wrapping`,
`ahead_of_replies`, the facts about files and the words of commands. Below: nothing of ours.
"""
