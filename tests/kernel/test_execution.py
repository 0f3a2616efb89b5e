"""What a cell does, as a front end sees it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest

from ..comparison import running_pair
from ..support import TIMEOUT, Cell, Client, Pool, eventually, running_kernel, running_pool


def test_a_plain_cell_costs_one_tool_call(shared_pool: Pool, shared_pool_kernel: Client) -> None:
    assert shared_pool_kernel.run("1+1").result == "2"
    before = shared_pool.calls()
    for n in range(5):
        assert shared_pool_kernel.run(f"{n}+{n}").result == str(2 * n)
    assert shared_pool.calls() == {
        **before,
        "runPythonCodeInRemoteEnvironment": before["runPythonCodeInRemoteEnvironment"] + 5,
    }


def test_opening_a_notebook_takes_no_environment_of_a_remote_pool(
    pool: Pool, pool_kernel: Client
) -> None:
    assert pool_kernel.ask("kernel_info_request", {})["content"]["status"] == "ok"
    reply = pool_kernel.ask("comm_info_request", {"target_name": "jupyter.widget"})
    assert reply["content"] == {"status": "ok", "comms": {}}
    reply = pool_kernel.ask("complete_request", {"code": "__file__.", "cursor_pos": 9})
    assert reply["content"]["matches"] == []
    request = {"type": "request", "command": "debugInfo", "seq": 1}
    reply = pool_kernel.ask("debug_request", request, channel="control")
    assert reply["content"]["body"]["isStarted"] is False
    hidden = "__vsc_ipynb_file__ = 'book.ipynb'\nprint('hidden')"
    flags = {"store_history": False, "stop_on_error": False}  # as VS Code sends it
    assert pool_kernel.run(hidden, **flags).status == "ok"
    assert pool.uses() == {}
    cell = pool_kernel.run("__vsc_ipynb_file__")
    assert cell.result == "'book.ipynb'"
    assert cell.text == ""
    assert cell.reply["content"]["execution_count"] == 1


@pytest.mark.slow
def test_each_line_arrives_when_it_is_printed(shared_kernel: Client) -> None:
    shared_kernel.run("import time")
    cell = shared_kernel.run(
        "for n in range(10):\n    print(n, time.time())\n    time.sleep(1)", timeout=60
    )
    delays = []
    for message, arrival in zip(cell.messages, cell.arrivals, strict=True):
        if message["msg_type"] == "stream":
            lines = message["content"]["text"].splitlines()
            delays.extend(arrival - float(line.split()[1]) for line in lines)
    assert len(delays) == 10
    assert max(delays) < 0.3


def test_outputs_come_between_busy_and_idle_in_order(shared_kernel: Client) -> None:
    cell = shared_kernel.run(
        "import sys\nfrom IPython.display import display\n"
        "print('out'); print('err', file=sys.stderr); display({'text/plain': 'shown'}, raw=True)\n"
        "'value'"
    )
    kinds = [m["msg_type"] for m in cell.messages]
    assert kinds[:2] == ["status", "execute_input"]
    assert kinds[-1] == "status"
    assert kinds[-2] == "execute_result"
    assert (cell.text, cell.stream("stderr"), cell.result) == ("out\n", "err\n", "'value'")


def test_everything_has_one_header_session(shared_kernel: Client) -> None:
    reply = shared_kernel.ask("kernel_info_request", {})
    cell = shared_kernel.run("print('x')")
    sessions = {m["header"]["session"] for m in [*cell.messages, cell.reply, reply]}
    assert len(sessions) == 1


def test_an_error_aborts_the_cells_queued_behind_it(shared_kernel: Client) -> None:
    shared_kernel.run("import time")
    ids = [
        shared_kernel.send(code)
        for code in ("time.sleep(0.3); 1/0", "print('never')", "print('neither')")
    ]
    cells = [shared_kernel.collect(msg_id) for msg_id in ids]
    assert [cell.status for cell in cells] == ["error", "aborted", "aborted"]
    error = cells[0].error
    assert error is not None
    assert error["ename"] == "ZeroDivisionError"
    assert shared_kernel.run("print('goes on')").text == "goes on\n"


def test_cells_queued_without_stop_on_error_run_all(shared_kernel: Client) -> None:
    ids = [shared_kernel.send(code, stop_on_error=False) for code in ("1/0", "print('still')")]
    cells = [shared_kernel.collect(msg_id) for msg_id in ids]
    assert [cell.status for cell in cells] == ["error", "ok"]
    assert cells[1].text == "still\n"


def test_input_is_asked_at_the_front_end(shared_kernel: Client) -> None:
    client = shared_kernel.client
    msg_id = shared_kernel.send("print('before'); print('Hello', input('name? '))")
    request = client.get_stdin_msg(timeout=30)
    assert request["content"]["prompt"] == "name? "
    assert request["parent_header"]["msg_id"] == msg_id
    client.input("Ada")
    assert shared_kernel.collect(msg_id).text == "before\nHello Ada\n"


def test_input_without_a_front_end_that_offers_it_fails_as_in_ipykernel(
    shared_kernel: Client,
) -> None:
    cell = shared_kernel.run("input()", allow_stdin=False)
    error = cell.error
    assert error is not None
    assert error["ename"] == "StdinNotImplementedError"


def test_a_thread_that_prints_after_its_cell_is_heard(shared_kernel: Client) -> None:
    shared_kernel.run("import threading\nthreading.Timer(0.6, lambda: print('late news')).start()")
    heard: list[str] = []

    def arrived() -> bool:
        heard.extend(m["content"].get("text", "") for m in shared_kernel.drain())
        return "late news" in "".join(heard)

    assert eventually(arrived)


def test_an_idle_notebook_makes_no_calls(shared_pool: Pool, shared_pool_kernel: Client) -> None:
    shared_pool_kernel.run("x = 1")
    before = shared_pool.calls()
    time.sleep(2)
    assert shared_pool.calls() == before


def test_completion_and_inspection_see_remote_variables(shared_kernel: Client) -> None:
    shared_kernel.run("remote_variable = {'key': 1}")
    reply = shared_kernel.ask("complete_request", {"code": "remote_va", "cursor_pos": 9})
    assert "remote_variable" in reply["content"]["matches"]
    reply = shared_kernel.ask(
        "inspect_request", {"code": "remote_variable", "cursor_pos": 5, "detail_level": 0}
    )
    assert "dict" in reply["content"]["data"]["text/plain"]


def test_a_large_source_and_a_large_output_survive(shared_kernel: Client) -> None:
    text = "".join(chr(33 + n % 90) for n in range(1_000_000)).replace("\\", "/").replace("'", '"')
    cell = shared_kernel.run(f"text = '{text}'\nprint(len(text))\nprint(text[-10:])")
    assert cell.text == f"1000000\n{text[-10:]}\n"
    cell = shared_kernel.run("import os\nblob = os.urandom(6_000_000).hex()\nprint(blob)")
    assert len(cell.text) == 12_000_001


def test_exec_counts_and_silent_follow_ipykernel(shared_kernel: Client) -> None:
    count = shared_kernel.run("1").reply["content"]["execution_count"]
    silent = shared_kernel.run("2", silent=True)
    assert not silent.of_type("execute_input")
    assert shared_kernel.run("3").reply["content"]["execution_count"] == count + 1


def test_user_expressions_are_evaluated(shared_kernel: Client) -> None:
    cell = shared_kernel.run("a = 6", user_expressions={"twice": "a * 2"})
    expression = cell.reply["content"]["user_expressions"]["twice"]
    assert expression["data"]["text/plain"] == "12"


def test_widgets_talk_both_ways_with_buffers(shared_kernel: Client) -> None:
    cell = shared_kernel.run(
        "import ipywidgets\nslider = ipywidgets.IntSlider(value=3)\n"
        "slider.observe(lambda change: print('now', change['new']), 'value')\n"
        "image = ipywidgets.Image(value=bytes(range(256)))\nslider"
    )
    opened = {m["content"]["comm_id"]: m for m in cell.of_type("comm_open")}
    slider_id = next(
        comm_id
        for comm_id, m in opened.items()
        if m["content"]["data"]["state"].get("_model_name") == "IntSliderModel"
    )
    image = next(
        m
        for m in opened.values()
        if m["content"]["data"]["state"].get("_model_name") == "ImageModel"
    )
    assert bytes(image["buffers"][0]) == bytes(range(256))
    message = shared_kernel.client.session.msg(
        "comm_msg",
        {"comm_id": slider_id, "data": {"method": "update", "state": {"value": 7}}},
    )
    shared_kernel.client.shell_channel.send(message)
    texts = [
        m["content"].get("text", "")
        for m in shared_kernel.messages_until_idle(
            message["header"]["msg_id"], time.monotonic() + 30
        )
    ]
    assert "now 7" in "".join(texts)
    assert shared_kernel.run("slider.value").result == "7"


ECHO = """
def echo(comm, opened):
    comm.on_msg(lambda message: comm.send(message["content"]["data"]))
get_ipython().kernel.comm_manager.register_target("echo", echo)
"""


def test_hundreds_of_comm_messages_are_each_done_before_their_idle(shared_kernel: Client) -> None:
    shared_kernel.run(ECHO)
    client = shared_kernel.client

    def send(msg_type: str, **content: Any) -> str:
        message = client.session.msg(msg_type, {"comm_id": "many", **content})
        client.shell_channel.send(message)
        return str(message["header"]["msg_id"])

    send("comm_open", target_name="echo", data={})
    sent = [send("comm_msg", data={"number": number}) for number in range(500)]
    heard: dict[str, list[Any]] = {one: [] for one in sent}
    deadline = time.monotonic() + TIMEOUT
    while "idle" not in heard[sent[-1]]:
        message = client.get_iopub_msg(timeout=max(0.0, deadline - time.monotonic()))
        content = message["content"]
        told = content.get("execution_state") or content.get("data", {}).get("number")
        heard.get(message["parent_header"].get("msg_id", ""), []).append(told)
    assert list(heard.values()) == [["busy", number, "idle"] for number in range(500)]


def test_a_subshell_answers_while_a_cell_runs(shared_kernel: Client) -> None:
    running = shared_kernel.send(
        "import os, time\nprint('started')\n"
        "while not os.path.exists('answered'): time.sleep(0.05)\nos.remove('answered')"
    )
    shared_kernel.wait_for_stream(running, "started")
    assert shared_kernel.run_in_subshell("open('answered', 'w').close()", "40 + 2") == "42"
    assert shared_kernel.collect(running).status == "ok"


def test_the_main_shell_tells_what_the_kernel_is_while_a_subshell_runs(
    shared_kernel: Client,
) -> None:
    made = shared_kernel.ask("create_subshell_request", {}, channel="control")["content"]
    code = "import os, time\nwhile not os.path.exists('answered'): time.sleep(0.05)"
    message = shared_kernel.client.session.msg("execute_request", {"code": code, "silent": False})
    message["header"]["subshell_id"] = made["subshell_id"]
    shared_kernel.client.shell_channel.send(message)
    try:
        info = shared_kernel.ask("kernel_info_request", {})
    finally:
        # By a front end of its own: this one would miss what belongs to the other cell.
        shared_kernel.run_in_subshell("open('answered', 'w').close()")
        beside = shared_kernel.collect(message["msg_id"])
        shared_kernel.run("import os; os.remove('answered')")
    made.pop("status")
    shared_kernel.ask("delete_subshell_request", made, channel="control")
    assert info["content"]["status"] == beside.status == "ok"


@pytest.mark.slow
def test_a_cell_longer_than_the_services_limit_for_one_call_works() -> None:
    with (
        running_pool(call_timeout_seconds=3) as pool,
        running_kernel(pool.env) as kernel,
    ):
        kernel.run("import time")
        cell = kernel.run("time.sleep(7)\nprint('finished')\nkept = 5")
        assert cell.text == "finished\n"
        assert kernel.run("kept").result == "5"


def test_a_proxy_for_the_network_does_not_come_between_kernel_and_embedded_pool() -> None:
    with running_kernel({"HTTP_PROXY": "http://127.0.0.1:9", "NO_PROXY": ""}) as kernel:
        assert kernel.run("6 * 7").result == "42"


def test_a_cell_is_busy_and_numbered_before_the_pool_has_answered(
    shared_pool: Pool, shared_pool_kernel: Client
) -> None:
    count = shared_pool_kernel.run("1").reply["content"]["execution_count"]
    shared_pool.fault(kind="delay", seconds=2, count=1, tool="runPythonCodeInRemoteEnvironment")
    sent = time.time()
    cell = shared_pool_kernel.run("6 * 7")
    early = [
        message["msg_type"]
        for message, arrival in zip(cell.messages, cell.arrivals, strict=True)
        if arrival < sent + 1.5
    ]
    assert early == ["status", "execute_input"]
    assert [m["content"]["code"] for m in cell.of_type("execute_input")] == ["6 * 7"]
    counts = {
        m["content"]["execution_count"] for m in cell.messages if "execution_count" in m["content"]
    }
    assert counts == {count + 1}
    assert cell.reply["content"]["execution_count"] == count + 1
    assert [m["content"]["execution_state"] for m in cell.of_type("status")] == ["busy", "idle"]


# Each with what is sent beside its code.
COUNTED = [
    ("1", {}), ("", {}), ("2", {}), (" \n", {}), ("3", {"store_history": False}), ("4", {}),
    ("5", {"silent": True}), ("6", {}), ("x =", {}), ("1 / 0", {}), ("# nothing", {}), ("7", {}),
    ("get_ipython().execution_count = 50", {}), ("8", {}),
    ("get_ipython().run_cell('1', store_history=True)", {}), ("9", {}), ("%reset -f", {}),
    ("10", {}),
]  # fmt: skip


def test_cells_are_numbered_once_and_as_by_ipykernel() -> None:
    """What is announced ahead is what the remote kernel will count."""
    with running_pair() as pair:
        for kernel in (pair.ours, pair.theirs):
            kernel.run("0")
        for code, options in COUNTED:
            ours, theirs = (
                [
                    *(m["content"]["execution_count"] for m in cell.of_type("execute_input")),
                    cell.reply["content"].get("execution_count"),
                ]
                for cell in (pair.ours.run(code, **options), pair.theirs.run(code, **options))
            )
            assert ours == theirs, code


def test_a_cell_that_ipykernel_refuses_is_not_counted(shared_kernel: Client) -> None:
    count = shared_kernel.run("1").reply["content"]["execution_count"]
    refused = shared_kernel.client.session.msg(
        "execute_request", {"code": "2", "silent": False, "allow_stdin": "no truth value"}
    )
    shared_kernel.client.shell_channel.send(refused)
    for _ in shared_kernel.messages_until_idle(refused["msg_id"], time.monotonic() + TIMEOUT):
        pass  # there is no reply
    cell = shared_kernel.run("3")
    counts = [m["content"]["execution_count"] for m in cell.of_type("execute_input")]
    assert counts == [count + 1]


# The flushes of a cell that come late enough to be told from each other.
_SLOW_FLUSHES = """
import sys, time
module = next(
    one for name, one in sys.modules.items()
    if name.endswith(".extension") and hasattr(one, "LINE_GRACE_SECONDS")
)
before = type(sys.stdout).flush_interval, module.LINE_GRACE_SECONDS
type(sys.stdout).flush_interval, module.LINE_GRACE_SECONDS = 0.5, 1.0
"""
_AS_BEFORE = "type(sys.stdout).flush_interval, module.LINE_GRACE_SECONDS = before"


@pytest.fixture
def slow_kernel(shared_kernel: Client) -> Iterator[Client]:
    assert shared_kernel.run(_SLOW_FLUSHES).status == "ok"
    yield shared_kernel
    shared_kernel.run(_AS_BEFORE)


def streams(cell: Cell) -> list[str]:
    return [message["content"]["text"] for message in cell.of_type("stream")]


def test_a_flush_that_was_due_before_does_not_cut_a_line(slow_kernel: Client) -> None:
    slow_kernel.run("module.LINE_GRACE_SECONDS = 0")
    cell = slow_kernel.run(
        "print('a', flush=True)\n"
        "time.sleep(0.3)\n"
        "sys.stdout.write('0')\n"
        "time.sleep(0.35)\n"
        "print(flush=True)"
    )
    assert streams(cell) == ["a\n", "0\n"]


def test_a_line_that_is_about_to_end_is_one_message(slow_kernel: Client) -> None:
    cell = slow_kernel.run("sys.stdout.write('0'); time.sleep(0.9); print('1', flush=True)")
    assert streams(cell) == ["01\n"]
    cell = slow_kernel.run("sys.stdout.write('0'); time.sleep(2.2); print('1', flush=True)")
    assert streams(cell) == ["0", "1\n"]
