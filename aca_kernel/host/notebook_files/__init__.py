"""Files beside the notebook: the half on the user's machine.

The folder that this process runs in is the notebook's (every front end sees to that). Its files
that the environment may see are determined here and nowhere else, since any code in the
environment can ask for them.

    files_root      how far up from the notebook
    ignore          `.gitignore` and `.acaignore`
    withheld        names that are never sent
    folder          the folder's files that may be sent, opened without following symlinks out of it
    outside_files   sentences about files elsewhere
    sending         answers to the calls of remote/notebook_files/: looks, lists, pages
    write_back      files that come back by themselves
    returned_files  the record of those files, also for the next kernel
"""
