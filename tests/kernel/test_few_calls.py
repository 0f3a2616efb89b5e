"""Kernels that make few calls, and answer, whatever is wrong: each of these stormed the pool."""

from __future__ import annotations

import time

import pytest

from ..support import TIMEOUT, Client, Pool, eventually, running_kernel

PYTHON = "runPythonCodeInRemoteEnvironment"

# A cell takes a few calls; each of the defects made some hundred in a second.
FEW = 20

# The folder of the agent, from which a remote kernel is started, is none any more.
REPLACE_AGENT = """
import os, shutil, sys
folder = os.path.dirname(os.path.dirname(sys.modules["_aca_remote"].__file__))
shutil.rmtree(folder)
open(folder, "w").close()
"""

SLOW_WIDGET = """
import time
def slow(comm, opened):
    print("handling", flush=True)
    try:
        end = time.monotonic() + 60
        while time.monotonic() < end:
            time.sleep(0.01)
    except KeyboardInterrupt:
        print("interrupted", flush=True)
get_ipython().kernel.comm_manager.register_target("slow", slow)
"""


@pytest.fixture(scope="module")
def pool(shared_pool: Pool) -> Pool:
    return shared_pool


@pytest.fixture(scope="module")
def pool_kernel(shared_pool_kernel: Client) -> Client:
    """One kernel for all: each of the tests leaves it as one that answers and makes no calls."""
    shared_pool_kernel.run("1")
    return shared_pool_kernel


def python_calls(pool: Pool) -> int:
    return pool.calls().get(PYTHON, 0)


def settled_calls(pool: Pool) -> int:
    """Wait until nothing is called any more; return how often there was a call."""
    counts = [-1]

    def is_settled() -> bool:
        counts.append(python_calls(pool))
        time.sleep(0.2)
        return len(counts) > 5 and counts[-1] == counts[-5]

    assert eventually(is_settled, TIMEOUT)
    return counts[-1]


@pytest.mark.parametrize("channel", ["stdin", "shell", "control"])
@pytest.mark.parametrize("msg_type", ["comm_msg", "input_reply", "no_such_request", "status"])
def test_an_odd_message_makes_no_storm(
    pool: Pool, pool_kernel: Client, msg_type: str, channel: str
) -> None:
    before = settled_calls(pool)
    message = pool_kernel.client.session.msg(msg_type, {"value": "x"})
    getattr(pool_kernel.client, f"{channel}_channel").send(message)
    assert pool_kernel.run("1 + 1").result == "2"
    assert settled_calls(pool) - before < FEW


def test_a_key_that_is_refused_while_output_comes_makes_no_storm(
    pool: Pool, pool_kernel: Client
) -> None:
    msg_id = pool_kernel.send("import os\nprint(os.urandom(40_000_000).hex())")
    before = python_calls(pool)
    # While it is being fetched.
    assert eventually(lambda: python_calls(pool) > before + 1)
    pool.fault(kind="unauthorized", every=1)
    cell = pool_kernel.collect(msg_id)
    assert cell.reply["content"]["ename"] in ("AccessDenied", "KeyRefused")
    before = python_calls(pool)
    assert pool_kernel.run("1").reply["content"]["status"] == "error"
    assert settled_calls(pool) - before < FEW
    pool.clear_faults()
    assert pool_kernel.run("1 + 1").result == "2"


def test_a_remote_kernel_that_cannot_be_started_again_is_told_and_replaced(
    pool: Pool,
) -> None:
    before = settled_calls(pool)
    # One of its own: the shared one's environment has a past, and would lose it here.
    with running_kernel(pool.env) as kernel:
        kernel.run("1")
        kernel.run(REPLACE_AGENT)
        death = kernel.run("import os; os._exit(1)")
        assert death.reply["content"]["ename"] == "RemoteKernelDied"
        cells = [kernel.run("1 + 1") for _ in range(2)]
        calls = settled_calls(pool) - before
    told = " ".join(
        cell.stream("stderr") + str(cell.reply["content"].get("evalue")) for cell in cells
    )
    assert "could not be started again: Not a directory" in " ".join(told.split())
    assert cells[-1].result == "2"
    assert calls < 3 * FEW


def test_remote_kernels_that_start_nowhere_are_told_and_cost_an_environment_a_cell(
    pool: Pool,
) -> None:
    nowhere = ("--AcaKernel.environment=PYTHONHOME=/nowhere", "--AcaKernel.reuse=never")
    before, allocated = settled_calls(pool), pool.stats()["sessions"]["allocated"]
    with running_kernel(pool.env, arguments=nowhere) as kernel:
        for _ in range(2):
            queued = [kernel.send("1 + 1") for _ in range(3)]
            for msg_id in queued:
                cell = kernel.collect(msg_id)
                assert cell.error is not None
                assert cell.error["ename"] == "RemoteKernelNotStarted"
                assert (
                    "environment: ModuleNotFoundError: No module named 'encodings'." in cell.evalue
                )
        assert settled_calls(pool) - before < FEW
        assert pool.stats()["sessions"]["allocated"] - allocated == 2


def test_an_interrupt_reaches_the_callback_of_a_widget_and_the_queued_cell_runs(
    pool_kernel: Client,
) -> None:
    kernel = pool_kernel
    kernel.run(SLOW_WIDGET)
    content = {"comm_id": "one", "target_name": "slow", "data": {}}
    message = kernel.client.session.msg("comm_open", content)
    kernel.client.shell_channel.send(message)
    msg_id = message["header"]["msg_id"]
    kernel.wait_for_stream(msg_id, "handling")
    queued = kernel.send("'ran'")
    kernel.interrupt()
    kernel.wait_for_stream(msg_id, "interrupted")
    cell = kernel.collect(queued)
    assert cell.status == "ok"
    assert cell.result == "'ran'"


def test_an_interrupt_ends_a_completion(pool_kernel: Client) -> None:
    kernel = pool_kernel
    kernel.run(
        "import time\n"
        "class Slow:\n"
        "    def __dir__(self):\n"
        "        print('completing', flush=True)\n"
        "        time.sleep(60)\n"
        "        return []\n"
        "slow = Slow()\n"
        "get_ipython().Completer.use_jedi = False"
    )
    content = {"code": "slow.", "cursor_pos": 5}
    message = kernel.client.session.msg("complete_request", content)
    kernel.client.shell_channel.send(message)
    msg_id = message["header"]["msg_id"]
    kernel.wait_for_stream(msg_id, "completing")
    queued = kernel.send("'ran'")
    kernel.interrupt()
    assert kernel.reply_to(msg_id, time.monotonic() + TIMEOUT)
    assert kernel.collect(queued).result == "'ran'"
