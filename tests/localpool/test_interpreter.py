"""The session interpreter, seen through the tool that runs Python."""

import base64
import time

import pytest

from ..support import eventually


@pytest.mark.parametrize(
    ("code", "result"),
    [
        ("1 + 1", 2),
        ("'text'", "text"),
        ("[1, {'a': None}]", [1, {"a": None}]),
        ("(1, 2)", [1, 2]),
        ("True", True),
        ("10 ** 30", 10**30),
        ("float('nan')", "nan"),
        ("[float('inf'), 1.5]", ["inf", 1.5]),
        ("{1, }", "{1}"),
        ("object", "<class 'object'>"),
        ("import numpy; numpy.int64(3)", 3),
        ("numpy.float64(2.5)", "numpy"),
        ("import numpy; numpy.arange(3)", "array([0, 1, 2])"),
        ("'\\ud800'", "\ud800"),
    ],
)
def test_the_last_value_is_the_result(python, code, result):
    answer = python(code)
    if result == "numpy":  # a name that was never imported
        assert answer["error"]["name"] == "NameError"
    else:
        assert (answer["status"], answer.get("executionResult")) == ("Success", result)


@pytest.mark.parametrize(
    ("code", "result"),
    [
        ('len("LARGE")', 100_000),
        ('x = 1\n(lambda one, two: (one, two[:2], len(two)))(x, "LARGE")', [1, "~x", 100_000]),
        ('len(b"LARGE")', 100_000),
        ('len(f"{2}LARGE")', 100_001),
        ('len(r"LARGE")', 100_000),
        ('len("a" "LARGE")', 100_001),
        ('len("\\nLARGE\\t")', 100_002),
        ("len('(\"LARGE\")')", 100_004),
        ('1 # ("LARGE")', 1),
        ('[len("LARGE")][0]', 100_000),
        ('max("b", "LARGE")', "~LARGE"),
    ],
)
def test_a_large_literal_at_the_end_means_what_it_says(python, code, result):
    large = "~" + "x" * 99_999
    if result == "~LARGE":
        result = large
    assert python(code.replace("LARGE", large))["executionResult"] == result


@pytest.mark.parametrize("code", ["x = 1", "None", "1 + 1;", "", "# nothing", "if True:\n    5"])
def test_no_value_is_no_result(python, code):
    answer = python(code)
    assert answer["status"] == "Success"
    assert "executionResult" not in answer


def test_variables_persist(python):
    python("import math\ndef f(x):\n    return math.sqrt(x)")
    assert python("f(16)")["executionResult"] == 4.0


def test_an_exception_has_a_traceback_with_source_lines(python):
    python("def broken():\n    return 1 / 0  # here")
    answer = python("broken()")
    assert answer["status"] == "Failed"
    assert answer["error"]["name"] == "ZeroDivisionError"
    assert answer["error"]["message"] == "division by zero"
    assert "return 1 / 0  # here" in answer["error"]["stackTrace"]
    assert "session_programs" not in answer["error"]["stackTrace"]
    assert answer["stderr"] == answer["error"]["stackTrace"]


def test_a_failure_is_an_error_of_the_tool(pool, environment):
    result = pool.call(
        "runPythonCodeInRemoteEnvironment", environmentId=environment, pythonCode="1/0"
    )
    assert result["isError"] is True


def test_top_level_await(python):
    assert python("import asyncio\nawait asyncio.sleep(0.01)\n7")["executionResult"] == 7
    assert python("await asyncio.sleep(0, 'done')")["executionResult"] == "done"


def test_output_of_children_counts_and_is_in_order(python):
    answer = python(
        "import os, subprocess\n"
        "print('one')\nos.system('echo two')\nprint('three')\n"
        "subprocess.run(['echo', 'four'])\nprint('five')\n"
        "if os.fork() == 0:\n    print('six', flush=True)\n    os._exit(0)\n"
        "os.wait()\nprint('seven')"
    )
    assert answer["stdout"].split() == ["one", "two", "three", "four", "five", "six", "seven"]


def test_ten_megabytes_of_output_are_quick(python):
    started = time.monotonic()
    answer = python("import sys\nfor i in range(100):\n    sys.stdout.write('x' * 100_000)\nNone")
    assert len(answer["stdout"]) == 10_000_000
    assert time.monotonic() - started < 8


def test_ten_megabytes_of_code_are_quick(python):
    python("def f(s):\n    return len(s)")
    started = time.monotonic()
    assert python(f"f({'y' * 10_000_000!r})")["executionResult"] == 10_000_000
    assert time.monotonic() - started < 8


def test_strange_output_breaks_nothing(python):
    answer = python(
        "import os, sys\nprint('\\ud800')\nsys.stdout.flush()\nos.write(1, b'\\xff\\xfe')\n"
        "os.write(2, b'\\xc3')\nNone"
    )
    assert answer["status"] == "Success"
    assert answer["stdout"] == "\\ud800\n\ufffd\ufffd"
    assert answer["stderr"] == "\ufffd"


def test_strange_code_breaks_nothing(python):
    assert python("x = '\ud800'")["status"] == "Failed"
    assert python("x = '\0'")["status"] == "Failed"
    assert python("1")["executionResult"] == 1


@pytest.mark.parametrize(
    "code",
    [
        "import sys; sys.stdout.close()",
        "import sys; sys.stdout = None; sys.stderr = None; sys.stdin = None",
        "import os; os.close(1); os.close(2); os.close(0)",
        "import os; os.closerange(0, 256)",
        "import os; f = os.open('/dev/null', os.O_WRONLY); os.dup2(f, 1); os.dup2(f, 2)",
        "import sys; sys.stdout.detach()",
        "exit()",
        "import signal; signal.signal(signal.SIGINT, signal.SIG_IGN)",
        "import sys; sys.settrace(None); sys.modules.pop('__main__')",
        "import builtins; del builtins.print",
        "import os; os.chdir('/'); os.environ.clear()",
        "import sys; sys.meta_path.clear(); sys.path.clear()",
    ],
)
def test_nothing_that_code_does_to_its_streams_breaks_the_next_call(python, code):
    python(code)
    answer = python("import sys\nsys.stdout.write('out')\nsys.stderr.write('err')\n5")
    assert (answer["stdout"], answer["stderr"], answer["executionResult"]) == ("out", "err", 5)


def test_system_exit_is_a_failure_and_the_session_lives(python):
    python("x = 5")
    assert python("raise SystemExit(3)")["error"]["name"] == "SystemExit"
    assert python("x")["executionResult"] == 5


def test_classes_can_be_pickled(python):
    python("import pickle\nclass Point:\n    def __init__(self): self.x = 4")
    answer = python("pickle.loads(pickle.dumps(Point())).x, Point.__module__")
    assert answer["executionResult"] == [4, "__main__"]


def test_worker_processes(python):
    python("import multiprocessing\ndef double(x):\n    print('w')\n    return 2 * x")
    answer = python(
        "with multiprocessing.get_context('fork').Pool(2) as p:\n    r = p.map(double, [1, 2])\nr"
    )
    assert answer["executionResult"] == [2, 4]
    assert answer["stdout"] == "w\nw\n"


def test_a_forked_child_that_runs_on_does_not_answer(python):
    assert (
        python("import os\npid = os.fork()\n'parent' if pid else 'child'")["executionResult"]
        == "parent"
    )
    assert python("os.waitpid(pid, 0)[1]")["executionResult"] == 0


def test_children_live_on_between_calls_and_inherit_no_sockets(python):
    python("import subprocess\np = subprocess.Popen(['sleep', '60'])")
    # It has others for a moment, while it is loaded.
    code = "import os\np.poll(), sorted(os.listdir(f'/proc/{p.pid}/fd'))"
    expected = [None, ["0", "1", "2"]]
    assert eventually(lambda: python(code)["executionResult"] == expected)


def test_late_output_of_a_child_comes_with_a_later_call(python):
    python("import subprocess\np = subprocess.Popen('sleep 0.1; echo late', shell=True)")
    assert python("p.wait()")["stdout"] == "late\n"


def test_the_interpreter_is_one_thread_without_surprises(python):
    names = "[name in sys.modules for name in ('zmq', 'asyncio')]"
    answer = python(f"import sys, threading\n[threading.active_count(), *{names}]")
    assert answer["executionResult"] == [1, False, False]


def test_modules_registered_by_code_stay(python):
    python("import sys, types\nm = types.ModuleType('agent')\nsys.modules['agent'] = m\nm.n = 0")
    python("import agent\nagent.n += 1")
    assert python("import agent\nagent.n")["executionResult"] == 1


def test_the_end_of_the_interpreter_is_reported_and_a_fresh_one_starts(python):
    python("x = 1")
    answer = python("print('bye', flush=True)\nimport os\nos._exit(7)")
    assert answer["status"] == "Failed"
    assert "exit code 7" in answer["error"]["message"]
    assert answer["stdout"] == "bye\n"
    assert python("x")["error"]["name"] == "NameError"
    answer = python("import os, signal\nos.kill(os.getpid(), signal.SIGKILL)")
    assert "SIGKILL" in answer["error"]["message"]
    assert python("2")["executionResult"] == 2
    assert "signal 40" in python("import os\nos.kill(os.getpid(), 40)")["error"]["message"]


def test_an_interpreter_killed_between_calls_is_replaced(python, shell, helpers):
    pid = python("import os\nos.getpid()")["executionResult"]
    shell(f"kill -9 {pid}")
    assert helpers.wait_until(lambda: python("'new'").get("executionResult")) == "new"


def test_deep_recursion_is_an_ordinary_error(python):
    answer = python("def f():\n    f()\nf()")
    assert answer["error"]["name"] == "RecursionError"


def test_errors_that_cannot_be_shown(python):
    python("class Bad(Exception):\n    def __str__(self):\n        raise ValueError")
    assert python("raise Bad")["error"]["name"] == "Bad"
    python("class BadRepr:\n    def __repr__(self):\n        raise ValueError('no repr')")
    assert python("BadRepr()")["error"]["message"] == "no repr"


def test_future_imports_last(python):
    python("from __future__ import annotations")
    assert python("def f(x: undefined): pass\nf.__annotations__")["executionResult"] == {
        "x": "undefined"
    }


def test_sources_can_be_inspected(python):
    python("def f():\n    return 'source'")
    assert "return 'source'" in python("import inspect\ninspect.getsource(f)")["executionResult"]


def test_ipython_syntax_runs_when_ipython_is_there(python):
    assert python("x = 3\n%pwd")["executionResult"] == "/mnt/data"
    answer = python("files = !echo {x}\nfiles[0]")
    assert answer["executionResult"] == "3"
    assert python("!echo direct")["stdout"] == "direct\n"
    assert "Docstring" in python("len?")["stdout"]
    assert python("%%bash\necho from bash")["stdout"] == "from bash\n"
    assert python("x")["executionResult"] == 3


def test_names_that_ipython_provides_are_there_when_used(python):
    assert python("display(5)\ndisplay('text')")["stdout"] == "5\n'text'\n"
    assert python("get_ipython().user_ns is globals()")["executionResult"] is True
    code = "class P:\n    def _repr_png_(self): return b'\\x89PNG'\ndisplay(P())"
    assert python(code)["executionResult"]["type"] == "image"
    assert python("1")["executionResult"] == 1


def test_a_syntax_error_is_reported_as_one(python):
    answer = python("a b c")
    assert answer["error"]["name"] == "SyntaxError"
    assert "a b c" in answer["stderr"]


def test_figures_become_the_result_and_are_closed(python):
    answer = python("import matplotlib.pyplot as plt\nplt.plot([1, 2, 3])")
    image = answer["executionResult"]
    assert (image["type"], image["format"]) == ("image", "png")
    assert base64.b64decode(image["base64_data"]).startswith(b"\x89PNG")
    assert python(
        "import os\nplt.get_fignums(), plt.get_backend().lower(), 'MPLBACKEND' in os.environ"
    )["executionResult"] == [[], "agg", False]
    answer = python("plt.figure(); plt.plot([1]); plt.figure(); plt.plot([2]); None")
    assert [item["type"] for item in answer["executionResult"]] == ["image", "image"]


def test_a_chosen_matplotlib_backend_is_kept(python):
    python("import matplotlib\nmatplotlib.use('svg')")
    code = "import matplotlib.pyplot as plt\nplt.get_backend()"
    assert python(code)["executionResult"] == "svg"


def test_values_that_draw_themselves_are_images(python):
    answer = python(
        "class Picture:\n    def _repr_png_(self):\n        return b'\\x89PNG'\nPicture()"
    )
    assert base64.b64decode(answer["executionResult"]["base64_data"]) == b"\x89PNG"


def test_calls_of_one_session_queue_in_order(pool, environment):
    from concurrent.futures import ThreadPoolExecutor

    pool.python(environment, "import time\nseen = []")
    with ThreadPoolExecutor(5) as threads:
        futures = []
        for number in range(5):
            code = f"time.sleep(0.3)\nseen.append({number})"
            futures.append(threads.submit(pool.python, environment, code))
            time.sleep(0.15)
        assert all(future.result()["status"] == "Success" for future in futures)
    assert pool.python(environment, "seen")["executionResult"] == [0, 1, 2, 3, 4]


def test_a_real_ipykernel_can_be_started_by_code(python):
    code = """
import subprocess, sys
from jupyter_client.manager import start_new_kernel
manager, client = start_new_kernel(kernel_name='python3')
reply = client.execute_interactive('import matplotlib; print(matplotlib.get_backend())', timeout=30,
    output_hook=lambda m: print(m['content'].get('text', ''), end=''))
client.stop_channels(); manager.shutdown_kernel(now=True)
reply['content']['status']
"""
    answer = python(code)
    assert answer.get("executionResult") == "ok", answer
    assert "inline" in answer["stdout"]
