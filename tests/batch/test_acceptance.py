"""A smaller edition of tests/batch/acceptance.py, with all of its troubles."""

from __future__ import annotations

from pathlib import Path

import pytest

from ..support import running_pool
from .acceptance import COOLDOWN_SECONDS, check_results, run_in_trouble, write_notebooks
from .support import run

PLACES = 3


@pytest.mark.timeout(600)
def test_a_batch_in_trouble_that_is_killed_and_resumed_gives_exact_results(tmp_path: Path) -> None:
    folder = tmp_path / "books"
    names = write_notebooks(folder, 12, (0.05, 0.4), figures=4)
    plain = run(folder, *names, "--kernel", "python3", "--jobs", "2", "--output-dir", "plain")
    assert plain.returncode == 0, plain.stdout + plain.stderr
    limits = {"max_concurrent_sessions": PLACES, "cooldown_seconds": COOLDOWN_SECONDS}
    # The cells note on this machine's disk that they run.
    with running_pool(isolation="process", **limits) as pool:
        _, happened, report = run_in_trouble(folder, names, pool, jobs=PLACES, kill_seconds=4)
        # Nothing but an environment that was killed has cost a place.
        allocated = pool.stats()["sessions"]["allocated"]
    check_results(folder / "troubled", names)
    assert happened.killed >= 1
    assert allocated <= PLACES + happened.killed
    assert report["totals"]["failed"] == 0
