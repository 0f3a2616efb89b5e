"""What VS Code asks on its own account: what is launched for it, what it gets, who is told."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import metadata

import psutil
import pytest
from jupyter_client.manager import KernelManager

from ..kernel.test_debugger import Debugger
from ..support import TIMEOUT, Client, Pool, eventually, running_kernel, running_pool
from .vscode import (
    DELIMITER,
    EXECUTABLE,
    INFORMATION,
    IPYKERNEL,
    LISTEN,
    MARKER,
    PANDAS,
    PROBE,
    WAIT,
    VsCode,
)

# With this the kernel knows that the cooldown of a pool with 2 s has passed, and need not ask
# whether an environment is still there. With the default of 300 s it has to.
KNOWN = "--AcaKernel.cooldown_seconds=1"


@contextmanager
def opened(*arguments: str, **options: object) -> Iterator[tuple[Pool, VsCode]]:
    """Open a notebook on a served pool."""
    with running_pool(**options) as pool, running_kernel(pool.env, arguments=arguments) as client:
        code = VsCode(client)
        code.open()
        yield pool, code


def launches(pool: Pool) -> int:
    return sum(count for name, count in pool.calls().items() if name.startswith("launch"))


def programs(pool: Pool) -> set[str]:
    """Name the programs in a pool's environments."""
    found = set()
    for pid in pool.processes():
        with contextlib.suppress(psutil.NoSuchProcess):
            found.add(psutil.Process(pid).name())
    return found


def sessions_of(client: Client) -> set[int]:
    """The processes of the environments of a kernel's embedded pool."""
    (pool,) = psutil.Process(client.pid).children()
    found = set()
    for process in pool.children(recursive=True):
        with contextlib.suppress(psutil.NoSuchProcess):
            if process.status() != psutil.STATUS_ZOMBIE:
                found.add(process.pid)
    return found


@pytest.fixture
def code(pool_kernel: Client) -> VsCode:
    """A notebook that has just been opened, on `pool`."""
    one = VsCode(pool_kernel)
    one.open()
    return one


@pytest.fixture(scope="module")
def embedded() -> Iterator[VsCode]:
    with running_kernel() as client:
        yield VsCode(client)


@pytest.fixture(scope="module")
def served() -> Iterator[VsCode]:
    with opened() as (_, code):
        yield code


@pytest.fixture(scope="module")
def cooling() -> Iterator[tuple[Pool, VsCode]]:
    """A notebook whose environments are released after two seconds."""
    with opened(KNOWN, cooldown_seconds=2) as both:
        yield both


@pytest.fixture(scope="module")
def cooling_with_checkpoints() -> Iterator[tuple[Pool, VsCode]]:
    with opened(KNOWN, "--AcaKernel.checkpoint_after_seconds=0.001", cooldown_seconds=2) as both:
        yield both


@pytest.fixture(scope="module")
def only_opened() -> Iterator[tuple[Pool, VsCode]]:
    with opened() as both:
        yield both


@pytest.fixture
def unlaunched(only_opened: tuple[Pool, VsCode]) -> Iterator[VsCode]:
    """A notebook in which nothing has run, and for which a test may launch nothing."""
    pool, code = only_opened
    before = pool.uses()
    yield code
    if pool.uses() != before:
        code.client.restart()
        code.open()
        pytest.fail("an environment was launched")


# -- opening -------------------------------------------------------------------------


def test_opening_and_typing_take_no_environment_and_tell_the_version_of_widgets(
    pool: Pool, pool_kernel: Client
) -> None:
    code = VsCode(pool_kernel)
    probe = code.open()
    assert [m["msg_type"] for m in probe.messages] == ["status", "stream", "status"]
    assert probe.text.startswith(f"{MARKER}8.")
    assert pool.uses() == {}
    for _ in range(3):
        assert code.complete("import nu") is None
    assert code.variables() == []
    assert pool.uses() == {}
    cell = code.run("import sys\n'vscode' in sys.modules, __vsc_ipynb_file__")
    assert cell.result == "(True, '/home/somebody/book.ipynb')"
    assert (cell.text, cell.said) == ("", "")
    assert cell.reply["content"]["execution_count"] == 1


def test_on_the_embedded_pool_the_question_for_widgets_waits_for_the_environment() -> None:
    manager = KernelManager(kernel_name="aca")
    manager.start_kernel()
    client = manager.client()
    client.start_channels()
    try:
        code = VsCode(Client(manager, client))
        # At once, while the environment may still be being launched.
        assert code.open().text == f"{MARKER}{metadata.version('ipywidgets')}\n"
        cell = code.run("import sys; 'vscode' in sys.modules, __vsc_ipynb_file__")
        assert cell.result == "(True, '/home/somebody/book.ipynb')"
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)


def test_what_is_asked_while_an_environment_is_launched_anyway_waits_for_it(pool: Pool) -> None:
    pool.fault(kind="delay", seconds=4, every=1, tool="launchShell")
    with running_kernel(pool.env, arguments=("--AcaKernel.start=kernel",)) as client:
        code = VsCode(client)
        # Without an environment nothing is printed.
        assert code.hidden(EXECUTABLE).text.strip()
        assert code.open().text.startswith(MARKER)
        assert launches(pool) == 1


def test_startup_commands_have_no_mark_and_no_input_and_run_ahead_of_the_first_cell(
    pool: Pool, code: VsCode
) -> None:
    # Nobody sees that it asks: the notebook would wait for ever.
    assert code.hidden("input('Who is there? ')").status == "ok"
    assert code.hidden("from math import pi as started").status == "ok"
    assert pool.uses() == {}
    assert code.run("started > 3").result == "True"


def test_set_up_code_is_run_in_each_environment_again(embedded: VsCode) -> None:
    embedded.open()
    embedded.run("import os, signal; os.kill(os.getpid(), signal.SIGKILL)")
    assert embedded.run("import sys; 'vscode' in sys.modules").result == "True"


def test_an_interrupt_reaches_set_up_code(pool: Pool, code: VsCode) -> None:
    endless = "import time\nwhile True: time.sleep(0.01)"
    code.hidden(f"import subprocess; subprocess.Popen(['sleep', '1000'])\n{endless}")
    cell = code.client.send(endless, stop_on_error=False)
    # It runs, and the cell is behind it.
    assert eventually(lambda: "sleep" in programs(pool))
    code.client.interrupt()
    ended = code.client.collect(cell)
    # IPython shows no traceback of one that comes before the cell's own code.
    assert ended.reply["content"]["ename"] == "KeyboardInterrupt"
    assert code.run("1 + 1").result == "2"


def test_a_script_that_keeps_no_history_has_its_cells_run(pool: Pool, pool_kernel: Client) -> None:
    """Whatever they contain: only VS Code's sessions have hidden code."""
    assert pool_kernel.run("print('_VSCODE_')", store_history=False).text == "_VSCODE_\n"
    pool.expire()
    unseen = pool_kernel.run("print('ran')", store_history=False, stop_on_error=False)
    assert unseen.text == "ran\n"


def test_code_of_other_extensions_gets_an_environment(pool: Pool, code: VsCode) -> None:
    """Their user was asked whether they may."""
    assert code.hidden("print(6 * 7)", allow_stdin=False).text == "42\n"
    assert launches(pool) == 1


def test_widgets_of_another_version_than_was_told_are_spoken_of_once(code: VsCode) -> None:
    old = (
        "from comm import create_comm\n"
        "state = {'_model_module': '@jupyter-widgets/base', '_model_module_version': '1.2.0'}\n"
        "made = [create_comm(target_name='jupyter.widget', data={'state': state}) for _ in '12']"
    )
    cell = code.run(old)
    assert "has ipywidgets 7" in cell.said
    assert cell.said.count("ipywidgets 7") == 1
    assert code.run(old).said == ""


def test_a_version_that_the_environment_has_told_is_not_spoken_of(code: VsCode) -> None:
    code.run(
        "import sys, types\nsys.modules['ipywidgets'] = types.SimpleNamespace(__version__='7.9')"
    )
    assert code.hidden(PROBE).text == f"{MARKER}7.9\n"
    old = (
        "from comm import create_comm\n"
        "state = {'_model_module': '@jupyter-widgets/base', '_model_module_version': '1.2.0'}\n"
        "made = create_comm(target_name='jupyter.widget', data={'state': state})"
    )
    assert code.run(old).said == ""


@pytest.mark.parametrize("data", ["'text'", "[1]", "{'state': 'ready'}", "{'state': [1]}"])
def test_a_comm_of_any_kind_may_be_opened(served: VsCode, data: str) -> None:
    cell = served.run(
        f"from comm import create_comm\nmade = create_comm(target_name='mine', data={data})\n1 + 1"
    )
    assert cell.result == "2"
    assert cell.of_type("comm_open")


def test_widgets_of_the_version_that_was_told_are_not_spoken_of(served: VsCode) -> None:
    cell = served.run("import ipywidgets; ipywidgets.IntSlider()")
    assert cell.of_type("comm_open")
    assert cell.said == ""


# -- typing --------------------------------------------------------------------------


def test_completions_come_from_the_environment_that_is_there(embedded: VsCode) -> None:
    embedded.run("a_name_of_mine = 1")
    assert embedded.complete("a_name_of") == ["a_name_of_mine"]
    assert "a_name_of_mine" in embedded.variables()


def test_typing_after_the_cooldown_takes_no_environment_and_no_sentence(
    cooling: tuple[Pool, VsCode],
) -> None:
    check_typing_after_the_cooldown(*cooling)


def test_typing_takes_none_either_where_another_one_is_put_in_the_place_of_what_has_gone() -> None:
    with opened(KNOWN, cooldown_seconds=2, quirks=["silent_replacement"]) as both:
        check_typing_after_the_cooldown(*both)


def check_typing_after_the_cooldown(pool: Pool, code: VsCode) -> None:
    code.run("mine = 5")
    pool.wait_for_cooldown()
    before = pool.calls()
    assert code.complete("mi") is None
    assert code.variables() == []
    inspected = code.client.ask("inspect_request", {"code": "mine", "cursor_pos": 2})
    assert inspected["content"]["status"] == "ok"
    assert code.hidden(PROBE).text.startswith(MARKER)
    assert code.hidden(INFORMATION % "mine").text == "{}\n"
    assert pool.calls() == before
    cell = code.run("1 + 1")
    assert cell.result == "2"
    assert "released after" in cell.said


def test_on_the_embedded_pool_typing_after_the_cooldown_launches_nothing_either() -> None:
    with running_kernel(arguments=("--AcaKernel.cooldown_seconds=2",)) as client:
        code = VsCode(client)
        code.open()
        code.run("mine = 5")
        assert code.complete("min") is not None
        before = sessions_of(client)
        assert before
        assert eventually(lambda: not sessions_of(client) & before)
        assert code.complete("mi") is None
        assert code.variables() == []
        # The same version as before: cells run with the packages of this Python.
        assert code.hidden(PROBE).text == f"{MARKER}{metadata.version('ipywidgets')}\n"
        assert not sessions_of(client)
        cell = code.run("1 + 1")
        assert cell.result == "2"
        assert "released after" in cell.said


def test_debug_cell_after_the_cooldown_gets_an_environment_and_the_cell_the_sentence(
    cooling: tuple[Pool, VsCode],
) -> None:
    pool, code = cooling
    code.run("mine = 5")
    pool.wait_for_cooldown()
    launched = launches(pool)
    assert DELIMITER in code.hidden(IPYKERNEL).text
    assert launches(pool) == launched
    debugger = Debugger(code.client)
    debugger.ask("initialize", clientID="vscode", adapterID="", pathFormat="path")
    assert launches(pool) == launched + 1
    assert code.hidden("import debugpy\ndebugpy.debug_this_thread()").said == ""
    debugger.ask("attach")
    debugger.ask("configurationDone")
    assert "released after" in code.run("1 + 1").said
    debugger.ask("disconnect")


def test_what_asks_whether_the_environment_is_there_launches_none() -> None:
    """Where the pool's cooldown is shorter than the kernel knows, it finds out by asking."""
    with opened(cooldown_seconds=2) as (pool, code):
        code.run("mine = 5")
        pool.wait_for_cooldown()
        launched = launches(pool)
        assert code.complete("mi") is None
        assert code.variables() == []
        reply = code.client.ask("complete_request", {"code": "mi", "cursor_pos": 2})
        assert reply["content"]["matches"] == []
        assert not pool.processes()
        assert launches(pool) == launched
        cell = code.run("1 + 1")
        assert cell.result == "2"
        assert "released after" in cell.said


def test_what_came_back_is_told_to_the_next_cell_of_the_user(
    cooling_with_checkpoints: tuple[Pool, VsCode],
) -> None:
    pool, code = cooling_with_checkpoints
    code.run("mine = 5")
    assert eventually(lambda: "stored" in code.run("%aca checkpoint").text.lower())
    # These are not cells that the checkpoint could be older than.
    code.complete("mi")
    code.variables()
    pool.wait_for_cooldown()
    assert code.complete("mi") is None
    cell = code.run("mine")
    assert cell.result == "5"
    assert "came back" in cell.said
    assert "before the last" not in cell.said


def test_a_death_that_typing_finds_is_told_to_the_next_cell() -> None:
    with running_kernel(arguments=("--AcaKernel.isolation=process",)) as client:
        code = VsCode(client)
        pid = int(code.run("import os; os.getpid()").result)
        os.kill(pid, signal.SIGKILL)
        cell = code.hidden("__vsc_ipynb_file__ = 'x'")
        assert cell.status == "error"
        told = code.run("1 + 1")
        assert told.result == "2"
        assert "SIGKILL" in told.said
        assert "This cell runs in a fresh remote kernel" in told.said
        marks = [stream["metadata"] for stream in told.of_type("stream")]
        assert marks == [{"aca_kernel": "notice", "aca_kernel_reason": "state-lost"}]


# -- a full pool ---------------------------------------------------------------------


def test_typing_at_a_full_pool_waits_for_nothing_and_the_cell_is_told() -> None:
    with opened(max_concurrent_sessions=1, cooldown_seconds=4) as (pool, code):
        pool.take_a_place()
        assert code.complete("pri") is None
        cell = code.client.send("print('got a place')")
        late = code.send_hidden("__vsc_ipynb_file__ = 'later'")
        waited = code.client.collect(cell)
        assert waited.text == "got a place\n"
        assert "The session pool is full" in waited.said
        assert code.client.reply_to(late, time.monotonic() + TIMEOUT)["content"]["status"] == "ok"


# -- the interactive window, the debugger ---------------------------------------------


def test_the_interactive_window_names_its_file_ahead_of_each_cell(
    cooling: tuple[Pool, VsCode],
) -> None:
    pool, code = cooling
    for name in ("one.py", "two.py"):
        assert code.hidden(f"__file__ = '/home/somebody/{name}'").status == "ok"
    assert code.run("__file__").result == "'/home/somebody/two.py'"
    code.hidden("__file__ = '/home/somebody/three.py'")
    assert code.run("__file__").result == "'/home/somebody/three.py'"
    pool.wait_for_cooldown()
    assert code.run("__file__").result == "'/home/somebody/three.py'"
    pool.wait_for_cooldown()
    launched = launches(pool)
    code.hidden("__file__ = '/home/somebody/four.py'")
    assert launches(pool) == launched
    assert code.run("__file__").result == "'/home/somebody/four.py'"


def test_the_end_of_run_by_line_takes_no_environment(unlaunched: VsCode) -> None:
    assert unlaunched.hidden("pass").status == "ok"


def test_the_data_viewer_gets_an_environment_with_what_was_stored(
    cooling_with_checkpoints: tuple[Pool, VsCode],
) -> None:
    """Without an answer VS Code offers to install pandas."""
    pool, code = cooling_with_checkpoints
    code.run("import pandas\nmine = [5, 6]")
    assert eventually(lambda: "stored" in code.run("%aca checkpoint").text.lower())
    pool.wait_for_cooldown()
    launched = launches(pool)
    seen = code.hidden(PANDAS)
    assert seen.text == f"{metadata.version('pandas')}\n{DELIMITER}\n"
    assert seen.said == ""
    assert launches(pool) == launched + 1
    assert code.hidden(INFORMATION % "mine").text == '{"shape": "2"}\n'
    cell = code.run("mine")
    assert cell.result == "[5, 6]"
    assert cell.said.count("came back") == 1


def test_the_debugger_of_the_interactive_window_is_not_set_up_code(
    cooling: tuple[Pool, VsCode],
) -> None:
    """In an environment of later, nobody would come whom it could wait for."""
    pool, code = cooling
    pool.wait_for_cooldown()
    assert "('127.0.0.1', " in code.hidden(LISTEN).result
    pool.wait_for_cooldown()
    launched = launches(pool)
    assert code.hidden(WAIT).status == "ok"
    trace = "from debugpy import trace_this_thread;trace_this_thread(False)"
    assert code.hidden(trace).status == "ok"
    assert launches(pool) == launched
    assert code.run("1 + 1").result == "2"


def test_the_end_of_debugging_takes_no_environment(unlaunched: VsCode) -> None:
    """A cell that is debugged has ended, perhaps because its environment has."""
    assert Debugger(unlaunched.client).ask("disconnect", restart=False) == {}


def test_debug_cell_before_any_cell_gets_an_environment_with_its_first_debug_request(
    pool: Pool, code: VsCode
) -> None:
    version = code.hidden(IPYKERNEL).text.strip()
    assert version == DELIMITER + metadata.version("ipykernel") + DELIMITER
    assert pool.uses() == {}
    debugger = Debugger(code.client)
    debugger.ask("initialize", clientID="vscode", adapterID="", pathFormat="path")
    assert launches(pool) == 1
    assert code.hidden("import debugpy\ndebugpy.debug_this_thread()").status == "ok"
    debugger.ask("attach")
    cells = ["x = 1", "y = x + 1\nprint(y)"]
    sources = [debugger.ask("dumpCell", code=one)["sourcePath"] for one in cells]
    for source in sources:
        debugger.ask("setBreakpoints", source={"path": source}, breakpoints=[{"line": 2}])
    debugger.ask("configurationDone")
    running = code.client.send("x = 1\n" + cells[1], stop_on_error=False)
    running = code.client.send(cells[1], stop_on_error=False)
    stopped = debugger.wait_for("stopped")
    assert debugger.where(stopped["threadId"])[0][1] == 2
    debugger.ask("continue", threadId=stopped["threadId"])
    assert code.client.collect(running).text == "2\n"
    debugger.ask("disconnect")
    removal = "import os as _VSCODE_os\n_VSCODE_fileList = []\ndel _VSCODE_fileList, _VSCODE_os"
    assert code.hidden(removal).status == "ok"


def test_a_subshell_and_the_question_for_widgets_come_with_the_first_comm(
    embedded: VsCode,
) -> None:
    embedded.open()
    cell = embedded.run("import ipywidgets; slider = ipywidgets.IntSlider(); slider")
    comm = cell.of_type("comm_open")[-1]["content"]["comm_id"]
    made = embedded.client.ask("create_subshell_request", {}, channel="control")["content"]
    assert made["status"] == "ok"
    assert embedded.hidden(PROBE).text.startswith(MARKER)
    content = {"comm_id": comm, "data": {"method": "update", "state": {"value": 7}}}
    message = embedded.client.client.session.msg("comm_msg", content)
    message["header"]["subshell_id"] = made["subshell_id"]
    embedded.client.client.shell_channel.send(message)
    assert eventually(lambda: embedded.run("slider.value").result == "7", TIMEOUT)


# -- other front ends' questions ------------------------------------------------------


def test_comms_that_nobody_knows_are_refused_without_an_environment(unlaunched: VsCode) -> None:
    client = unlaunched.client
    content = {"comm_id": "1", "target_name": "jupyter.widget.control", "data": {}}
    message = client.client.session.msg("comm_open", content)
    client.client.shell_channel.send(message)
    answers = list(
        client.messages_until_idle(message["header"]["msg_id"], time.monotonic() + TIMEOUT)
    )
    assert [m["msg_type"] for m in answers] == ["status", "comm_close", "status"]
