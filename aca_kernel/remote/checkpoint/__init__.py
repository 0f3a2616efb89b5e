"""A notebook's state, stored in one remote kernel and restored in another.

A checkpoint is a manifest (JSON) and pieces: byte strings of at most 1 MiB, addressed by their
hash. Variables are pickled one by one, those that share mutable objects together. Pieces that
the kernel on the user's machine has already are not sent again: a checkpoint costs what has
changed since the last one. That kernel keeps manifest and pieces and never looks into them.

The process forks, and the child pickles the snapshot that it inherits while the notebook goes on
(save.py). What a `__reduce__` does, prints, changes or crashes happens in the child.

    pieces            hashing, compressing, writing and reading
    atoms             immutable objects, which may be stored twice
    rebuild           functions that pickles call when they are loaded
    arrays            pickling of numpy arrays
    views             pickling of views of memory and of dicts
    weak              pickling of weak references, and of containers of them
    enums             pickling of enumerations
    lazy_annotations  pickling of annotations, which are functions since Python 3.14
    type_variables    pickling of type variables and aliases
    plain             pickling of objects that pickle does not make well
    importable        modules that can be imported again
    module_names      the names under which modules hold objects
    counts            pickling of endless iterators
    caches            what functions with functools.cache remember
    adapters          pickling of objects of libraries
    pickler           pickling beyond what cloudpickle does
    hanging           objects that wait for threads, which a fork does not take along
    reasons           why something could not be stored, and where that lies
    sharing           which variables belong together
    groups            variables that belong together, in the order of their restore
    session_state     modules, directory, history
    held_elsewhere    what libraries hold in places of their own, and variables, too
    process_settings  of Python, IPython and libraries
    changed_files     files in the working directory
    save              the fork, its supervision, the manifest
    restore           the way back
    partial           what can be loaded of variables one of which fails

Standard library, IPython and cloudpickle. These files are sent with a kernel's first checkpoint.
"""
