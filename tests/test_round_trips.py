"""Operations of daily use cost no more round trips than their bound; counted, not timed.

One kernel after the other at the end of a line with TLS (far_line.py). A busy machine can make a
short cell a long one, which costs a call more, so that the best of some tries counts.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from urllib.parse import urlsplit

import pytest

from aca_kernel.pool.round_trip import KEPT_CALLS

from .certificates import make_certificates
from .far_line import Line
from .host.conftest import inside
from .support import Client, Pool, eventually, running_kernel, running_pool

# One way, in seconds. Long enough to tell what follows what.
DELAY = 0.02

TRIES = 4

HELD_SECONDS = 1.9

ON_DEMAND = ("--AcaKernel.files=on-demand",)

PYTHON = "runPythonCodeInRemoteEnvironment"


@dataclass
class Far:
    """A pool at the end of a line. env: of a kernel."""

    pool: Pool
    line: Line
    env: dict[str, str]

    def count(self, operation: Callable[[], object]) -> int:
        """Return the round trips that an operation takes.

        Without those of calls that were held to the end of their window of 2 s: on a busy machine
        a remote kernel starts slower than that, and is asked again.
        """
        self.settle()
        with self.line.watch() as traffic:
            operation()
        answered = [one for one in traffic.calls if one.ended <= traffic.over]
        held = sum(one.ended - one.began > HELD_SECONDS for one in answered)
        return max(1, traffic.round_trips() - held)

    def settle(self) -> None:
        """Let come back what was sent ahead of the end of the last operation."""
        time.sleep(4 * DELAY)

    def least(self, operation: Callable[[], object], bound: int) -> int:
        """Return the fewest round trips of some tries, or of the first that is within the bound."""
        counts = []
        while len(counts) < TRIES:
            counts.append(self.count(operation))
            if counts[-1] <= bound:
                break
        return min(counts)

    def wait_for_silence(self, seconds: float) -> None:
        """Wait until no call has been made or answered for so many seconds."""

        def is_silent() -> bool:
            ends = (one.began if one.ended == math.inf else one.ended for one in self.line.calls)
            return self.line.loop.time() - max(ends) > seconds

        assert eventually(is_silent)

    def wait_for(self, names: set[str], *, since: int) -> None:
        """Wait until what a kernel prepares has been answered; since: so many calls before."""

        def is_there() -> bool:
            made = self.line.calls[since:]
            is_over = all(one.ended < self.line.loop.time() for one in made)
            return is_over and names <= {one.name for one in made}

        assert eventually(is_there)


@pytest.fixture(scope="module")
def far(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Far]:
    authority, certificate = make_certificates(str(tmp_path_factory.mktemp("tls")))
    with running_pool() as pool:
        line = Line(urlsplit(pool.endpoint).port or 0, certificate)
        line.delay = DELAY
        env = {**pool.env, "ACA_MCP_ENDPOINT": line.endpoint, "SSL_CERT_FILE": authority}
        yield Far(pool, line, env)
        line.close()


@pytest.fixture(scope="module")
def kernel(far: Far) -> Iterator[Client]:
    with running_kernel(far.env) as client:
        far.wait_for({"launchShell"}, since=0)
        client.first_cell = far.count(lambda: client.run("1 + 1"))  # type: ignore[attr-defined]
        client.run("import collections, time; time.sleep(0.5)")
        yield client


def test_the_first_cell_in_a_new_environment(kernel: Client) -> None:
    assert kernel.first_cell <= 2  # type: ignore[attr-defined]


def test_packages_that_are_there_cost_the_first_cell_one_question(far: Far) -> None:
    with running_kernel(far.env, arguments=("--AcaKernel.packages=numpy>=1",)) as client:
        far.settle()
        assert far.count(lambda: client.run("1 + 1")) <= 3
        assert far.least(lambda: client.run("1 + 1"), 1) == 1


def test_a_cell(far: Far, kernel: Client) -> None:
    assert far.least(lambda: kernel.run("1 + 1"), 1) == 1


def test_a_cell_and_a_completion_after_a_pause(far: Far, kernel: Client) -> None:
    """Five seconds after which httpx would close a connection that is not used."""
    content = {"code": "collections.Ord", "cursor_pos": 15}
    kernel.ask("complete_request", content)  # imports what completes
    time.sleep(5.5)
    assert far.count(lambda: kernel.ask("complete_request", content)) == 1
    assert far.least(lambda: kernel.run("1 + 1"), 1) == 1


@pytest.mark.parametrize(
    "code", ["time.sleep(0.25)", "print(1); time.sleep(0.05); print(2)"], ids=["0.25 s", "prints"]
)
def test_a_cell_that_is_held(far: Far, kernel: Client, code: str) -> None:
    """Its end, and what it says then, meet a call that was sent ahead; also after a move."""
    far.line.delay = 0.0
    for _ in range(KEPT_CALLS):
        kernel.run("1 + 1")
    far.line.delay = DELAY
    for _ in range(KEPT_CALLS):
        kernel.run("1 + 1")
    assert far.least(lambda: kernel.run(code), 1) == 1


def test_an_inspection(far: Far, kernel: Client) -> None:
    content = {"code": "collections.OrderedDict", "cursor_pos": 23, "detail_level": 0}
    assert far.least(lambda: kernel.ask("inspect_request", content), 1) == 1


def _prompt(kernel: Client) -> str:
    msg_id = kernel.client.execute("input('?')", allow_stdin=True)
    kernel.client.get_stdin_msg(timeout=30)
    return str(msg_id)


def test_a_prompt_and_its_answer(far: Far, kernel: Client) -> None:
    prompts, answers = [], []
    for _ in range(2):
        ids: list[str] = []
        prompts.append(far.count(lambda ids=ids: ids.append(_prompt(kernel))))  # type: ignore[misc]

        def answer(msg_id: str = ids[0]) -> None:
            kernel.client.input("x")
            kernel.collect(msg_id)

        answers.append(far.count(answer))
    assert min(prompts) == 1
    assert min(answers) == 1


def test_one_answer_that_is_an_error(far: Far, kernel: Client) -> None:
    def run() -> None:
        far.pool.fault(count=1, tool=PYTHON, kind="status", status=503)
        kernel.run("1 + 1")

    assert far.least(run, 2) <= 2


@pytest.mark.parametrize("kind", ["drop_before", "drop_after"])
def test_a_connection_that_is_closed_under_a_call(far: Far, kernel: Client, kind: str) -> None:
    def run() -> None:
        far.pool.fault(count=1, tool=PYTHON, kind=kind)
        kernel.run("1 + 1")

    assert far.least(run, 3) <= 3


def test_connections_that_were_lost_are_made_again_beside_the_calls(
    far: Far, kernel: Client
) -> None:
    """So that no call waits for one; each cell loses one of four at the most."""

    def waiting_calls() -> int:
        with far.line.watch() as traffic:
            for _ in range(8):
                far.pool.fault(count=1, tool=PYTHON, kind="drop_after")
                kernel.run("1 + 1")
                far.settle()
        return sum(one.name == PYTHON and one.handshakes > 0 for one in traffic.calls)

    # One that comes sooner than the connection is made waits for it, on a busy machine.
    assert any(waiting_calls() <= 1 for _ in range(TRIES))


def test_the_first_cell_after_a_restart(far: Far, kernel: Client) -> None:
    def restart() -> int:
        far.settle()
        before = len(far.line.calls)
        kernel.restart()
        far.wait_for({"ping", PYTHON}, since=before)
        return far.count(lambda: kernel.run("1 + 1"))

    assert 1 in (restart() for _ in range(TRIES))


def test_what_a_restart_prepares(far: Far, kernel: Client) -> None:
    """The old one's end; connections, of three each; what still runs is ended beside the boot."""

    def restart() -> None:
        before = len(far.line.calls)
        kernel.restart()
        far.wait_for({"ping", PYTHON}, since=before)

    assert far.least(restart, 5) <= 5


def test_the_first_cell_in_an_environment_that_is_taken_over(far: Far) -> None:
    def take_over() -> int:
        before = len(far.line.calls)
        with running_kernel(far.env) as client:
            far.wait_for({"ping"}, since=before)
            return far.count(lambda: client.run("1 + 1"))

    with running_kernel(far.env) as client:
        client.run("1 + 1")
    assert 1 in (take_over() for _ in range(TRIES))


COMMANDS = {
    "!echo hi": 1,
    "x = !echo hi": 1,
    "\n".join(f"!echo {n}" for n in range(5)): 2,
    "for n in range(5):\n    !echo {n}": 2,
}


@pytest.mark.parametrize(("code", "bound"), COMMANDS.items(), ids=["one", "taken", "five", "loop"])
def test_commands(far: Far, kernel: Client, code: str, bound: int) -> None:
    """What starts them goes along with the cell; the first one finds out that it can."""
    kernel.run("!true")
    assert far.least(lambda: kernel.run(code), bound) <= bound


@pytest.fixture(scope="module")
def kernel_with_files(far: Far, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    """A kernel in a folder whose files are sent on demand."""
    folder = tmp_path_factory.mktemp("notebooks")
    (folder / "text.txt").write_text("a text\n")
    with inside(folder), running_kernel(far.env, arguments=ON_DEMAND) as client:
        for _ in range(KEPT_CALLS):
            client.run("1 + 1")
        client.run("!sleep 0.5; cat text.txt")
        yield client


# Many commands are no row: on a busy machine they take longer than the second for which the facts
# hold, and those after it ask.
WITH_FILES = {
    "!echo hi": 1,
    "x = !echo hi": 1,
    "!wc -l text.txt missing.txt": 1,
    "!ls": 2,  # the folder is listed there
}


@pytest.mark.parametrize(
    ("code", "bound"), WITH_FILES.items(), ids=["one", "taken", "names", "list"]
)
def test_commands_with_files_on_demand(
    far: Far, kernel_with_files: Client, code: str, bound: int
) -> None:
    """Which of the names in a command are files beside the notebook goes along with the cell."""
    assert far.least(lambda: kernel_with_files.run(code), bound) <= bound


ECHO = """
from comm import create_comm
echo = create_comm(target_name="echo")
echo.on_msg(lambda message: echo.send(message["content"]["data"]))
echo.comm_id
"""


@contextmanager
def fresh_kernel(far: Far) -> Iterator[Client]:
    """Start a kernel that knows how far it is, and that the tools run side by side."""
    with running_kernel(far.env) as fresh:
        for _ in range(KEPT_CALLS):
            fresh.run("1 + 1")
        fresh.run("!sleep 0.5")
        yield fresh


def wait_until_held(far: Far, *, since: int) -> None:
    """Wait until two calls are held, and connections for two more stand."""
    assert eventually(lambda: len(far.line.calls) > since + 2)
    time.sleep(8 * DELAY)


def test_an_answer_to_a_prompt_when_two_calls_are_held(far: Far) -> None:
    def first_answer() -> int:
        with fresh_kernel(far) as fresh:
            before = len(far.line.calls)
            msg_id = _prompt(fresh)
            wait_until_held(far, since=before)

            def answer() -> None:
                fresh.client.input("x")
                fresh.collect(msg_id)

            return far.count(answer)

    assert 1 in (first_answer() for _ in range(TRIES))


def test_the_first_cell_after_the_cooldown_with_a_restore(far: Far) -> None:
    """That it is gone, the boot, the restore, the cell; an id for it is got beside the first."""
    arguments = ("--AcaKernel.cooldown_seconds=1", "--AcaKernel.reuse=never")
    with running_kernel(far.env, arguments=arguments) as fresh:
        for _ in range(KEPT_CALLS):
            fresh.run("1 + 1")
        fresh.run("!sleep 0.5")

        def first_cell() -> int:
            fresh.run("kept = 1")
            fresh.run("%aca checkpoint")
            far.wait_for_silence(1.2)  # so short a cooldown has another checkpoint taken at once
            far.pool.fault(expire="*")
            return far.count(lambda: fresh.run("assert kept"))

        assert min(first_cell() for _ in range(TRIES)) <= 4


def test_a_slider_beside_a_cell_that_awaits(far: Far) -> None:
    with fresh_kernel(far) as fresh:
        comm_id = str(fresh.run(ECHO).result).strip("'")
        before = len(far.line.calls)
        running = fresh.send("import asyncio; print('go', flush=True); await asyncio.sleep(600)")
        fresh.wait_for_stream(running, "go")
        wait_until_held(far, since=before)

        def move() -> None:
            content = {"comm_id": comm_id, "data": {"number": 1}}
            fresh.client.shell_channel.send(fresh.client.session.msg("comm_msg", content))
            while fresh.client.get_iopub_msg(timeout=30)["msg_type"] != "comm_msg":
                pass

        assert far.least(move, 1) == 1
        fresh.interrupt()
        fresh.collect(running)
