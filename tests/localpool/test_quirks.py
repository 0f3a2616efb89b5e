"""Every switch for what pools of the service are known to do differently."""

import base64
import os
from concurrent.futures import ThreadPoolExecutor

import pytest

RUN_PYTHON = "runPythonCodeInRemoteEnvironment"


@pytest.mark.parametrize(
    ("offered", "names"),
    [
        ("python", {"launchPythonEnvironment"}),
        ("shell", {"launchShell"}),
        ("both", {"launchPythonEnvironment", "launchShell"}),
    ],
)
def test_launch_tools(start, offered, names):
    pool = start(launch_tools=offered)
    tools = {tool["name"] for tool in pool.rpc("tools/list").json()["result"]["tools"]}
    assert {name for name in tools if name.startswith("launch")} == names
    for name in ("launchPythonEnvironment", "launchShell"):
        answer = pool.rpc("tools/call", {"name": name}).json()
        assert ("result" in answer) == (name in names)


def test_silent_replacement(start):
    pool = start(quirks=["silent_replacement"])
    pool.python("any-name", "x = 1")
    assert pool.python("any-name", "x")["executionResult"] == 1
    assert pool.faults(expire="any-name") == {"expired": True}
    assert pool.python("any-name", "'x' in globals()")["executionResult"] is False


def test_an_auth_error_in_a_200(start):
    pool = start(quirks=["auth-error-in-200"])
    pool.http.headers["x-ms-apikey"] = "wrong"
    answer = pool.rpc("ping")
    assert answer.status_code == 200
    assert "API key" in answer.json()["error"]["message"]


def test_a_full_pool_as_404(start):
    pool = start(quirks=["pool_full_as_404"], max_concurrent_sessions=1)
    pool.python(pool.launch(), "1")
    arguments = {"environmentId": pool.launch(), "pythonCode": "1"}
    assert pool.rpc("tools/call", {"name": RUN_PYTHON, "arguments": arguments}).status_code == 404


def test_serialised_tools(start, helpers):
    pool = start(quirks=["serialise_tools"])
    environment_id = pool.launch()
    pool.python(environment_id, "import os, time")
    with ThreadPoolExecutor(1) as threads:
        code = "open('busy', 'w').close()\ntime.sleep(0.5)\nopen('done', 'w').close()"
        waiting = threads.submit(pool.python, environment_id, code)
        busy = os.path.join(pool.directory, "s1", "data", "busy")
        helpers.wait_until(lambda: os.path.exists(busy))
        assert "done" in pool.shell(environment_id, "ls")["stdout"]
        waiting.result()


def test_output_is_cut(start):
    pool = start(output_limit=100)
    environment_id = pool.launch()
    answer = pool.python(
        environment_id, "import sys\nprint('x' * 1000)\nsys.stderr.write('y' * 1000)"
    )
    assert (answer["stdout"], answer["stderr"]) == ("x" * 100, "y" * 100)
    assert pool.shell(environment_id, "yes | head -1000")["stdout"] == "y\n" * 50


def test_base64_is_decoded(start):
    pool = start(quirks=["decode_base64"])
    environment_id = pool.launch()
    encoded = base64.b64encode(b"some text in base64").decode()
    assert pool.shell(environment_id, f"echo {encoded}")["stdout"] == "some text in base64"
    assert pool.shell(environment_id, f"echo !{encoded}")["stdout"] == f"!{encoded}\n"
    assert pool.shell(environment_id, "echo short")["stdout"] == "short\n"


def test_failures_only_in_the_status(start):
    pool = start(quirks=["failed_without_is_error"])
    result = pool.call(RUN_PYTHON, environmentId=pool.launch(), pythonCode="1/0")
    assert result["isError"] is False
    assert result["structuredContent"]["status"] == "Failed"


def test_no_ipykernel_inside(start):
    pool = start(quirks=["no_ipykernel"])
    environment_id = pool.launch()
    code = """
import importlib.metadata, subprocess, sys
def missing(name):
    try:
        __import__(name)
    except ModuleNotFoundError:
        return True
child = subprocess.run([sys.executable, '-c', 'import ipykernel'], capture_output=True)
[missing('ipykernel'), missing('zmq'), missing('IPython'), missing('tornado'), child.returncode]
"""
    answer = pool.python(environment_id, code)
    assert answer["executionResult"] == [True, True, None, None, 1]
    assert (
        pool.python(environment_id, "importlib.metadata.version('ipykernel')")["status"] == "Failed"
    )


def test_key_rotation(start):
    """Through the service's parts: the control plane that will call it is not this module."""
    from aca_kernel.localpool.keys import ApiKeys

    keys = ApiKeys("first-key", 0.0)
    assert keys.accepts("first-key")
    second = keys.rotate()
    assert keys.accepts(second)
    assert not keys.accepts("first-key")
    slow = ApiKeys("first-key", 100.0)
    second = slow.rotate()
    assert slow.current == second
    assert slow.accepts("first-key")
    assert not slow.accepts(second)
    third = slow.rotate()
    assert slow.accepts("first-key")
    assert not slow.accepts(third)
    assert not slow.accepts(None)


def test_the_time_of_a_tool_may_be_shorter(start):
    pool = start(call_timeout_seconds=0.2)
    answer = pool.python(pool.launch(), "import time\ntime.sleep(5)")
    assert "0.2 seconds" in answer["error"]["message"]
