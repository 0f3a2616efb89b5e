"""`python -m tests.distance`: what operations cost over a distance, in round trips.

Between a kernel and `aca-kernel pool serve` stands a line with a delay (and, if wanted, a
bandwidth and TCP's slow start), at whose far end is a TLS server as Azure has one. Everything
is on loopback: the line is a proxy in this process that gives each piece of data its time of
arrival, so that any number of pieces are under way at once.

What the line does, and what it does not:

- A connection costs a round trip before its first byte, TLS 1.3 another one (real handshakes,
  by OpenSSL at both ends; the certificate authority is made for the run).
- `--transport tls`: endpoint https://localhost, the kernel's way by httpx: what Azure users get.
  `--transport plain`: endpoint http://127.0.0.1, the kernel's own h11 way, which no Azure user
  gets; it shows what the protocol costs without connections that are made anew.
- A limited bandwidth is shared by all connections of one direction.
- `--slow-start`: each direction of a connection begins with ten segments a round trip, doubles
  with each, and falls back when it was idle, as Linux does by default. No loss, no congestion.
- No name service, no load of others, no time that Azure itself takes: all of that comes on top.

The table has for each operation the time with plain ipykernel and at each round-trip time, and

    RTTs      round trips that the user waits for: (time at the longest RTT - time at 0) / RTT
    counted   the same, counted on the line: of all chains of requests that follow one another
              the longest, with the handshakes of connections that were made for them. Nothing
              that the machine does beside this can change it; `-` where it does not apply (HELD)
    floor     round trips that physics asks for, as reasoned in FLOORS below
    requests  HTTP requests during the operation; new: connections that were opened
    at floor  time at 0 + floor * RTT; ratio: of (time at 0 + counted * RTT) to that, with the
              measured RTTs where counting does not apply

Times are medians; what is derived from them uses the minima, which the machine's other work
hits less. The last line is the geometric mean of the ratios.
"""

from __future__ import annotations

import argparse
import base64
import contextlib
import json
import math
import os
import re
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from aca_kernel.pool.round_trip import KEPT_CALLS

from .certificates import make_certificates
from .far_line import Line, Traffic

KEY = "distance-" + base64.b32encode(os.urandom(15)).decode().lower()

# httpx closes a connection that was idle for five seconds: a pause that a person makes.
PAUSE_SECONDS = 6.0


class Pool:
    """`aca-kernel pool serve`, in a process of its own."""

    def __init__(self, *arguments: str) -> None:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            self.port = int(listener.getsockname()[1])
        self._process = subprocess.Popen(
            [_beside("aca-kernel"), "pool", "serve", "--port", str(self.port), *arguments],
            env={**os.environ, "ACA_LOCAL_POOL_API_KEY": KEY},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        deadline = time.monotonic() + 30
        while True:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port)):
                return
            if time.monotonic() > deadline or self._process.poll() is not None:
                raise SystemExit("The pool does not start.")
            time.sleep(0.1)

    def fault(self, **rule: Any) -> None:
        """Have calls fail, or environments end; see `aca-kernel pool serve --faults`."""
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.port}/faults",
            data=json.dumps(rule).encode(),
            headers={"x-ms-apikey": KEY, "content-type": "application/json"},
        )
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request) as answer:
            answer.read()

    def close(self) -> None:
        self._process.terminate()
        self._process.wait(20)


def _beside(name: str) -> str:
    """Return a program of this environment's."""
    return os.path.join(os.path.dirname(sys.executable), name)


class Front:
    """A kernel and a front end of it."""

    def __init__(self, name: str, env: dict[str, str], folder: str, *arguments: str) -> None:
        from jupyter_client.manager import KernelManager

        self.is_plain = name == "python3"
        self.manager = KernelManager(kernel_name=name)
        self.manager.start_kernel(
            env={**os.environ, **env}, cwd=folder, extra_arguments=list(arguments)
        )
        self.client = self.manager.blocking_client()
        self.client.start_channels()
        self.client.wait_for_ready(timeout=120)

    def send(self, code: str, **options: Any) -> str:
        return str(self.client.execute(code, **options))

    def run(self, code: str, timeout: float = 400.0) -> list[tuple[float, dict[str, Any]]]:
        return self.finish(self.send(code), timeout)

    def finish(self, msg_id: str, timeout: float = 400.0) -> list[tuple[float, dict[str, Any]]]:
        """Wait for idle and reply; return what came, with the times. Fails with the cell."""
        came = list(self.until_idle(msg_id, time.monotonic() + timeout))
        deadline = time.monotonic() + timeout
        while True:
            reply = self.client.get_shell_msg(timeout=max(0.1, deadline - time.monotonic()))
            if reply["parent_header"].get("msg_id") == msg_id:
                self.last_reply = reply
                return came

    def until_idle(self, msg_id: str, deadline: float) -> Iterator[tuple[float, dict[str, Any]]]:
        while True:
            left = max(0.1, deadline - time.monotonic())
            message = self.client.get_iopub_msg(timeout=left)
            if message["parent_header"].get("msg_id") == msg_id:
                yield time.time(), message
                if message["content"].get("execution_state") == "idle":
                    return

    def wait_for(self, found: Callable[[dict[str, Any]], bool], timeout: float = 120.0) -> None:
        """Read iopub until a message comes that is looked for."""
        deadline = time.monotonic() + timeout
        while True:
            message = self.client.get_iopub_msg(timeout=max(0.1, deadline - time.monotonic()))
            if found(message):
                return

    def ask(self, msg_type: str, content: dict[str, Any], channel: str = "shell") -> dict[str, Any]:
        """Send a request and return the content of its reply."""
        message = self.client.session.msg(msg_type, content)
        getattr(self.client, f"{channel}_channel").send(message)
        get = self.client.get_shell_msg if channel == "shell" else self.client.get_control_msg
        while True:
            reply = get(timeout=60)
            if reply["parent_header"].get("msg_id") == message["header"]["msg_id"]:
                return dict(reply["content"])

    def text_of(self, code: str) -> str:
        came = self.run(code)
        return "".join(one["content"]["text"] for _, one in came if one["msg_type"] == "stream")

    def close(self) -> None:
        self.client.stop_channels()
        self.manager.shutdown_kernel()
        self.manager.cleanup_resources()


class Site:
    """A pool at the end of a line, and what a kernel needs to find it."""

    def __init__(self, options: Options, *arguments: str) -> None:
        common = ("--interpreter", options.interpreter, "--faults", "--memory-mib", "0")
        self.pool = Pool(*common, *arguments)
        certificate = options.certificate if options.transport == "tls" else ""
        self.line = Line(self.pool.port, certificate, slow_start=options.slow_start)
        self.env = {
            "ACA_MCP_ENDPOINT": self.line.endpoint,
            "ACA_MCP_API_KEY": KEY,
            "SSL_CERT_FILE": options.authority,
        }

    def close(self) -> None:
        self.line.close()
        self.pool.close()


# -- measuring ---------------------------------------------------------------------------


@dataclass
class Options:
    """What a run is to do."""

    transport: str
    interpreter: str
    rtts: list[int]
    slow_start: bool
    bits_per_second: float
    rounds: int
    json: str
    folder: str
    authority: str
    certificate: str
    log: Any


@dataclass
class Sample:
    """One measurement. traffic: None if it cannot be told what belongs to it."""

    ms: float
    traffic: Traffic | None = None


@dataclass
class Results:
    """Samples by row and column; a column is `python3` or a round-trip time in ms."""

    rows: dict[str, dict[str, list[Sample]]] = field(default_factory=dict)

    def add(self, row: str, column: str, sample: Sample) -> None:
        self.rows.setdefault(row, {}).setdefault(column, []).append(sample)

    def median(self, row: str, column: str) -> float | None:
        samples = self.rows[row].get(column)
        return statistics.median(one.ms for one in samples) if samples else None

    def save(self, path: str) -> None:
        """Write all samples: ms, and what went over the line."""
        saved: dict[str, Any] = {}
        for row, columns in self.rows.items():
            for column, samples in columns.items():
                saved.setdefault(row, {})[column] = [
                    {"ms": one.ms}
                    if one.traffic is None
                    else {
                        "ms": one.ms,
                        "calls": [call.name for call in one.traffic.calls],
                        "round trips": one.traffic.round_trips(),
                        "new": len(one.traffic.opened),
                        "up": one.traffic.up,
                        "down": one.traffic.down,
                    }
                    for one in samples
                ]
        with open(path, "w", encoding="utf-8") as file:
            json.dump(saved, file, indent=1)

    def least(self, row: str, column: str) -> float | None:
        samples = self.rows[row].get(column)
        return min(one.ms for one in samples) if samples else None


class Stage:
    """Where an operation is done: a kernel, near or at the end of a line."""

    def __init__(self, options: Options, results: Results, column: str, site: Site | None) -> None:
        self.options = options
        self.column = column
        self.site = site
        self.line = site.line if site else None
        self.is_plain = site is None
        self.folder = options.folder
        self._results = results
        self.front: Any = None

    @property
    def name(self) -> str:
        return "python3" if self.is_plain else "aca"

    def new_front(self, *arguments: str) -> Front:
        env = self.site.env if self.site else {}
        return Front(self.name, env, self.folder, *([] if self.is_plain else arguments))

    @contextmanager
    def timing(self, row: str) -> Iterator[None]:
        """Measure a block."""
        with contextlib.ExitStack() as stack:
            traffic = stack.enter_context(self.line.watch()) if self.line else None
            started = time.perf_counter()
            yield
            ms = 1000 * (time.perf_counter() - started)
        self.note(row, ms, traffic)

    def note(self, row: str, ms: float, traffic: Traffic | None = None) -> None:
        self._results.add(row, self.column, Sample(ms, traffic))
        told = ""
        if traffic is not None:
            names = [one.name.replace("InRemoteEnvironment", "") for one in traffic.calls]
            counts = ", ".join(f"{names.count(one)} {one}" for one in dict.fromkeys(names))
            told = (
                f"; {counts}; {traffic.round_trips()} RTTs, {len(traffic.opened)} new, "
                f"{traffic.up / 1e3:.1f} kB up, {traffic.down / 1e3:.1f} kB down"
            )
        print(f"{self.column:>8}  {row}: {ms:.1f} ms{told}", file=self.options.log, flush=True)

    @contextmanager
    def bandwidth(self) -> Iterator[None]:
        """Limit it for a while."""
        if self.line:
            self.line.bits_per_second = self.options.bits_per_second
        try:
            yield
        finally:
            if self.line:
                self.line.bits_per_second = 0.0


def pause() -> None:
    """Do what a person does between two cells."""
    time.sleep(PAUSE_SECONDS)


# -- operations --------------------------------------------------------------------------
#
# A group of operations is a function that takes a stage and does each once. FLOORS says, in
# round trips, what each row needs at least, whatever the program does.

FLOORS: dict[str, tuple[float, str]] = {
    "kernel start to kernel_info": (0, "needs nobody"),
    "first cell, new environment": (
        1, "connection and environment id can be had before, agent and cell go together"
    ),
    "second cell, at once": (1, "there and back"),
    "first cell, environment taken over": (1, "as a new one"),
    "restart to kernel_info": (0, "needs nobody"),
    "first cell after a restart": (1, "as a new one"),
    "shutdown": (0, "nobody has to wait for it"),
    "1+1, at once": (1, "there and back"),
    "1+1 after 6 s": (1, "the connection can stand for longer than that"),
    "a cell of 0.25 s": (1, "there and back"),
    "print, 50 ms, print": (1, "there and back; the first line may come alone before that"),
    "100 cells, one after the other": (100, "a front end waits for each"),
    "100 cells under nbclient, with start": (101, "a front end waits for each"),
    "100 cells, run all": (1, "all are sent at once"),
    "100 cells by aca-kernel run": (2, "our own front end may send all at once"),
    "line each 0.5 s, flushed": (0.5, "half the way"),
    "line each 0.5 s, not flushed": (0.5, "half the way"),
    "tqdm, ten steps a second": (0.5, "half the way"),
    "line each 10 ms": (0.5, "half the way"),
    "interrupt of a loop, 6 s into it": (1, "there and back"),
    "interrupt of time.sleep, shortly after": (1, "there and back"),
    "input(): prompt": (1, "there and back"),
    "input(): answered at once": (1, "there and back"),
    "input(): answered after 6 s": (1, "there and back"),
    "completion, at once": (1, "there and back"),
    "completion after 6 s": (1, "there and back"),
    "inspection, at once": (1, "there and back"),
    "slider, at once": (1, "there and back"),
    "slider after 6 s": (1, "there and back"),
    "slider while a cell awaits, 6 s into it": (1, "there and back"),
    "slider while a cell awaits, again": (1, "there and back"),
    "!echo hi, at once": (1, "the cell's text says that the shell tool will be needed"),
    "!echo hi after 6 s": (1, "as before"),
    "x = !echo hi, at once": (1, "as before"),
    "!echo hi, with files on demand": (1, "as before"),
    "five ! lines": (1, "as before: one call may run what comes"),
    "! loop, a line a second: delay": (0.5, "half the way"),
    "! loop, a line a second: over the 3 s": (1, "there and back"),
    "upload of 20 MB": (2, "the cell asks, and all of it follows"),
    "upload of 20 MB, limited": (2, "as before; the line's time is in the time at 0"),
    "download of 20 MB": (2, "the cell asks, and all of it follows"),
    "download of 20 MB, limited": (2, "as before"),
    "20 MB beside the notebook, opened": (2, "the cell asks, and all of it follows"),
    "200 files of 10 kB beside the notebook, opened": (
        3, "the first says nothing of the others; with the second, all that the cell names"
    ),
    "image of 1 MB": (1, "there and back"),
    "10 MB of text": (1, "there and back"),
    "first checkpoint, small notebook": (2, "the cell asks, our code follows, state comes back"),
    "checkpoint of 50 MB": (2, "the cell asks, and all of it follows"),
    "restore of 50 MB": (2, "the cell asks, and all of it follows"),
    "first cell after the cooldown": (
        2, "it turns out that the environment is gone; agent, state and cell go together"
    ),
    "output cut at 4096: 1 MB of text": (2, "the size is known with the first; pages may overlap"),
    "output cut at 4096: image of 300 kB": (2, "as before"),
    "1+1 with one 429": (2, "once more; the pause before it is in the time at 0"),
    "1+1 with one 503": (2, "once more"),
    "1+1, connection closed before it ran": (4, "a new connection, and once more"),
    "1+1, connection closed after it ran": (4, "a new connection, and once more"),
    "reset in a cell of 3 s: over the 3 s": (3, "a new connection; half the way back twice"),
    "silent loss in a cell of 3 s: over the 3 s": (3, "as before, if it were noticed"),
}  # fmt: skip

# Rows in which requests are held open, or go on beside what is waited for: counting them says
# nothing, and the measured round trips count.
HELD = frozenset({
    "100 cells, run all", "line each 0.5 s, flushed", "line each 0.5 s, not flushed",
    "tqdm, ten steps a second", "line each 10 ms", "! loop, a line a second: delay",
    "! loop, a line a second: over the 3 s", "reset in a cell of 3 s: over the 3 s",
    "silent loss in a cell of 3 s: over the 3 s",
})  # fmt: skip


def start(stage: Stage) -> None:
    """Kernels that begin: in a new environment, in one that is taken over, restarted."""
    never = ("--AcaKernel.reuse=never",)
    if stage.site:
        time.sleep(4)  # until the pool has an environment ready, as the service has
    with stage.timing("kernel start to kernel_info"):
        front = stage.new_front(*never)
    with stage.timing("first cell, new environment"):
        front.run("1+1")
    with stage.timing("second cell, at once"):
        front.run("1+1")
    front.close()
    front = stage.new_front()
    front.run("1+1")
    with stage.timing("restart to kernel_info"):
        front.manager.restart_kernel()
        front.client.wait_for_ready(timeout=60)
    with stage.timing("first cell after a restart"):
        front.run("1+1")
    front.client.stop_channels()
    with stage.timing("shutdown"):
        front.manager.shutdown_kernel()
    if stage.site:
        front = stage.new_front()
        with stage.timing("first cell, environment taken over"):
            front.run("1+1")
        front.close()
        stage.site.pool.fault(expire="*")


def cells(stage: Stage) -> None:
    """Short cells."""
    stage.front.run("1+1")
    for _ in range(10):
        with stage.timing("1+1, at once"):
            stage.front.run("1+1")
    pause()
    with stage.timing("1+1 after 6 s"):
        stage.front.run("1+1")
    stage.front.run("import time")
    for _ in range(3):
        with stage.timing("a cell of 0.25 s"):
            stage.front.run("time.sleep(0.25)")
    for _ in range(3):
        with stage.timing("print, 50 ms, print"):
            stage.front.run("print(1)\ntime.sleep(0.05)\nprint(2)")


def notebook(stage: Stage) -> None:
    """A hundred cells, in the ways that front ends have."""
    import nbformat
    from nbclient import NotebookClient

    codes = [f"x{n} = {n}\nprint(x{n})\nx{n} ** 2" for n in range(100)]
    with stage.timing("100 cells, one after the other"):
        for code in codes:
            stage.front.run(code)
    with stage.timing("100 cells, run all"):
        ids = [stage.front.send(code) for code in codes]
        for msg_id in ids:
            stage.front.finish(msg_id)
    env = {**os.environ, **(stage.site.env if stage.site else {})}
    book = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(code) for code in codes])
    client = NotebookClient(book, kernel_name=stage.name, timeout=300)
    with stage.timing("100 cells under nbclient, with start"):
        client.execute(env=env, cwd=stage.folder)
    path = os.path.join(stage.folder, f"book-{stage.column}.ipynb")
    nbformat.write(book, path)
    command = [_beside("aca-kernel"), "run", path, "--kernel", stage.name, "--inplace"]
    with stage.timing("100 cells by aca-kernel run"):
        subprocess.run(command, env=env, check=True, capture_output=True, cwd=stage.folder)


def _delays(stage: Stage, row: str, code: str, pattern: str = r"(\d{9,}\.\d+)") -> None:
    """Run a cell that prints times, and note how late each arrives."""
    with contextlib.ExitStack() as stack:
        traffic = stack.enter_context(stage.line.watch()) if stage.line else None
        came = stage.front.run(code)
    late = [
        1000 * (at - float(text))
        for at, message in came
        if message["msg_type"] == "stream"
        for text in re.findall(pattern, message["content"]["text"])
    ]
    stage.note(row, statistics.median(late), traffic)
    print(f"          {len(late)} lines, at most {max(late):.0f} ms", file=stage.options.log)


def lines(stage: Stage) -> None:
    """Output while a cell runs."""
    for flushed in (True, False):
        _delays(
            stage,
            "line each 0.5 s, flushed" if flushed else "line each 0.5 s, not flushed",
            "import time\nfor n in range(20):\n"
            f"    print(time.time(), flush={flushed})\n    time.sleep(0.5)",
        )
    _delays(
        stage,
        "tqdm, ten steps a second",
        "import time\nfrom tqdm import tqdm\nwith tqdm(range(100)) as bar:\n    for n in bar:\n"
        "        bar.set_postfix_str(f'{time.time():.3f}')\n        time.sleep(0.1)",
    )
    _delays(
        stage,
        "line each 10 ms",
        "import time\nfor n in range(300):\n    print(time.time())\n    time.sleep(0.01)",
    )


def _interrupt(stage: Stage, row: str, code: str, after: float) -> None:
    msg_id = stage.front.send(f"print('go', flush=True)\n{code}")
    stage.front.wait_for(lambda one: "go" in str(one["content"].get("text", "")))
    time.sleep(after)
    with stage.timing(row):
        stage.front.manager.interrupt_kernel()
        stage.front.finish(msg_id)


def interrupts(stage: Stage) -> None:
    """Interrupts, with and without the shell tool's connection standing."""
    _interrupt(stage, "interrupt of a loop, 6 s into it", "while True: pass", PAUSE_SECONDS)
    _interrupt(stage, "interrupt of time.sleep, shortly after", "import time; time.sleep(60)", 1.0)


def inputs(stage: Stage) -> None:
    """`input()`, answered quickly and slowly."""
    for row, seconds in (("input(): answered at once", 0.5), ("input(): answered after 6 s", 6.0)):
        stage.front.run("1+1")
        with stage.timing("input(): prompt"):
            msg_id = stage.front.send("input('?')", allow_stdin=True)
            stage.front.client.get_stdin_msg(timeout=60)
        time.sleep(seconds)
        with stage.timing(row):
            stage.front.client.input("x")
            stage.front.finish(msg_id)


def questions(stage: Stage) -> None:
    """What is asked while a user types."""
    stage.front.run("import collections")
    content = {"code": "collections.Ord", "cursor_pos": 15}
    stage.front.ask("complete_request", content)
    for _ in range(5):
        with stage.timing("completion, at once"):
            stage.front.ask("complete_request", content)
    content = {"code": "collections.OrderedDict", "cursor_pos": 23, "detail_level": 0}
    stage.front.ask("inspect_request", content)
    for _ in range(5):
        with stage.timing("inspection, at once"):
            stage.front.ask("inspect_request", content)
    pause()
    with stage.timing("completion after 6 s"):
        stage.front.ask("complete_request", {"code": "collections.Ord", "cursor_pos": 15})


_SLIDER = """
import ipywidgets
slider, label = ipywidgets.IntSlider(max=10**9), ipywidgets.Label()
slider.observe(lambda change: setattr(label, "value", str(change["new"])), "value")
print(slider.model_id, label.model_id)
"""


def sliders(stage: Stage) -> None:
    """A callback that changes another widget."""
    front = stage.front
    slider, label = front.text_of(_SLIDER).split()
    numbers = iter(range(1, 1000))

    def move(row: str) -> None:
        # `front`, `slider` and `label` are those of now.
        number = next(numbers)
        data = {"method": "update", "state": {"value": number}, "buffer_paths": []}
        message = front.client.session.msg("comm_msg", {"comm_id": slider, "data": data})
        with stage.timing(row):
            front.client.shell_channel.send(message)
            front.wait_for(
                lambda one: (
                    one["msg_type"] == "comm_msg"
                    and one["content"]["comm_id"] == label
                    and one["content"]["data"].get("state", {}).get("value") == str(number)
                )
            )
        time.sleep(0.5)

    for _ in range(5):
        move("slider, at once")
    pause()
    move("slider after 6 s")
    # A cell that awaits lets callbacks run meanwhile; one that computes does not, anywhere. In a
    # kernel of its own: the message leaves it with a request that is never finished.
    front = stage.new_front()
    slider, label = front.text_of(_SLIDER).split()
    msg_id = front.send("import asyncio; print('go', flush=True); await asyncio.sleep(11)")
    front.wait_for(lambda one: "go" in str(one["content"].get("text", "")))
    pause()
    move("slider while a cell awaits, 6 s into it")
    for _ in range(3):
        move("slider while a cell awaits, again")
    front.finish(msg_id)
    front.close()


def commands(stage: Stage) -> None:
    """`!`"""
    stage.front.run("!echo hi")
    for row, code in (
        ("!echo hi, at once", "!echo hi"),
        ("x = !echo hi, at once", "x = !echo hi"),
        ("five ! lines", "\n".join(f"!echo {n}" for n in range(5))),
    ):
        with stage.timing(row):
            stage.front.run(code)
    pause()
    with stage.timing("!echo hi after 6 s"):
        stage.front.run("!echo hi")
    started = time.perf_counter()
    _delays(
        stage,
        "! loop, a line a second: delay",
        "!for i in 1 2 3; do date +%s.%N; sleep 1; done",
    )
    stage.note("! loop, a line a second: over the 3 s", 1000 * (time.perf_counter() - started - 3))


def _file(stage: Stage, name: str, size: int) -> str:
    with open(os.path.join(stage.folder, name), "wb") as file:
        file.write(os.urandom(size))
    return name


def files(stage: Stage) -> None:
    """Files both ways, and beside the notebook."""
    name = _file(stage, f"big-{time.time_ns()}", 20_000_000)
    back = f"back-{time.time_ns()}"
    for suffix in ("", ", limited"):
        with stage.bandwidth() if suffix else contextlib.nullcontext():
            with stage.timing("upload of 20 MB" + suffix):
                text = stage.front.text_of(f"%aca upload {name} there{suffix[2:]}")
            assert "20.0 MB in" in text, text
            with stage.timing("download of 20 MB" + suffix):
                text = stage.front.text_of(f"%aca download there{suffix[2:]} {back}{suffix[2:]}")
            assert "20.0 MB in" in text, text
    other = _file(stage, f"beside-{time.time_ns()}", 20_000_000)
    with stage.timing("20 MB beside the notebook, opened"):
        text = stage.front.text_of(f"print(len(open({other!r}, 'rb').read()))")
    assert "20000000" in text, text
    folder = f"many-{time.time_ns()}"
    os.mkdir(os.path.join(stage.folder, folder))
    names = [_file(stage, f"{folder}/{n}", 10_000) for n in range(200)]
    with stage.timing("200 files of 10 kB beside the notebook, opened"):
        text = stage.front.text_of(f"print(sum(len(open(n, 'rb').read()) for n in {names!r}))")
    assert "2000000" in text, text
    stage.front.run(f"import os, shutil\nfor n in {names!r}: os.unlink(n)\nos.unlink({other!r})")
    with stage.timing("!echo hi, with files on demand"):
        stage.front.run("!echo hi")
    for one in (name, back, back + "limited", other):
        os.unlink(os.path.join(stage.folder, one))
    shutil.rmtree(os.path.join(stage.folder, folder))


# Lines as logs have them: they shrink to less than half.
_TEXT = """
import random
def lines_of(size):
    rows = []
    while size > 0:
        rows.append(f"{random.random():.12f} INFO worker-{random.randrange(40)} step "
                    f"{random.randrange(10**6)} loss={random.random():.6f}")
        size -= len(rows[-1]) + 1
    return "\\n".join(rows)
"""


def large_outputs(stage: Stage) -> None:
    """Outputs of size."""
    stage.front.run(
        _TEXT + "import os\nfrom IPython.display import Image, display\n"
        "text = lines_of(10_000_000)\npicture = Image(data=os.urandom(1_000_000), format='png')"
    )
    with stage.timing("image of 1 MB"):
        stage.front.run("display(picture)")
    with stage.timing("10 MB of text"):
        stage.front.run("print(text)")
    stage.front.run("del text, picture")


def checkpoints(stage: Stage) -> None:
    """State that goes to the user's machine and back."""
    assert stage.site is not None
    front = stage.new_front("--AcaKernel.reuse=never")
    front.run("names = [str(n) for n in range(1000)]")
    with stage.timing("first checkpoint, small notebook"):
        front.run("%aca checkpoint")
    front.close()
    stage.front.run(
        "import numpy\narray = numpy.random.default_rng().random(50_000_000 // 8)\n"
        "names = [str(n) for n in range(1000)]; table = {n: str(n) for n in range(1000)}"
    )
    with stage.timing("checkpoint of 50 MB"):
        text = stage.front.text_of("%aca checkpoint")
    assert "50" in text, text
    with stage.timing("restore of 50 MB"):
        text = stage.front.text_of("%aca restore")
    stage.front.run("del array")
    front = stage.new_front("--AcaKernel.reuse=never", "--AcaKernel.cooldown_seconds=1")
    front.run("names = [str(n) for n in range(1000)]; table = {n: str(n) for n in range(1000)}")
    for _ in range(KEPT_CALLS):
        front.run("1+1")
    front.run("!sleep 0.5")
    front.run("%aca checkpoint")
    time.sleep(2.0)
    stage.site.pool.fault(expire="*")
    with stage.timing("first cell after the cooldown"):
        came = front.run("names[-1], table[7]")
    assert any(one["msg_type"] == "execute_result" for _, one in came), came
    front.close()


def cut_outputs(stage: Stage) -> None:
    """Outputs of size where the pool cuts them at 4096 characters; stage is of such a pool."""
    stage.front.run(
        _TEXT + "import os\nfrom IPython.display import Image, display\n"
        "text = lines_of(1_000_000)\npicture = Image(data=os.urandom(300_000), format='png')"
    )
    with stage.timing("output cut at 4096: image of 300 kB"):
        stage.front.run("display(picture)")
    with stage.timing("output cut at 4096: 1 MB of text"):
        stage.front.run("print(text)")


def faults(stage: Stage) -> None:
    """Refusals and losses."""
    assert stage.site is not None
    assert stage.line is not None
    tool = "runPythonCodeInRemoteEnvironment"
    for row, rule in (
        ("1+1 with one 429", {"kind": "status", "status": 429}),
        ("1+1 with one 503", {"kind": "status", "status": 503}),
        ("1+1, connection closed before it ran", {"kind": "drop_before"}),
        ("1+1, connection closed after it ran", {"kind": "drop_after"}),
    ):
        stage.front.run("1+1")
        stage.site.pool.fault(count=1, tool=tool, **rule)
        with stage.timing(row):
            stage.front.run("1+1")
    _loss(stage, "reset in a cell of 3 s: over the 3 s", stage.line.cut)


def silence(stage: Stage) -> None:
    """A connection that is lost without a word, as by a change of networks."""
    assert stage.line is not None
    _loss(stage, "silent loss in a cell of 3 s: over the 3 s", stage.line.swallow)


def _loss(stage: Stage, row: str, lose: Callable[[], None]) -> None:
    stage.front.run("import time")
    assert stage.line is not None
    with stage.line.watch() as traffic:
        started = time.perf_counter()
        msg_id = stage.front.send("time.sleep(3)")
        time.sleep(1.5)
        lose()
        stage.front.finish(msg_id)
        ms = 1000 * (time.perf_counter() - started - 3)
    stage.note(row, ms, traffic)


@dataclass
class Group:
    """Operations that are done together.

    rounds: how often, of three. where: a key of PLACES.
    has_plain: whether plain ipykernel can, too.
    """

    run: Callable[[Stage], None]
    rounds: int = 3
    where: str = "main"
    has_plain: bool = True


GROUPS: dict[str, Group] = {
    "start": Group(start, 4, "start"),
    "cells": Group(cells, 4),
    "notebook": Group(notebook, 2),
    "lines": Group(lines, 1, "lines"),
    "interrupts": Group(interrupts, 3),
    "inputs": Group(inputs, 3),
    "questions": Group(questions, 3),
    "sliders": Group(sliders, 2),
    "commands": Group(commands, 3),
    "files": Group(files, 3, "on-demand", has_plain=False),
    "outputs": Group(large_outputs, 3),
    "checkpoints": Group(checkpoints, 2, has_plain=False),
    "cut": Group(cut_outputs, 2, "cut", has_plain=False),
    "faults": Group(faults, 3, has_plain=False),
    "silence": Group(silence, 1, has_plain=False),
}

# Options of the pool, and of the kernel in it.
PLACES: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "main": ((), ()),
    # Apart, since tqdm leaves a thread, after whose output the kernel then looks for a while.
    "lines": ((), ()),
    # Files are sent when they are opened, which is not the default where they leave the machine.
    "on-demand": ((), ("--AcaKernel.files=on-demand",)),
    # An environment is ready, as in the service; each round starts kernels of its own.
    "start": (("--ready-sessions", "1"), ()),
    "cut": (("--output-limit", "4096"), ()),
}


def measure(options: Options, names: list[str]) -> Results:
    """Do groups of operations, each round at all distances, so that noise hits all."""
    results = Results()
    with contextlib.ExitStack() as stack:
        sites: dict[tuple[str, ...], Site] = {}
        fronts: dict[str, Front] = {}

        def front_of(key: str, stage: Stage, arguments: tuple[str, ...]) -> Front:
            if key not in fronts:
                front = fronts[key] = stage.new_front(*arguments)
                stack.callback(front.close)
                front.run("1+1")
                # Here the kernel finds out whether the pool's tools run side by side.
                front.run("import time; time.sleep(2.5)")
            return fronts[key]

        for name in names:
            group = GROUPS[name]
            pool_arguments, kernel_arguments = PLACES[group.where]
            if pool_arguments not in sites:
                sites[pool_arguments] = Site(
                    options, "--max-concurrent-sessions", "30", *pool_arguments
                )
                stack.callback(sites[pool_arguments].close)
            site = sites[pool_arguments]
            for number in range(max(1, round(group.rounds * options.rounds / 3))):
                print(f"-- {name}, round {number + 1}", file=options.log, flush=True)
                columns = ["python3"] if group.has_plain else []
                for column in [*columns, *map(str, options.rtts)]:
                    stage = Stage(options, results, column, None if column == "python3" else site)
                    site.line.delay = 0.0 if column == "python3" else int(column) / 2000
                    if group.where != "start":
                        key = "python3" if stage.is_plain else group.where
                        stage.front = front_of(key, stage, kernel_arguments)
                        # It has been there for a while; a move is another matter.
                        for _ in range(KEPT_CALLS):
                            stage.front.run("1+1")
                    group.run(stage)
            site.line.delay = 0.0
            if options.json:
                results.save(options.json)
    return results


# -- the table ---------------------------------------------------------------------------


def table(results: Results, options: Options) -> tuple[list[list[str]], list[float]]:
    """Return the table's lines, and the ratios."""
    columns = ["python3", *map(str, options.rtts)]
    far, farthest = next((rtt for rtt in options.rtts if rtt), 0), max(options.rtts)
    heads = ["", *(one if one == "python3" else f"{one} ms" for one in columns)]
    heads += ["RTTs", "counted", "floor", "requests", "new", f"at floor, {far} ms", "ratio"]
    lines_of, ratios = [heads], []
    for row in [one for one in FLOORS if one in results.rows]:
        shown = [row, *(_shown(results.median(row, column)) for column in columns)]
        near_ms, farthest_ms = results.least(row, "0"), results.least(row, str(farthest))
        floor, measured = FLOORS[row][0], None
        if far and near_ms is not None and farthest_ms is not None:
            measured = (farthest_ms - near_ms) / farthest
        traffic = [one.traffic for one in results.rows[row].get(str(far), []) if one.traffic]
        counted = None
        if traffic and row not in HELD:
            counted = statistics.median(one.round_trips() for one in traffic)
        shown.append("-" if measured is None else f"{measured:.1f}")
        shown.append("-" if counted is None else f"{counted:g}")
        shown.append(f"{floor:g}")
        shown += [
            f"{statistics.median(map(len, many)):g}" if traffic else "-"
            for many in ([one.calls for one in traffic], [one.opened for one in traffic])
        ]
        waited = measured if counted is None else counted
        if near_ms is None or waited is None:
            shown += ["-", "-"]
        else:
            at_floor = max(near_ms, 0.0) + floor * far
            ratios.append((max(near_ms, 0.0) + max(waited, 0.0) * far) / at_floor)
            shown += [_shown(at_floor), f"{ratios[-1]:.2f}"]
        lines_of.append(shown)
    return lines_of, ratios


def _shown(ms: float | None) -> str:
    if ms is None:
        return "-"
    return f"{ms:.3g}" if abs(ms) < 100 else f"{ms:.0f}"


def keep_apart(folder: str) -> None:
    """Keep what kernels leave behind, and what the user has set, away from this run."""
    for name in ("JUPYTER_RUNTIME_DIR", "JUPYTER_DATA_DIR", "IPYTHONDIR"):
        os.environ[name] = os.path.join(folder, name.lower())
        os.mkdir(os.environ[name])
    for name in [one for one in os.environ if one.startswith("ACA_")]:
        del os.environ[name]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--transport", choices=("tls", "plain"), default="tls")
    parser.add_argument(
        "--interpreter", choices=("ipykernel", "light"), default="ipykernel",
        help="the pool's session interpreter; the service has ipykernel",
    )  # fmt: skip
    parser.add_argument(
        "--rtt", type=int, nargs="+", default=[0, 80, 200], metavar="MS", help="round-trip times"
    )
    parser.add_argument(
        "--only", nargs="+", choices=GROUPS, default=list(GROUPS), help="groups of operations"
    )
    parser.add_argument("--slow-start", action="store_true", help="TCP's, on each connection")
    parser.add_argument(
        "--mbit", type=float, default=50.0, help="bandwidth of the rows that are `limited`"
    )
    parser.add_argument(
        "--rounds", type=int, default=3, help="3: as the table was made; 1: a third of the time"
    )
    parser.add_argument("--json", metavar="FILE", default="", help="write all samples to a file")
    parser.add_argument("--log", metavar="FILE", help="write each sample's line there")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="distance-") as folder, contextlib.ExitStack() as stack:
        keep_apart(folder)
        authority, certificate = make_certificates(folder)
        os.mkdir(os.path.join(folder, "notebooks"))
        log = sys.stderr
        if arguments.log:
            log = stack.enter_context(open(arguments.log, "w", encoding="utf-8"))
        options = Options(
            arguments.transport,
            arguments.interpreter,
            arguments.rtt,
            arguments.slow_start,
            arguments.mbit * 1e6,
            arguments.rounds,
            arguments.json,
            os.path.join(folder, "notebooks"),
            authority,
            certificate,
            log,
        )
        results = measure(options, arguments.only)
    lines_of, ratios = table(results, options)
    what = f"{arguments.transport}, session interpreter {arguments.interpreter}"
    print(f"\n{what}{', slow start' if arguments.slow_start else ''}; times in ms\n")
    for number, line in enumerate(lines_of):
        print("| " + " | ".join(line) + " |")
        if number == 0:
            print("|---" * len(line) + "|")
    mean = statistics.geometric_mean(ratios) if ratios else math.nan
    far = next((rtt for rtt in options.rtts if rtt), 0)
    print(
        f"\nFIGURE: {mean:.2f} times the floor at {far} ms, geometric mean of {len(ratios)} "
        f"operations ({what})"
    )


if __name__ == "__main__":
    main()
