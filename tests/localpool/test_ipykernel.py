"""A real ipykernel as the session interpreter."""

import base64
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from ..support import eventually


@pytest.fixture(scope="module")
def real(pool):
    shared = type(pool)(interpreter="ipykernel", call_timeout_seconds=15)
    yield shared
    assert shared.close() == 0


@pytest.fixture
def python(real):
    environment_id = real.launch()
    yield lambda code: real.python(environment_id, code)
    real.faults(expire=environment_id)


def printed_by_child(python):
    """What a child process printed: ipykernel reads that in a thread, perhaps too late for the
    cell's own answer, and then it comes with a later one.
    """
    printed = [python("import os\nos.system('echo child')\nNone")["stdout"]]

    def has_come():
        printed.append(python("None")["stdout"])
        return any(printed)

    assert any(printed) or eventually(has_come)
    return "".join(printed)


def test_it_runs_cells_as_ipykernel_does(python):
    answer = python("import sys\nprint('out')\nsys.stderr.write('err')\n6 * 7")
    assert (answer["stdout"], answer["stderr"], answer["executionResult"]) == ("out\n", "err", 42)
    assert python("'text'")["executionResult"] == "text"
    assert python("float('nan')")["executionResult"] == "nan"
    assert "executionResult" not in python("x = 1")
    assert python("type(get_ipython()).__name__")["executionResult"] == "ZMQInteractiveShell"
    assert python("!echo {x}")["stdout"].strip() == "1"
    assert printed_by_child(python) == "child\n"
    assert python("import asyncio\nawait asyncio.sleep(0, 3)")["executionResult"] == 3
    answer = python("1/0")
    assert answer["error"]["name"] == "ZeroDivisionError"
    assert "\x1b" not in answer["error"]["stackTrace"]
    image = python("import matplotlib.pyplot as plt\nplt.plot([1, 2]);")["executionResult"]
    assert base64.b64decode(image["base64_data"]).startswith(b"\x89PNG")


def test_its_end_is_reported_and_a_fresh_one_starts(real, python):
    answer = python("import os\nos._exit(3)")
    assert "exit code 3" in answer["error"]["message"]
    assert python("1 + 1")["executionResult"] == 2
    answer = python("import os, signal\nos.kill(os.getpid(), signal.SIGKILL)")
    assert "SIGKILL" in answer["error"]["message"]


def test_it_can_be_interrupted(real):
    environment_id = real.launch()
    pid = real.python(environment_id, "import os\nos.getpid()")["executionResult"]
    with ThreadPoolExecutor(1) as threads:
        code = "open('busy', 'w').close()\nwhile True: pass"
        waiting = threads.submit(real.python, environment_id, code)
        real.shell(environment_id, "until test -e busy; do sleep 0.01; done")
        real.shell(environment_id, f"kill -INT {pid}")
        assert waiting.result(10)["error"]["name"] == "KeyboardInterrupt"
    assert real.python(environment_id, "2")["executionResult"] == 2


def test_code_over_the_limit_is_interrupted(start):
    pool = start(interpreter="ipykernel", call_timeout_seconds=3)
    environment_id = pool.launch()
    pool.python(environment_id, "x = 1\nimport time")
    answer = pool.python(environment_id, "time.sleep(60)")
    assert answer["error"]["name"] == "TimeoutError"
    assert pool.python(environment_id, "x")["executionResult"] == 1


def test_it_needs_an_ipykernel(start):
    pool = start(interpreter="ipykernel", quirks=["no_ipykernel"])
    assert "no_ipykernel" in pool.info["error"]


def test_its_end_is_noticed_without_what_linux_alone_has(pool):
    hiding = Path(__file__).parent.parent / "system" / "as_on_macos"
    own = type(pool)(
        interpreter="ipykernel", isolation="process", env={**os.environ, "PYTHONPATH": str(hiding)}
    )
    environment_id = own.launch()
    is_there = own.python(environment_id, "import os\nos.path.exists('/proc')")
    assert is_there["executionResult"] is False
    answer = own.python(environment_id, "os._exit(3)")
    assert "exit code 3" in answer["error"]["message"]
    assert own.python(environment_id, "1 + 1")["executionResult"] == 2
    assert own.close() == 0
