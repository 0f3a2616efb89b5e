"""`python -m aca_kernel -f connection.json`: what the kernelspec runs."""

import gc
import os
import sys

if __name__ == "__main__":
    # What is imported stays. Looking for garbage in it meanwhile takes a tenth of a start.
    gc.disable()

    # `-m` puts the working directory first, which is the notebook's folder: a file there
    # that is named like a module of the standard library would be imported in its stead.
    if sys.path and sys.path[0] in ("", os.getcwd()):
        del sys.path[0]

    from aca_kernel.pool.embedded_process import is_pool_likely, start_pool_process

    pool = start_pool_process() if is_pool_likely(sys.argv[1:]) else None

    from aca_kernel.app import main

    main(pool)
