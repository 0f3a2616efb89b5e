"""The half that runs in the environment: standard library, relative imports, Python 3.9 or later.

All files here are sent to the environment (environment/remote_sources.py) and loaded there as the
package `_aca_remote` (loader.py). Where a module says so it needs pyzmq, ipykernel or IPython.

    wire               the encoding of records, for both halves
    loader             writes the agent's modules in the environment and starts it
    agent              logs the remote kernel's messages and answers exchanges
    session_ipython    exchanges in a session interpreter that is an IPython
    call_socket        the socket between the agent and its callers
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
    paged_files        files in transfer, at both ends
    notebook_files/    files beside the notebook
    state, origin      checkpoints in the remote kernel; its state before the first cell
    checkpoint/        storing and restoring; sent with the first checkpoint
    large_json         JSON with one long string
    trimming           tracebacks without our frames

Above: all rooms; they use `wire`, `command_line`, `paged_files`, `large_json`, `wrapping`,
`ahead_of_replies`, the facts about files and the words of commands. Below: nothing of ours.
"""
