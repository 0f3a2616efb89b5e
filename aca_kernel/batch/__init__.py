"""Many notebooks in one run, for `aca-kernel run`.

    finding       notebooks of a command line, and the paths of their outputs
    shards        parts of a batch, for several machines
    parameters    values from outside
    injection     puts them into a notebook, as papermill does
    notebook_io   notebooks on disk, and the record of a run in its output
    atomic_write  atomic replacement of a file
    saving        writes a running notebook as its cells finish
    tracebacks    lines of cells in tracebacks
    outcomes      the outcome of each notebook
    client        nbclient, adapted to batches
    notebook      one notebook, from its source to its outcome, with retries
    runner        all of them, so many at a time, until done or stopped
    whole_run     the run with its pools, reports and exit status
    kernels       kernels of notebooks: kernelspecs, settings and pool sizes
    in_process    kernels in this process, with the interfaces that nbclient knows
    sent_ahead    cells that these are sent before nbclient asks for them
    leases        settings and connections that such kernels take over from one another
    shared_pool   the session pool on this machine that a batch shares
    progress      the display meanwhile
    quick_import  nbformat, without what no notebook needs
    lines         text that goes to a terminal
    summary       the display at the end
    reports       the same for programs: JSON and JUnit
    html_report   the same as a page
    merging       one report made of several

    papermill_entry, papermill_engine   the engine `aca` of papermill: one notebook, for schedulers

A batch is a front end like others; only `in_process` and `leases` know what a kernel consists of.

Above: `cli`. Below: `app` and `kernel`; `environment`, `messaging` and `pool`.
"""
