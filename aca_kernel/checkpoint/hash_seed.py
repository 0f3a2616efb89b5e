"""The hash seed of a notebook's remote kernels.

The order of a set of texts follows from their hashes, and these from a seed that Python draws for
each process. What a notebook has made of such an order (numbers of words, hashes that objects
keep) is right in the next environment only if its remote kernel has the same seed. So the kernel
draws it, and stores it with the checkpoint for the next kernel of the notebook.
"""

from __future__ import annotations

import contextlib
import os
import secrets

from .place import directory


def hash_seed(kernel_id: str, notebook: str) -> str:
    """Return the seed of the checkpoint that this kernel may restore, else a new one."""
    # SQLite is imported where there are checkpoints only: kernels are to start quickly.
    with contextlib.suppress(OSError):
        if os.listdir(directory()):
            from .store import Store

            kept = Store(kernel_id, notebook).kept_seed()
            if kept:
                return kept
    # 0 would switch the randomisation off.
    return str(1 + secrets.randbelow(2**32 - 1))
