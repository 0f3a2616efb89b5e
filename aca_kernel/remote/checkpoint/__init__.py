"""A notebook's state, taken in the remote kernel and brought back in another one.

A checkpoint is a manifest (JSON) and pieces: byte strings of at most a mebibyte, known by
their hash. Variables are pickled one by one, those that share mutable objects together, and
a pickle or a large array that has not changed consists of pieces that are there already. So
a checkpoint costs what has changed since the last one. The kernel on the user's machine keeps
manifest and pieces and never looks into them.

Taking one does not disturb the notebook: the process forks, and the copy, which sees the
memory as it was at that moment, does the pickling at its leisure (save.py says why this is
safe). What a `__reduce__` does, prints, changes or crashes happens in the copy.

    origin         what the process was like before the first cell (sent with the agent)
    pieces         hashing, compressing, writing and reading
    atoms          which objects may be stored twice without anybody noticing
    rebuild        what pickles call when they are loaded
    arrays         how arrays of numpy are pickled
    pickler        how objects of a notebook are pickled, beyond what cloudpickle does
    groups         which variables belong together, and in which order they come back
    session_state  what is not a variable: modules, directory, settings of libraries, history
    changed_files  files in the working directory
    save           the fork, its supervision, the manifest
    restore        the way back

Standard library, IPython and cloudpickle. These files are sent with a kernel's first checkpoint.
"""
