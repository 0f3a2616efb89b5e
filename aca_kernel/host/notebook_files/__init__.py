"""Files beside the notebook: the half on the user's machine.

The folder that this process runs in is the notebook's (every front end sees to that). What
of it may be seen by the environment is decided here and nowhere else, since whatever the
environment says may have been said by any code in it.

    ignore          `.gitignore` and `.acaignore`
    withheld        names that are never sent
    folder          the folder: what is in it and may be sent, opened without a way out of it
    sending         answers the calls of remote/notebook_files/: looks, lists, pages
    write_back      files that come back by themselves
    returned_files  which files of this machine those are, also for the next kernel
"""
