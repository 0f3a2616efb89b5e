"""`python -m tests.benchmark`: aca against plain ipykernel, interleaved in one run.

Prints a table of medians, minima and ratios. Not a test: nothing here can fail because a
machine is slow. `--before PYTHON` takes another version along, in turn with this one: that of the
environment with this interpreter, which has its kernelspec. `--quick` takes a tenth of the rounds;
`--only NAME` takes one row; `--json FILE` writes what was measured.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import random
import re
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import nbformat
import psutil
from nbclient import NotebookClient

from .packages.index import Index, serving, wheel, without_other_indexes
from .support import Client, Pool, running_kernel, running_pool

# With `--before`, "before" is the third.
KERNELS = ["python3", "aca"]

# The interpreters of ours.
PYTHONS = {"aca": sys.executable}

# A row's samples by kernel, in its unit.
Samples = dict[str, list[float]]


@dataclass
class Row:
    """One line of the table."""

    name: str
    unit: str
    samples: Samples
    aim: float | None = None

    def cells(self) -> list[str]:
        """Return the line as text: medians, minima, ratios, aim."""
        shown = [self.name]
        for kernel in KERNELS:
            values = self.samples.get(kernel)
            if values:
                shown.append(f"{statistics.median(values):.4g} ({min(values):.4g})")
            else:
                shown.append("-")
        for base in KERNELS:
            if base != "aca":
                ratio = self.ratios(base)
                shown.append(f"{ratio[0]:.2f} ({ratio[1]:.2f})" if ratio else "-")
        shown.append(f"{self.aim:g}" if self.aim is not None else "-")
        return [*shown, self.unit]

    def ratios(self, base: str = "python3") -> tuple[float, float] | None:
        """Return the ratio to another kernel, of the medians and of the minima."""
        theirs, ours = self.samples.get(base), self.samples.get("aca")
        if not theirs or not ours or not min(theirs):
            return None
        return statistics.median(ours) / statistics.median(theirs), min(ours) / min(theirs)


@dataclass
class Bench:
    """The kernels of a run, and how many rounds each row takes."""

    kernels: dict[str, Client]
    quick: bool
    rows: list[Row] = field(default_factory=list)

    def rounds(self, full: int) -> int:
        """Return how often to do something."""
        return max(2, full // 10) if self.quick else full

    def turns(self, full: int, kernels: Iterable[str] = KERNELS) -> Iterator[str]:
        """Yield the kernels of each round, in random order.

        What one leaves behind, such as its pool's end, is a cost of the next one: always the same
        one after the other, they differ by up to 8 % where nothing does.
        """
        order = list(kernels)
        for _ in range(self.rounds(full)):
            random.shuffle(order)
            yield from order

    def interleave(
        self, name: str, unit: str, full: int, once: Callable[[Client], float], aim: float | None
    ) -> None:
        """Do a thing in turn with each kernel, so that noise hits both."""
        samples: Samples = {kernel: [] for kernel in KERNELS}
        for client in self.kernels.values():
            once(client)
        for kernel in self.turns(full, self.kernels):
            samples[kernel].append(once(self.kernels[kernel]))
        self.add(Row(name, unit, samples, aim))

    def add(self, row: Row) -> None:
        """Take a row and show it."""
        self.rows.append(row)
        print("  ".join(row.cells()), file=sys.stderr, flush=True)


def timed(action: Callable[[], Any]) -> float:
    """Return the milliseconds that an action takes."""
    started = time.perf_counter()
    action()
    return (time.perf_counter() - started) * 1000


@contextmanager
def all_kernels() -> Iterator[dict[str, Client]]:
    """Start one kernel of each kind."""
    with ExitStack() as stack:
        yield {name: stack.enter_context(running_kernel(name=name)) for name in KERNELS}


@contextmanager
def our_kernels(*arguments: str) -> Iterator[dict[str, Client]]:
    """Start one kernel of each kind but ipykernel's."""
    names = [name for name in KERNELS if name != "python3"]
    with ExitStack() as stack:
        yield {
            name: stack.enter_context(running_kernel(name=name, arguments=arguments))
            for name in names
        }


@contextmanager
def in_a_folder() -> Iterator[None]:
    """Change into a folder, the notebook's for the kernels that are started in it."""
    before = os.getcwd()
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        try:
            yield
        finally:
            os.chdir(before)


@contextmanager
def another_version(python: str) -> Iterator[None]:
    """Add the kernel of the environment with this interpreter to those that are compared."""
    installed = Path(python).parent.parent / "share/jupyter/kernels/aca/kernel.json"
    spec = json.loads(installed.read_text())
    spec["argv"][0] = python
    # The checkout's package is no version of that environment's (Python 3.11 and later).
    spec.setdefault("env", {})["PYTHONSAFEPATH"] = "1"
    with tempfile.TemporaryDirectory() as folder:
        kernel = Path(folder, "kernels", "before")
        kernel.mkdir(parents=True)
        (kernel / "kernel.json").write_text(json.dumps(spec))
        os.environ["JUPYTER_PATH"] = folder
        KERNELS.append("before")
        PYTHONS["before"] = python
        yield


def round_trip(bench: Bench) -> None:
    """`1+1`, from the request to reply and idle."""
    bench.interleave("1+1 round trip", "ms", 200, lambda c: timed(lambda: c.run("1+1")), 1.5)


def start(bench: Bench) -> None:
    """From nothing to the first result."""

    def once(kernel: str) -> float:
        started = time.perf_counter()
        with running_kernel(name=kernel) as client:
            client.run("1+1")
            return (time.perf_counter() - started) * 1000

    samples: Samples = {kernel: [] for kernel in KERNELS}
    for kernel in bench.turns(12):
        samples[kernel].append(once(kernel))
    bench.add(Row("kernel start to first result", "ms", samples, 1.5))


def notebook(bench: Bench) -> None:
    """A notebook of 100 cells under nbclient, kernel start included."""
    cells = [nbformat.v4.new_code_cell(f"x{n} = {n}\nprint(x{n})\nx{n} ** 2") for n in range(100)]

    def once(kernel: str) -> float:
        book = nbformat.v4.new_notebook(cells=[nbformat.NotebookNode(cell) for cell in cells])
        return timed(NotebookClient(book, kernel_name=kernel, timeout=120).execute)

    samples: Samples = {kernel: [] for kernel in KERNELS}
    for kernel in bench.turns(6):
        samples[kernel].append(once(kernel))
    bench.add(Row("100 cells under nbclient", "ms", samples, 1.25))


def in_process(bench: Bench) -> None:
    """The same, ours with a kernel in this process; the first round is not counted."""
    from .batch.figures import in_process_ms

    cells = [nbformat.v4.new_code_cell(f"x{n} = {n}\nprint(x{n})\nx{n} ** 2") for n in range(100)]

    def book() -> nbformat.NotebookNode:
        return nbformat.v4.new_notebook(cells=[nbformat.NotebookNode(cell) for cell in cells])

    samples: Samples = {"python3": [], "aca": []}
    for number in range(1 + bench.rounds(6)):
        client = NotebookClient(book(), kernel_name="python3", timeout=120)
        pair = timed(client.execute), in_process_ms(book())
        if number:
            samples["python3"].append(pair[0])
            samples["aca"].append(pair[1])
    bench.add(Row("100 cells under nbclient, aca in its process", "ms", samples, 0.9))


def batch(bench: Bench) -> None:
    """Batches: what a notebook costs the machine that drives it."""
    from .batch.figures import batch

    batch(PYTHONS, bench.rounds(3), lambda *row: bench.add(Row(row[0], row[1], row[2])))


def latency(bench: Bench) -> None:
    """From a print in a running cell to its arrival at the client."""
    code = "import time\nfor n in range(20):\n    print(time.time())\n    time.sleep(0.1)"

    bench.interleave(
        "print latency in a cell", "ms", 8, lambda client: _delay_of_lines(client, code), 0.5
    )


def _delay_of_lines(client: Client, code: str) -> float:
    """Return the median of the delays, in ms, of lines that hold the time of their printing."""
    cell = client.run(code)
    delays = [
        arrival - float(line)
        for message, arrival in zip(cell.messages, cell.arrivals, strict=True)
        if message["msg_type"] == "stream"
        for line in message["content"]["text"].split()
    ]
    return statistics.median(delays) * 1000


def flushed(bench: Bench) -> None:
    """From a print that is flushed, after a pause, to its arrival at the client."""
    code = (
        "import time\nfor n in range(20):\n    print(time.time(), flush=True)\n    time.sleep(0.1)"
    )
    bench.interleave(
        "flushed print in a cell", "ms", 8, lambda client: _delay_of_lines(client, code), None
    )


def text(bench: Bench) -> None:
    """Large texts, printed at once."""
    for megabytes, rounds in ((10, 10), (50, 4)):
        code = f"print('0123456789abcde\\n' * {megabytes * 62500})"
        aim = 1.5 if megabytes == 10 else None

        def once(client: Client, code: str = code) -> float:
            return timed(lambda: client.run(code))

        bench.interleave(f"{megabytes} MB of text", "ms", rounds, once, aim)


def image(bench: Bench) -> None:
    """An image of 5 MB that does not compress."""
    for client in bench.kernels.values():
        client.run(
            "import os\nfrom IPython.display import Image, display\n"
            "picture = Image(data=os.urandom(5_000_000), format='png')"
        )
    bench.interleave(
        "5 MB image", "ms", 10, lambda c: timed(lambda: c.run("display(picture)")), 1.5
    )


def completion(bench: Bench) -> None:
    """A completion of a variable's attributes."""
    for client in bench.kernels.values():
        client.run("import collections")
    request = {"code": "collections.Ord", "cursor_pos": 15}
    bench.interleave(
        "completion", "ms", 60, lambda c: timed(lambda: c.ask("complete_request", request)), 1.5
    )


def interrupt(bench: Bench) -> None:
    """From the interrupt of a busy loop to its error."""

    def once(client: Client) -> float:
        msg_id = client.send("print('go', flush=True)\nwhile True: pass")
        client.wait_for_stream(msg_id, "go")
        time.sleep(0.3)
        started = time.perf_counter()
        client.manager.interrupt_kernel()
        client.collect(msg_id)
        return (time.perf_counter() - started) * 1000

    bench.interleave("interrupt to error", "ms", 12, once, 2.0)


def source(bench: Bench) -> None:
    """A cell of 1 MB."""
    code = "text = '" + "x" * 1_000_000 + "'"
    bench.interleave("1 MB of source", "ms", 10, lambda c: timed(lambda: c.run(code)), None)


def transfer(bench: Bench) -> None:
    """A file of 100 MB that does not compress, to the environment and back."""
    megabytes = 100
    rates: dict[str, Samples] = {"upload": {}, "download": {}}
    with in_a_folder(), our_kernels() as kernels, open("data", "wb") as file:
        file.write(os.urandom(megabytes * 1_000_000))
        file.flush()
        for kernel in bench.turns(5, kernels):
            for name, line in (("upload", "data"), ("download", "--force data")):
                spent = timed(lambda k=kernel, x=f"%aca {name} {line}": kernels[k].run(x))
                rates[name].setdefault(kernel, []).append(megabytes * 1000 / spent)
    for name, samples in rates.items():
        bench.add(Row(f"%aca {name} of {megabytes} MB", "MB/s", samples))


def state(bench: Bench) -> None:
    """A DataFrame of 200 MB, stored and brought back, on the embedded pool."""
    make = "df = pd.DataFrame({f'c{n}': np.random.rand(2_500_000) for n in range(10)})"
    times: dict[str, Samples] = {"stored": {}, "brought back": {}}
    with in_a_folder(), our_kernels() as kernels:
        for client in kernels.values():
            client.run("import numpy as np, pandas as pd")
        for _ in range(bench.rounds(5)):
            for kernel, client in kernels.items():
                client.run(make)
                spent = timed(lambda c=client: c.run("%aca checkpoint")) / 1000
                times["stored"].setdefault(kernel, []).append(spent)
                client.run("%aca restart --keep")
                found = re.search(r"came back in ([\d.]+) s", client.run("1").said)
                assert found is not None
                times["brought back"].setdefault(kernel, []).append(float(found.group(1)))
    for name, samples in times.items():
        bench.add(Row(f"a DataFrame of 200 MB, {name}", "s", samples))


def files(bench: Bench) -> None:
    """Files beside the notebook that a cell opens, against a plain copy of them."""
    shapes = {"a file of 200 MB": (1, 200_000_000), "1,000 files of 10 kB": (1000, 10_000)}
    with in_a_folder(), our_kernels("--AcaKernel.files_total_mb=100000") as kernels:
        for name, (count, size) in shapes.items():
            bench.add(Row(f"{name}, opened", "MB/s", _files(bench, kernels, count, size)))


def _files(bench: Bench, kernels: dict[str, Client], count: int, size: int) -> Samples:
    """Return megabytes a second: of a copy as python3's, since its cells open files in place."""
    rates: Samples = {kernel: [] for kernel in KERNELS}
    for turn in range(bench.rounds(5)):
        # New ones each time, which code has seen by a listing, as most have.
        folder, other = f"{count}-{turn}", f"{count}-{turn}-copied"
        os.mkdir(folder)
        os.mkdir(other)
        for number in range(count):
            with open(f"{folder}/{number}.bin", "wb") as file:
                file.write(os.urandom(size))
        names = [f"{folder}/{number}.bin" for number in range(count)]
        code = (
            f"import os\nfor name in os.listdir({folder!r}): open({folder!r} + '/' + name).close()"
        )
        times = {"python3": timed(lambda x=other, y=names: [shutil.copy(one, x) for one in y])}
        for kernel, client in kernels.items():
            times[kernel] = timed(lambda c=client, x=code: c.run(x))
        for kernel, spent in times.items():
            rates[kernel].append(count * size / 1000 / spent)
        if count == 1:  # many stay: ext4 is slow to make files where many went a moment ago
            shutil.rmtree(folder)
            shutil.rmtree(other)
    return rates


def memory(bench: Bench) -> None:
    """Resident memory of each process after one cell."""
    with all_kernels() as kernels:
        for client in kernels.values():
            client.run("1+1")
        plain = psutil.Process(kernels["python3"].manager.provisioner.pid)  # type: ignore[union-attr]
        local = psutil.Process(kernels["aca"].manager.provisioner.pid)  # type: ignore[union-attr]
        base = [plain.memory_info().rss / 1e6]
        for name, process in _parts(local):
            size = process.memory_info().rss / 1e6
            bench.add(Row(f"memory: {name}", "MB", {"python3": base, "aca": [size]}))


def _parts(local: psutil.Process) -> Iterator[tuple[str, psutil.Process]]:
    yield "local kernel", local
    for process in local.children(recursive=True):
        line = " ".join(process.cmdline())
        if "aca_kernel.localpool" in line:
            yield "embedded pool", process
        elif "launcher.py" in line:
            yield "remote kernel", process
        elif "bwrap" not in line:
            yield "session supervisor or interpreter", process


def idle(bench: Bench) -> None:
    """CPU and tool calls of a notebook that nobody uses, over a minute."""
    pause, watched = (3, 6) if bench.quick else (30, 60)
    with running_pool() as pool, running_kernel(pool.env) as client:
        client.run("import threading\nthreading.Thread(target=lambda: None).start()")
        time.sleep(pause)
        process = psutil.Process(client.manager.provisioner.pid)  # type: ignore[union-attr]
        calls, cpu = sum(pool.calls().values()), sum(process.cpu_times()[:2])
        time.sleep(watched)
        spent = (sum(process.cpu_times()[:2]) - cpu) * 1000
        made = float(sum(pool.calls().values()) - calls)
    bench.add(Row(f"idle for {watched} s: tool calls", "calls", {"aca": [made]}, 0))
    bench.add(Row(f"idle for {watched} s: CPU of the local kernel", "ms", {"aca": [spent]}))


def many(bench: Bench) -> None:
    """Several kernels on one pool, each running `1+1` in turn."""
    for count in (1, 5, 20):
        if bench.quick and count == 20:
            continue
        with running_pool(max_concurrent_sessions=count, memory_mib=0) as pool:
            bench.add(Row(f"1+1 with {count} kernels on one pool", "ms", _many(pool, count)))


def _many(pool: Pool, count: int) -> Samples:
    with ExitStack() as stack:
        clients = [stack.enter_context(running_kernel(pool.env)) for _ in range(count)]
        for client in clients:
            client.run("1")
        return {
            "aca": [timed(lambda c=client: c.run("1+1")) for _ in range(5) for client in clients]
        }


def checkpoint(bench: Bench) -> None:
    """Checkpoints; the left column is dill's."""
    from .checkpoint.benchmark import checkpoint

    def row(name: str, unit: str, dill: float | None, ours: float) -> None:
        samples = {"aca": [ours]} if dill is None else {"python3": [dill], "aca": [ours]}
        bench.add(Row(name, unit, samples))

    checkpoint(bench, row)


def overhead(bench: Bench) -> None:
    """Ten notebooks with a checkpoint after each cell; the left column is without."""
    from .checkpoint.overhead import pair_of_seconds

    pairs = [pair_of_seconds(seed) for seed in range(bench.rounds(10))]
    samples = {"python3": [one[0] for one in pairs], "aca": [one[1] for one in pairs]}
    bench.add(Row("a notebook, a checkpoint after each cell", "s", samples))
    total = {name: [sum(values)] for name, values in samples.items()}
    bench.add(Row("all of them", "s", total, 1.025))


_FIVE = tuple(f"aca-small-{number}" for number in range(5))


def packages(bench: Bench) -> None:
    """Small packages before the first cell, and back with a restore, from an index on loopback."""
    index = Index()
    for name in _FIVE:
        index.add(wheel(name))
    first: dict[str, list[float]] = {}
    restored: dict[str, list[float]] = {}
    with serving(index), without_other_indexes():
        place = f"--AcaKernel.packages_index_url={index.url}"
        for _ in range(bench.rounds(10)):
            for name, wanted in (
                ("none", ""),
                ("one that is there", "numpy"),
                ("five by uv", " ".join(_FIVE)),
            ):
                with running_kernel(arguments=(place, f"--AcaKernel.packages={wanted}")) as client:
                    # Hidden: the environment is up, and nothing is installed yet.
                    client.run("pass", store_history=False)
                    first.setdefault(name, []).append(timed(lambda: client.run("x = 1")))
            for name, wanted in (("none", ""), ("three", " ".join(_FIVE[:3]))):
                with running_kernel(arguments=(place,)) as client:
                    client.run(f"%pip install -q -i {index.url} {wanted}" if wanted else "pass")
                    client.run("x = 1\n%aca restart --keep")
                    restored.setdefault(name, []).append(timed(lambda: client.run("x")))
    for name, values in first.items():
        bench.add(Row(f"first cell, packages to install: {name}", "ms", {"aca": values}))
    for name, values in restored.items():
        bench.add(
            Row(f"new environment and restore, added packages: {name}", "ms", {"aca": values})
        )


ROWS: dict[str, Callable[[Bench], None]] = {
    "start": start, "round_trip": round_trip, "notebook": notebook,
    "in_process": in_process, "batch": batch, "latency": latency,
    "flushed": flushed,
    "text": text, "image": image, "completion": completion, "interrupt": interrupt,
    "source": source, "transfer": transfer, "state": state, "files": files,
    "memory": memory, "idle": idle, "many": many, "checkpoint": checkpoint,
    "overhead": overhead, "packages": packages,
}  # fmt: skip


def main() -> None:
    """Run what is asked for and print the table as Markdown."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmark", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a tenth of the rounds")
    parser.add_argument("--only", choices=ROWS, action="append", help="this row only; repeatable")
    parser.add_argument("--json", metavar="FILE", help="write the samples to a file")
    parser.add_argument("--before", metavar="PYTHON", help="another version's interpreter")
    arguments = parser.parse_args()
    with ExitStack() as stack:
        if arguments.before:
            stack.enter_context(another_version(arguments.before))
        kernels = stack.enter_context(all_kernels())
        bench = Bench(kernels, arguments.quick)
        for name in arguments.only or ROWS:
            ROWS[name](bench)
    print(f"\nPython {platform.python_version()}, {os.cpu_count()} cores, {platform.machine()}\n")
    heads = [f"{kernel}: median (min)" for kernel in KERNELS]
    heads += [f"ratio to {kernel}: median (min)" for kernel in KERNELS if kernel != "aca"]
    print("| " + " | ".join(["", *heads, "aim", "unit"]) + " |")
    print("|---" * (len(heads) + 3) + "|")
    for row in bench.rows:
        print("| " + " | ".join(row.cells()) + " |")
    if arguments.json:
        with open(arguments.json, "w", encoding="utf-8") as file:
            json.dump([vars(row) for row in bench.rows], file, indent=1)


if __name__ == "__main__":
    main()
