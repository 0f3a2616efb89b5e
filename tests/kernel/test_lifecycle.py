"""The environment's life: cooldown, relaunch, death of what runs in it, full pools."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time

import psutil
import pytest
from jupyter_client import KernelManager

from ..support import AT_ONCE, TIMEOUT, Client, Pool, eventually, running_kernel, running_pool


def test_after_the_cooldown_a_cell_gets_a_new_environment_and_is_told() -> None:
    with running_pool(cooldown_seconds=2) as pool, running_kernel(pool.env) as kernel:
        kernel.run("x = 5\nopen('here.txt', 'w').write('x')")
        pool.wait_for_cooldown()
        cell = kernel.run("print('x' in dir())\nimport os; print(os.listdir())")
        assert cell.text == "False\n[]\n"
        sentence = cell.said
        assert "The session environment was released after" in sentence
        assert "variables and files are lost" in sentence
        assert max(map(len, cell.stream("stderr").splitlines())) <= 80
        assert kernel.run("1").said == ""


def test_a_silently_replaced_environment_is_noticed_too() -> None:
    with (
        running_pool(cooldown_seconds=2, quirks=["silent_replacement"]) as pool,
        running_kernel(pool.env) as kernel,
    ):
        kernel.run("x = 5")
        pool.wait_for_cooldown()
        cell = kernel.run("'x' in dir()")
        assert cell.result == "False"
        assert "released" in cell.said


def test_a_cell_whose_environment_dies_under_it_is_not_repeated(tmp_path) -> None:
    with running_pool(isolation="process") as pool, running_kernel(pool.env) as kernel:
        mark = tmp_path / "runs"
        msg_id = kernel.send(
            f"open({str(mark)!r}, 'a').write('x')\nprint('started', flush=True)\n"
            "import time; time.sleep(60)"
        )
        kernel.wait_for_stream(msg_id, "started")
        queued = kernel.send("print('not run either')")
        pool.kill_environments()
        cell = kernel.collect(msg_id)
        assert cell.status == "error"
        assert kernel.collect(queued).status in ("aborted", "ok")
        assert kernel.run("print('new')").text.endswith("new\n")
        assert mark.read_text() == "x"


@pytest.mark.parametrize(
    ("code", "says"),
    [
        ("import os; os._exit(3)", "exit status 3"),
        ("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", "SIGKILL"),
        ("import ctypes; ctypes.string_at(0)", "signal 11"),
    ],
)
def test_the_death_of_the_remote_kernel_is_reported_at_once(
    shared_kernel: Client, code: str, says: str
) -> None:
    shared_kernel.run("x = 1\nopen('kept.txt', 'w').write('kept')")
    # It takes so long that the other one has come by then, on a busy machine, too.
    first = shared_kernel.send(f"import time\ntime.sleep(0.3)\n{code}")
    dies = time.monotonic() + 0.3
    second = shared_kernel.send("print('queued')")
    cell = shared_kernel.collect(first)
    assert time.monotonic() - dies < AT_ONCE
    error = cell.error
    assert cell.status == "error"
    assert error is not None
    assert says in error["evalue"]
    assert shared_kernel.collect(second).status == "aborted"
    assert shared_kernel.run("print('x' in dir(), open('kept.txt').read())").text == "False kept\n"


def test_memory_that_runs_out_hurts_only_its_own_session() -> None:
    with running_pool(memory_mib=768) as pool, running_kernel(pool.env) as kernel:
        cell = kernel.run("blocks = []\nwhile True: blocks.append(bytearray(50_000_000))")
        error = cell.error
        assert error is not None
        assert error["ename"] in ("MemoryError", "RemoteKernelDied")
        assert kernel.run("blocks = None\n6 * 7").result == "42"


def test_exit_ends_the_kernel_as_in_ipykernel() -> None:
    with running_kernel() as kernel:
        cell = kernel.run("exit")
        assert cell.reply["content"]["payload"][0]["source"] == "ask_exit"
        # ask_exit asks the front end to shut the kernel down; alone, it goes by itself.
        assert eventually(lambda: not kernel.manager.is_alive())


def test_a_cell_that_runs_at_a_shutdown_tells_where_it_was() -> None:
    """Clients that give up a cell save what they hear of it: nbclient, papermill."""
    with running_kernel() as kernel:
        msg_id = kernel.send("import time\nprint('begun', flush=True)\ntime.sleep(60)")
        kernel.wait_for_stream(msg_id, "begun")
        kernel.manager.shutdown_kernel()
        errors = [m["content"] for m in kernel.drain() if m["msg_type"] == "error"]
    assert [one["ename"] for one in errors] == ["KeyboardInterrupt"]
    assert "time.sleep" in "".join(errors[0]["traceback"])


@pytest.mark.parametrize("quirks", [[], ["pool_full_as_404"]])
def test_a_full_pool_is_waited_for_with_a_sentence(quirks: list[str]) -> None:
    with (
        running_pool(max_concurrent_sessions=1, cooldown_seconds=4, quirks=quirks) as pool,
        running_kernel(pool.env) as kernel,
    ):
        pool.take_a_place()
        cell = kernel.run("print('got a place')")
        assert cell.text == "got a place\n"
        assert "pool is full" in cell.said
        assert "Waiting" in cell.said


def test_waiting_for_a_full_pool_ends_with_a_clear_error() -> None:
    short = ("--AcaKernel.pool_full_timeout_seconds=1",)
    with (
        running_pool(max_concurrent_sessions=1, cooldown_seconds=60) as pool,
        running_kernel(pool.env, arguments=short) as kernel,
    ):
        pool.take_a_place()
        error = kernel.run("1").error
        assert error is not None
        assert error["ename"] == "PoolBusy"
        assert "maxConcurrentSessions" in error["evalue"]


def test_waiting_for_a_full_pool_can_be_interrupted() -> None:
    with (
        running_pool(max_concurrent_sessions=1, cooldown_seconds=60) as pool,
        running_kernel(pool.env) as kernel,
    ):
        pool.take_a_place()
        msg_id = kernel.send("1")
        kernel.wait_for_stream(msg_id, "Waiting")
        kernel.interrupt()
        error = kernel.collect(msg_id).error
        assert error is not None
        assert error["ename"] == "KeyboardInterrupt"


def test_a_wrong_key_is_one_sentence_and_the_kernel_stays(pool: Pool) -> None:
    env = {**pool.env, "ACA_MCP_API_KEY": "wrong-key-1234"}
    with running_kernel(env) as kernel:
        for _ in range(2):
            cell = kernel.run("1")
            error = cell.error
            assert error is not None
            assert error["ename"] == "KeyRefused"
            assert "ACA_MCP_API_KEY" in error["evalue"]
            assert "wrong-key" not in str(cell)


def test_an_unreachable_endpoint_is_one_sentence_and_the_kernel_stays() -> None:
    env = {"ACA_MCP_ENDPOINT": "http://127.0.0.1:9/mcp", "ACA_MCP_API_KEY": "key-12345"}
    quick = ("--AcaKernel.reconnect_timeout_seconds=1",)
    with running_kernel(env, arguments=quick) as kernel:
        for _ in range(2):
            error = kernel.run("1").error
            assert error is not None
            assert error["ename"] == "PoolUnreachable"


def test_an_environment_without_ipykernel_runs_cells_in_plain_mode() -> None:
    with (
        running_pool(quirks=["no_ipykernel"], egress="disabled") as pool,
        running_kernel(pool.env) as kernel,
    ):
        cell = kernel.run("print('plain')\n6 * 7")
        assert cell.text == "plain\n"
        assert cell.result == "42"
        assert "plain mode" in cell.said
        assert kernel.run("x = 8").said == ""
        assert kernel.run("x").result == "8"
        error = kernel.run("1/0").error
        assert error is not None
        assert error["ename"] == "ZeroDivisionError"
        reply = kernel.ask("complete_request", {"code": "x", "cursor_pos": 1})
        assert reply["content"]["matches"] == []


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL])
def test_nothing_is_left_when_the_kernel_process_is_killed(how: signal.Signals) -> None:
    with running_kernel() as kernel:
        kernel.run("import subprocess\nsubprocess.Popen(['sleep', '300'])")
        pid = kernel.manager.provisioner.pid
        children = psutil.Process(pid).children(recursive=True)
        family = {process.pid for process in children}
        assert ["sleep", "300"] in [process.cmdline() for process in children]
        os.kill(pid, how)
        assert eventually(lambda: not any(psutil.pid_exists(one) for one in family))


def test_a_kernel_ends_whose_parent_was_killed_while_it_started() -> None:
    with subprocess.Popen(["true"]) as parent:
        pass
    kernel = subprocess.Popen(
        [sys.executable, "-m", "aca_kernel"],
        env={**os.environ, "JPY_PARENT_PID": str(parent.pid)},
        stdout=subprocess.DEVNULL,
    )
    try:
        assert kernel.wait(TIMEOUT) == 0
    finally:
        kernel.kill()
        kernel.wait()


def test_shutdown_is_quick_and_restart_gives_a_clean_namespace() -> None:
    with running_kernel() as kernel:
        kernel.run("x = 1")
        started = time.monotonic()
        kernel.manager.restart_kernel()
        kernel.client.wait_for_ready(timeout=60)
        assert kernel.run("'x' in dir()").result == "False"
        assert time.monotonic() - started < 40
        # Its own end is waited for: it is killed after 5 s otherwise.
        kernel.manager.shutdown_wait_time = TIMEOUT
        started = time.monotonic()
        kernel.manager.shutdown_kernel()
        assert time.monotonic() - started < AT_ONCE


def test_a_port_that_is_taken_for_a_moment_is_waited_for() -> None:
    manager = KernelManager(kernel_name="aca")
    with socket.create_server(("127.0.0.1", 0)) as other:
        # As chosen by a front end that found it free.
        manager.cache_ports, manager.hb_port = False, other.getsockname()[1]
        manager.start_kernel()
        time.sleep(1.5)
    client = manager.client()
    try:
        client.start_channels()
        client.wait_for_ready(timeout=TIMEOUT)
        assert client.is_alive()
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)
