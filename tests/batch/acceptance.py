"""`python -m tests.batch.acceptance`: a hundred notebooks through a pool of five.

Runs small real notebooks (numpy, pandas, matplotlib) with plain ipykernel, one after the
other, and then with `aca-kernel run` on a local pool with the service's cooldown of 300 s;
then again while the pool answers 429 at random, an environment is killed every ten seconds,
and the batch itself is killed in the middle and resumed. Outputs must be the same each time,
to the byte; the times are printed. In trouble each cell notes that it runs, and is counted: never
twice in one attempt, in no attempt that the report does not have, and none is left out. Takes
twenty minutes; `--count` and `--seconds` make it smaller, and tests/batch/test_acceptance.py does
so.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import random
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nbformat

from ..support import Pool, running_pool
from .support import alive, family, outputs, run, started, state

PLACES = 5
COOLDOWN_SECONDS = 300
KILL_SECONDS = 10.0

# The aims, as multiples of the time that the processors need at least: without trouble, and in it.
MOST = 1.05
MOST_IN_TROUBLE = 1.25

# What a cell notes goes by the disk, so that the environment's end takes nothing of it along.
_IMPORTS = """\
import os
import numpy as np
rng = np.random.default_rng({seed})
attempt = os.urandom(8).hex()
def note(cell):
    with open({journal}, "a") as file:
        file.write(f"{seed} {attempt} {cell}\\n")
note(0)"""

_LIBRARIES = """\
import pandas as pd
import matplotlib.pyplot as plt"""

_WORK = """\
totals = [float(np.sort(rng.random(100_000))[::1000].sum()) for _ in range({units})]
print(len(totals), sum(totals))"""

_TABLE = """\
frame = pd.DataFrame({"key": rng.integers(0, 5, 100_000), "value": rng.random(100_000)})
frame.groupby("key")["value"].agg(["count", "mean", "max"])"""

_FIGURE = """\
figure, axes = plt.subplots(figsize=(4, 3))
axes.hist(frame["value"], bins=20)
axes.set_title("notebook {seed}");"""

_END = 'print("end of", {seed}, flush=True)\nrng.random()'


def write_notebooks(
    folder: Path, count: int, seconds: tuple[float, float], *, figures: int = 1
) -> list[str]:
    """Write notebooks whose work takes so long on this machine, from least to most.

    figures: every so many of them has a table and a figure, too.
    """
    least, most = seconds
    unit = _unit_seconds()
    folder.mkdir(parents=True)
    names = []
    for n in range(count):
        # Neighbours in the queue differ.
        share = (n * 37 % count) / max(1, count - 1)
        units = max(1, round((least + (most - least) * share) / unit))
        cells = [_IMPORTS, _WORK, _END]
        if n % figures == 0:
            cells[2:2] = [_LIBRARIES, _TABLE, _FIGURE]
        notebook = nbformat.v4.new_notebook(
            cells=[
                nbformat.v4.new_code_cell(
                    (f"note({number})\n" if number else "")
                    + cell.replace("{seed}", str(n))
                    .replace("{units}", str(units))
                    .replace("{journal}", repr(str(journal_of(folder))))
                )
                for number, cell in enumerate(cells)
            ]
        )
        notebook.metadata.kernelspec = {"name": "aca", "display_name": "aca"}
        names.append(f"{n:03}.ipynb")
        nbformat.write(notebook, folder / names[-1])
    return names


def journal_of(folder: Path) -> Path:
    """Return the file in which the cells of notebooks in a folder note that they run."""
    return folder.parent / "journal"


def attempts_in(folder: Path) -> dict[str, dict[str, list[int]]]:
    """Return the cells that have run, by notebook and attempt."""
    found: dict[str, dict[str, list[int]]] = {}
    for line in journal_of(folder).read_text().splitlines():
        seed, attempt, cell = line.split()
        found.setdefault(f"{int(seed):03}.ipynb", {}).setdefault(attempt, []).append(int(cell))
    return found


def check_counts(folder: Path, earlier: set[str], under_way: set[str], result: Any) -> int:
    """Count the cells that ran in trouble; return how many there were.

    earlier: the attempts that there were when the batch was killed. under_way: notebooks that were
    running then, of which one more attempt may have begun. result: the second part's report.
    """
    total = 0
    for one in result["notebooks"]:
        attempts = attempts_in(folder)[one["name"]]
        total += sum(map(len, attempts.values()))
        for cells in attempts.values():
            # None twice, none out of turn, none without the ones before it.
            assert cells == list(range(len(cells))), (one["name"], cells)
        if one["status"] == "done":
            assert max(map(len, attempts.values())) == one["cells"], one["name"]
            begun = len(attempts.keys() - earlier)
            assert begun <= one["attempts"] + (one["name"] in under_way), (one["name"], attempts)
    return total


def _unit_seconds() -> float:
    """Return how long one round of the notebooks' work takes here."""
    import numpy as np

    rng = np.random.default_rng()
    samples = []
    for _ in range(20):
        begun = time.perf_counter()
        np.sort(rng.random(100_000))[::1000].sum()
        samples.append(time.perf_counter() - begun)
    return sorted(samples)[len(samples) // 2]


def run_plain(folder: Path, names: Sequence[str]) -> dict[str, float]:
    """Run notebooks with ipykernel, one after the other; return the seconds of each."""
    done = run(
        folder, *names, "--kernel", "python3", "--jobs", "1", "--output-dir", "plain",
        "--report", "plain.json", timeout=3600,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return {one["name"]: one["seconds"] for one in report(folder, "plain.json")["notebooks"]}


def report(folder: Path, name: str) -> dict[str, Any]:
    return dict(json.loads((folder / name).read_text()))


@dataclass
class Trouble:
    """What happened to a pool: environments that were killed."""

    killed: int = 0


@contextmanager
def trouble(pool: Pool, kill_seconds: float, *, most: int) -> Iterator[Trouble]:
    """Let a pool throttle at random, and kill one of its environments now and then.

    most: how many are killed in all. On a machine that is so busy that a notebook takes longer
    than the pause between two kills, it would never end otherwise.
    """
    happened = Trouble()
    is_over = threading.Event()
    chance = random.Random(1)

    def work() -> None:
        next_kill = time.monotonic() + kill_seconds
        while not is_over.wait(chance.uniform(0.1, 2)):
            # One call in so many, until the next look.
            pool.clear_faults()
            often, wait = chance.randint(2, 6), chance.choice([None, 1])
            pool.fault(kind="status", status=429, every=often, retry_after=wait)
            if time.monotonic() >= next_kill and happened.killed < most:
                next_kill += kill_seconds
                happened.killed += pool.kill_an_environment(chance)

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield happened
    finally:
        is_over.set()
        thread.join()
        pool.clear_faults()


def run_in_trouble(
    folder: Path, names: Sequence[str], pool: Pool, *, jobs: int, kill_seconds: float
) -> tuple[float, Trouble, dict[str, Any]]:
    """Run a batch that is killed when it is half done, and resume it.

    Returns the seconds of both parts, what happened, and the second part's report.
    """
    words = [
        *names, "--output-dir", "troubled", "--jobs", str(jobs), "--resume", "--retries", "20",
        "--report", "troubled.json",
    ]  # fmt: skip
    journal_of(folder).unlink()  # what plain ipykernel and the calm batch have noted
    begun = time.monotonic()
    with trouble(pool, kill_seconds, most=len(names)) as happened:
        with started(folder, *words, env=pool.env, is_quiet=True) as batch:
            while len(done_in(folder / "troubled", names)) < len(names) // 2:
                assert batch.poll() is None, "the batch has ended"
                time.sleep(0.1)
            kernels = family(batch.pid)
            batch.send_signal(signal.SIGKILL)
            batch.wait()
        while alive(kernels):
            time.sleep(0.1)
        before = done_in(folder / "troubled", names)
        under_way = set([name for name in names if name not in before][: 2 * jobs])
        earlier = {one for attempts in attempts_in(folder).values() for one in attempts}
        resumed = run(folder, *words, env=pool.env, timeout=3600)
    seconds = time.monotonic() - begun
    assert resumed.returncode == 0, resumed.stdout + resumed.stderr
    after = done_in(folder / "troubled", names)
    assert {name: after[name] for name in before} == before, "what was done has been run again"
    result = report(folder, "troubled.json")
    cells = check_counts(folder, earlier, under_way, result)
    print(f"{cells} cells have run, none twice in one attempt and none unseen.", file=sys.stderr)
    skipped = {one["name"] for one in result["notebooks"] if one["status"] == "skipped"}
    assert skipped == set(before)
    return seconds, happened, result


def done_in(folder: Path, names: Sequence[str]) -> dict[str, int]:
    """Return which outputs are those of a finished run, with the times of their files."""
    paths = [folder / name for name in names]
    return {
        path.name: path.stat().st_mtime_ns
        for path in paths
        if path.exists() and state(path) == "done"
    }


def check_results(folder: Path, names: Sequence[str]) -> None:
    """Compare every output with plain ipykernel's, images to the byte."""
    for name in names:
        assert outputs(folder / name) == outputs(folder.parent / "plain" / name), name


def main() -> None:
    """Run everything and print a table as Markdown."""
    parser = argparse.ArgumentParser(prog="python -m tests.batch.acceptance", description=__doc__)
    parser.add_argument("--count", type=int, default=100, help="notebooks (default: %(default)s)")
    parser.add_argument(
        "--seconds", type=float, nargs=2, default=(0.3, 4.0), metavar=("LEAST", "MOST"),
        help="work of one, besides imports, a table and a figure, which take another second "
        "(default: %(default)s)",
    )  # fmt: skip
    arguments = parser.parse_args()
    parallel = min(PLACES, len(os.sched_getaffinity(0)))
    print(f"Python {platform.python_version()}, {parallel} processors, {platform.machine()}\n")
    print("| | s | of the floor |\n|---|---|---|")
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / "books"
        names = write_notebooks(folder, arguments.count, tuple(arguments.seconds))
        half = len(names) // 2
        # Before and after the batch, in case that the machine has other things to do.
        plain = run_plain(folder, names[:half])
        with pool_of_the_service() as pool:
            begun = time.monotonic()
            done = run(folder, *names, "--output-dir", "calm", env=pool.env, timeout=3600)
            calm = time.monotonic() - begun
            assert done.returncode == 0, done.stdout + done.stderr
            places = pool.stats()["sessions"]["allocated"]
        plain |= run_plain(folder, names[half:])
        check_results(folder / "calm", names)
        floor = sum(plain.values()) / parallel
        row(f"plain ipykernel, {len(names)} notebooks in turn", sum(plain.values()), "")
        row(f"floor: that by {parallel}", floor, "1")
        row(f"batch, {places} places used", calm, f"{calm / floor:.2f} (aim {MOST})")
        with pool_of_the_service() as pool:
            troubled, happened, result = run_in_trouble(
                folder, names, pool, jobs=PLACES, kill_seconds=KILL_SECONDS
            )
        check_results(folder / "troubled", names)
        share = f"{troubled / floor:.2f} (aim {MOST_IN_TROUBLE})"
        row("batch in trouble, killed and resumed", troubled, share)
    attempts = [one["attempts"] for one in result["notebooks"] if one["status"] == "done"]
    anew = sum(one > 1 for one in attempts)
    print(
        f"\nIn trouble: {happened.killed} environments killed; of {len(attempts)} notebooks that "
        f"were run after the batch had been killed, {anew} began anew."
    )
    if calm > MOST * floor or troubled > MOST_IN_TROUBLE * floor:
        sys.exit(1)


def pool_of_the_service() -> AbstractContextManager[Pool]:
    # The cells note on this machine's disk that they run.
    return running_pool(
        isolation="process", max_concurrent_sessions=PLACES, cooldown_seconds=COOLDOWN_SECONDS
    )


def row(name: str, seconds: float, share: str) -> None:
    print(f"| {name} | {seconds:.0f} | {share} |", flush=True)


if __name__ == "__main__":
    main()
