"""Checkpoints on the user's machine: state is kept and hashed here, and never unpickled.

    carrier      asks the agent for files, and the remote kernel for work, by way of the core
    store        keeps manifest and pieces in a file that only the user can read
    place        the folder of checkpoints
    hash_seed    the same one in all environments of a notebook
    intact       whether pieces are what they are called by
    limits       what is sent along, and what a checkpoint may hold
    leftovers    what has not come back stays in the checkpoints that follow
    checkpoints  takes and restores
    collecting   fetches what has been taken
    putting      puts what is to be restored into the environment
    window       several questions under way at a time
    wording      what the user is told
    schedule     when: before the cooldown ends, after long cells; and keeping alive

What is in a piece is only hashed here, and a manifest read as JSON: both were made by the
environment. How they are made is told in remote/checkpoint.

Above: `host` and `kernel`; `cli`, which lists and deletes them. Below: `environment`, `remote`.
"""
