"""What checkpoints after each cell cost notebooks whose cells follow one another at once."""

from __future__ import annotations

import time

from ..support import running_kernel

STORED = ("--AcaKernel.checkpoint_after_seconds=0.000001",)
NOT_STORED = ("--AcaKernel.checkpoint=off",)

_CELLS = """
import numpy as np, pandas as pd, matplotlib.pyplot as plt
rng = np.random.default_rng({seed})
# %%
totals = [float(np.sort(rng.random(100_000))[::1000].sum()) for _ in range({rounds})]
len(totals), sum(totals)
# %%
frame = pd.DataFrame({{"key": rng.integers(0, 5, 100_000), "value": rng.random(100_000)}})
frame.groupby("key")["value"].agg(["count", "mean", "max"])
# %%
models = {{n: np.sort(rng.random(100_000)) for n in range(30)}}
{{n: float(one.mean()) for n, one in models.items() if n % 10 == 0}}
# %%
figure, axes = plt.subplots(figsize=(4, 3))
axes.hist(frame["value"], bins=20);
# %%
print("end of", {seed}, flush=True)
"""


def pair_of_seconds(seed: int) -> tuple[float, float]:
    """Return what the cells of a notebook take without checkpoints, and with one after each."""
    cells = _CELLS.format(seed=seed, rounds=300 + 100 * seed).split("# %%\n")
    # In turn, so that what comes first is not always the same.
    both = (NOT_STORED, STORED) if seed % 2 else (STORED, NOT_STORED)
    times = {}
    for arguments in both:
        with running_kernel(arguments=arguments) as kernel:
            kernel.run("pass")
            started = time.perf_counter()
            for cell in cells:
                assert kernel.run(cell, timeout=300).error is None
            times[arguments] = time.perf_counter() - started
    return times[NOT_STORED], times[STORED]
