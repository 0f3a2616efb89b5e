"""Many notebooks in one run, for `aca-kernel run`.

    finding       which notebooks, and where their outputs go
    parameters    values from outside
    injection     puts them into a notebook, as papermill does
    notebook_io   reading and writing notebooks; what a finished one remembers of its run
    atomic_write  a file, whole or not at all
    saving        writes a running notebook as its cells finish
    outcomes      what became of each notebook
    client        nbclient, with what a batch needs besides
    notebook      one notebook, from its source to its outcome, with new attempts
    runner        all of them, so many at a time, until done or stopped
    whole_run     the run with its pools, reports and exit status
    kernels       which kernel runs a notebook, and on which pool
    shared_pool   the session pool on this machine that a batch shares
    progress      what is shown meanwhile
    lines         text that goes to a terminal
    summary       what is shown at the end
    reports       the same for programs: JSON and JUnit

Nothing of the kernel's own process is imported here: a batch is a front end like others.

Above: `cli`. Below: `app`, for a kernelspec's settings; `environment`, `messaging` and `pool`.
"""
