"""The network and the service misbehave; no cell is lost and none runs twice."""

from __future__ import annotations

import random
from collections.abc import Iterator

import pytest

from ..support import TIMEOUT, Client, Pool, running_kernel, running_pool

PYTHON = "runPythonCodeInRemoteEnvironment"
SHELL = "runShellCommandInRemoteEnvironment"


@pytest.fixture
def pool(shared_pool: Pool) -> Iterator[Pool]:
    """One pool for all; its faults end with the test."""
    yield shared_pool
    shared_pool.clear_faults()


@pytest.fixture
def pool_kernel(pool: Pool, shared_pool_kernel: Client) -> Client:
    """One kernel for all, which has lost nothing when the faults end."""
    assert pool.stats()["rules"] == []
    return shared_pool_kernel


def test_an_interrupt_whose_answer_is_lost_comes_once(pool: Pool, pool_kernel: Client) -> None:
    code = """
import signal, time
hits = []
before = signal.signal(signal.SIGINT, lambda *_: hits.append(1))
print("on", flush=True)
while not hits: time.sleep(0.01)
print("hit", flush=True)
# What is on its way for it comes with the question's answer.
answer = input()
signal.signal(signal.SIGINT, before)
print(len(hits), answer)
"""
    pool_kernel.run("1")
    msg_id = pool_kernel.send(code, allow_stdin=True)
    pool_kernel.wait_for_stream(msg_id, "on")
    pool.fault(kind="drop_after", tool=SHELL)
    pool_kernel.interrupt()
    pool_kernel.client.get_stdin_msg(timeout=TIMEOUT)
    pool_kernel.client.input("x")
    assert pool_kernel.collect(msg_id).text.split()[-2:] == ["1", "x"]


def count_to(kernel: Client, times: int) -> str:
    """Run a counting cell so often; return what was counted."""
    assert kernel.run("counter = 0").status == "ok"
    for n in range(1, times + 1):
        cell = kernel.run("counter += 1\nprint(counter)")
        assert cell.text == f"{n}\n"
    return str(kernel.run("counter").result)


@pytest.mark.parametrize(
    "fault",
    [
        {"kind": "drop_after"},
        {"kind": "drop_before"},
        {"kind": "cut"},
        {"kind": "garbage"},
        {"kind": "status", "status": 503},
        {"kind": "status", "status": 429},
        {"kind": "status", "status": 502},
    ],
    ids=lambda fault: f"{fault['kind']}-{fault.get('status', '')}",
)
def test_fifty_cells_count_to_fifty_though_every_third_answer_fails(
    pool: Pool, pool_kernel: Client, fault: dict[str, object]
) -> None:
    pool.fault(**fault, every=3, tool=PYTHON)
    assert count_to(pool_kernel, 50) == "50"


@pytest.fixture(scope="module")
def limited(limit: int) -> Iterator[tuple[Pool, Client]]:
    """A pool whose answers are cut, and a kernel on it."""
    with running_pool(output_limit=limit) as pool, running_kernel(pool.env) as kernel:
        yield pool, kernel


@pytest.mark.parametrize("limit", [4096, 1500], scope="module")
def test_answers_that_are_cut_short_lose_nothing(limited: tuple[Pool, Client]) -> None:
    _, kernel = limited
    assert count_to(kernel, 5) == "5"
    cell = kernel.run("import random\nrandom.seed(1)\nprint(random.randbytes(20_000).hex())")
    assert len(cell.text) == 40_001
    assert cell.text == random.Random(1).randbytes(20_000).hex() + "\n"


@pytest.mark.parametrize("limit", [4096], scope="module")
def test_a_long_output_that_is_cut_comes_once_though_answers_are_lost(
    limited: tuple[Pool, Client],
) -> None:
    pool, kernel = limited
    kernel.run("import random\nrandom.seed(1)")
    pool.fault(kind="drop_after", every=4, tool=PYTHON)
    cell = kernel.run("for _ in range(4): print(random.randbytes(25_000).hex())", timeout=120)
    mine = random.Random(1)
    assert cell.text == "".join(mine.randbytes(25_000).hex() + "\n" for _ in range(4))
    assert count_to(kernel, 3) == "3"
    pool.clear_faults()


def test_a_proxy_that_decodes_base64_does_no_harm() -> None:
    with running_pool(quirks=["decode_base64"]) as pool, running_kernel(pool.env) as kernel:
        assert count_to(kernel, 3) == "3"
        assert kernel.run("print('aGVsbG8gd29ybGQ=')").text == "aGVsbG8gd29ybGQ=\n"


def test_the_services_own_kind_of_interpreter_works_as_well() -> None:
    with running_pool(interpreter="ipykernel") as pool, running_kernel(pool.env) as kernel:
        assert count_to(kernel, 3) == "3"
        assert kernel.run("!echo hello").text == "hello\r\n"
        cell = kernel.run("x = '" + "ä" * 100_000 + "'\nlen(x)")
        assert cell.result == "100000"


@pytest.mark.parametrize(
    ("offered", "used"),
    [
        ("shell", "launchShell"),
        ("python", "launchPythonEnvironment"),
        ("both", "launchShell"),
    ],
)
def test_either_launch_tool_is_enough_and_one_is_preferred(offered: str, used: str) -> None:
    with running_pool(launch_tools=offered) as pool, running_kernel(pool.env) as kernel:
        assert kernel.run("6 * 7").result == "42"
        launches = {name: n for name, n in pool.calls().items() if name.startswith("launch")}
        assert launches == {used: 1}


def test_live_output_continues_through_lost_answers(pool: Pool, pool_kernel: Client) -> None:
    pool_kernel.run("import time")
    pool.fault(kind="drop_after", every=2, tool=PYTHON)
    cell = pool_kernel.run("for n in range(40):\n    print(n, flush=True)\n    time.sleep(0.05)")
    assert cell.text == "".join(f"{n}\n" for n in range(40))
