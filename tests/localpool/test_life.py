"""Environments: lazy allocation, cooldown, a full pool, and what is left of them: nothing."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time

import httpx
import pytest

RUN_PYTHON = "runPythonCodeInRemoteEnvironment"


def test_launching_allocates_nothing(start):
    pool = start(max_concurrent_sessions=1)
    ids = {pool.launch() for _ in range(20)}
    assert len(ids) == 20
    assert pool.sessions() == []
    assert pool.python(ids.pop(), "1")["status"] == "Success"
    assert len(pool.sessions()) == 1


def test_a_full_pool_answers_429_until_a_session_has_cooled_down(start, helpers):
    pool = start(max_concurrent_sessions=1, cooldown_seconds=0.5)
    first, second = pool.launch(), pool.launch()
    pool.python(first, "1")
    arguments = {"environmentId": second, "pythonCode": "2"}
    answer = pool.rpc("tools/call", {"name": RUN_PYTHON, "arguments": arguments})
    assert answer.status_code == 429
    assert "retry-after" not in answer.headers
    assert "in use" in answer.json()["error"]["message"]

    def try_again():
        answer = pool.rpc("tools/call", {"name": RUN_PYTHON, "arguments": arguments})
        return answer.status_code == 200 and answer.json()["result"]["structuredContent"]

    # Refused calls restart the clock of the environment that waits: it does not expire.
    assert helpers.wait_until(try_again)["executionResult"] == 2


def test_a_full_pool_may_say_when_to_come_back(start):
    pool = start(max_concurrent_sessions=1, retry_after_seconds=7)
    pool.python(pool.launch(), "1")
    arguments = {"environmentId": pool.launch(), "pythonCode": "2"}
    answer = pool.rpc("tools/call", {"name": RUN_PYTHON, "arguments": arguments})
    assert (answer.status_code, answer.headers["retry-after"]) == (429, "7")


def test_after_the_cooldown_no_process_and_no_file_is_left(start, helpers):
    pool = start(cooldown_seconds=1)
    environment_id = pool.launch()
    marker = f"MARK{time.time_ns()}"
    pool.python(
        environment_id,
        f"import os, subprocess\nopen('file', 'w').write('x')\n"
        f"os.mkdir('closed', 0)\nos.environ['MARK'] = '{marker}'\n"
        "p = subprocess.Popen(['sleep', '100'], start_new_session=True)",
    )
    helpers.wait_until(lambda: helpers.processes_with(marker))
    (session,) = pool.sessions()
    directory = os.path.join(pool.directory, session)
    assert os.path.exists(os.path.join(directory, "data", "file"))
    helpers.wait_until(lambda: not os.path.exists(directory))
    assert not helpers.processes_with(marker)
    result = pool.call(RUN_PYTHON, environmentId=environment_id, pythonCode="1")
    assert result["isError"]
    assert "does not exist or has expired" in result["content"][0]["text"]
    counters = pool.faults()["sessions"]
    assert (counters["allocated"], counters["destroyed"], counters["live"]) == (1, 1, 0)


def test_every_call_restarts_the_cooldown_and_a_running_one_stops_it(start):
    pool = start(cooldown_seconds=1.5)
    environment_id = pool.launch()
    pool.python(environment_id, "x = 1\nimport time")
    for _ in range(3):
        time.sleep(0.6)
        pool.shell(environment_id, "true")
    pool.python(environment_id, "time.sleep(2)")
    assert pool.python(environment_id, "x")["executionResult"] == 1


def test_an_id_that_is_never_used_expires_too(start):
    pool = start(cooldown_seconds=0.2)
    environment_id = pool.launch()
    time.sleep(0.5)
    assert pool.call(RUN_PYTHON, environmentId=environment_id, pythonCode="1")["isError"]


def test_ready_sessions_are_taken_and_replaced(start, helpers):
    pool = start(ready_sessions=1, max_concurrent_sessions=1)
    assert pool.sessions() == ["s1"]
    assert pool.faults()["sessions"]["live"] == 0
    pool.python(pool.launch(), "1")
    assert pool.faults()["sessions"]["live"] == 1
    helpers.wait_until(lambda: pool.faults()["sessions"]["ready"] == 1)
    assert pool.sessions() == ["s1", "s2"]


def test_environments_do_not_share_anything(pool):
    one, two = pool.launch(), pool.launch()
    pool.python(one, "x = 1\nopen('/mnt/data/f', 'w').close()")
    answer = pool.python(
        two, "import os\n'x' in globals(), os.listdir('/mnt/data'), os.listdir('/tmp')"
    )
    assert answer["executionResult"][:2] == [False, []]
    for environment_id in (one, two):
        pool.faults(expire=environment_id)


def test_code_over_the_limit_is_interrupted_and_keeps_its_variables(start):
    pool = start(call_timeout_seconds=0.5)
    environment_id = pool.launch()
    pool.python(environment_id, "x = 1")
    answer = pool.python(environment_id, "import time\nprint('before', flush=True)\ntime.sleep(60)")
    assert answer["status"] == "Failed"
    assert answer["error"]["name"] == "TimeoutError"
    assert "0.5 seconds" in answer["error"]["message"]
    assert "kept" in answer["error"]["message"]
    assert answer["stdout"] == "before\n"
    assert pool.python(environment_id, "x")["executionResult"] == 1
    answer = pool.python(
        environment_id, "import subprocess\nsubprocess.run(['sleep', '60'], check=False)"
    )
    assert answer["error"]["name"] == "TimeoutError"
    answer = pool.python(environment_id, "import asyncio\nawait asyncio.sleep(60)")
    assert answer["error"]["name"] == "TimeoutError"
    assert pool.python(environment_id, "await asyncio.sleep(0, x)")["executionResult"] == 1


def test_code_that_ignores_the_interrupt_is_killed(start):
    pool = start(call_timeout_seconds=0.3)
    environment_id = pool.launch()
    code = """
import os, subprocess, time
p = subprocess.Popen(['sleep', '100'], start_new_session=True)
while True:
    try:
        while True:
            time.sleep(0.02)
            open('alive', 'w').close()
    except KeyboardInterrupt:
        open('interrupted', 'w').close()
"""
    answer = pool.python(environment_id, code)
    assert "lost" in answer["error"]["message"]
    # It has been given two seconds, by the clock of where it ran.
    lived = "import os\nos.path.getmtime('alive') - os.path.getmtime('interrupted')"
    assert 1.5 < pool.python(environment_id, lived)["executionResult"] < 3
    assert pool.python(environment_id, "1")["executionResult"] == 1
    # Only the interpreter's own group was killed.
    assert pool.shell(environment_id, "pgrep -c sleep")["stdout"] == "1\n"


def test_a_shell_command_over_the_limit_is_killed(start):
    pool = start(call_timeout_seconds=2)
    environment_id = pool.launch()
    result = pool.call(
        "runShellCommandInRemoteEnvironment",
        environmentId=environment_id,
        shellCommand="echo first; sleep 60",
    )
    assert result["isError"] is True
    structured = result["structuredContent"]
    assert (structured["stdout"], structured["exitCode"]) == ("first\n", 137)
    assert "2 seconds" in structured["stderr"]


def test_a_session_whose_supervisor_dies_is_gone(start, helpers):
    pool = start(isolation="process")
    environment_id = pool.launch()
    code = "import os, signal, time\nos.kill(os.getppid(), signal.SIGKILL)\ntime.sleep(60)"
    result = pool.call(RUN_PYTHON, environmentId=environment_id, pythonCode=code)
    assert "does not exist or has expired" in result["content"][0]["text"]
    assert pool.call(RUN_PYTHON, environmentId=environment_id, pythonCode="1")["isError"]
    helpers.wait_until(lambda: pool.sessions() == [])


@pytest.mark.parametrize("isolation", ["bubblewrap", "process"])
def test_killing_the_pool_leaves_no_processes_and_the_next_one_sweeps(start, helpers, isolation):
    pool = start(isolation=isolation, ready_sessions=1)
    environment_id = pool.launch()
    marker = f"MARK{time.time_ns()}"
    pool.python(
        environment_id,
        f"import os, subprocess\nos.environ['MARK'] = '{marker}'\n"
        "p = subprocess.Popen(['sleep', '100'], start_new_session=True)",
    )
    directory, groups = pool.directory, []
    helpers.wait_until(lambda: helpers.processes_with(marker))
    pool.process.send_signal(signal.SIGKILL)
    pool.process.wait()
    helpers.wait_until(lambda: not helpers.processes_with(marker))
    with contextlib.suppress(OSError), open(os.path.join(directory, "s1", "groups")) as file:
        groups = file.read().splitlines()
    start()
    helpers.wait_until(lambda: not os.path.exists(directory))
    assert not any(os.path.exists(group) for group in groups)


def test_the_end_of_stdin_ends_an_embedded_pool_at_once(start, helpers):
    pool = start(ready_sessions=1)
    environment_id = pool.launch()
    marker = f"MARK{time.time_ns()}"
    pool.python(
        environment_id, f"import os\nos.environ['M'] = '{marker}'\nos.system('sleep 100 &')"
    )

    def run():
        with contextlib.suppress(httpx.HTTPError, KeyError):
            pool.python(environment_id, "while True: pass")

    running = threading.Thread(target=run)
    running.start()
    time.sleep(0.2)
    directory = pool.directory
    started = time.monotonic()
    pool.process.stdin.close()
    # A loop of Python and `sleep 100` are not waited for.
    assert pool.process.wait(20) == 0
    assert time.monotonic() - started < 4
    running.join()
    assert not os.path.exists(directory)
    assert not helpers.processes_with(marker)


def test_sigterm_ends_an_embedded_pool(start):
    pool = start(ready_sessions=1)
    directory = pool.directory
    pool.process.terminate()
    assert pool.process.wait(5) == 0
    assert not os.path.exists(directory)


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"nonsense": 1}, "nonsense"),
        ({"cooldown_seconds": -1}, "cooldown-seconds"),
        ({"cooldown_seconds": "soon"}, "cooldown_seconds"),
        ({"quirks": ["unheard_of"]}, "unheard_of"),
        ({"host": "0.0.0.0"}, "allow-remote"),
        ({"isolation": "vm"}, "isolation"),
    ],
)
def test_settings_that_cannot_work_are_one_sentence(options, named):
    done = subprocess.run(
        [sys.executable, "-m", "aca_kernel.localpool"],
        input=json.dumps(options) + "\n",
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )
    assert done.returncode == 2
    assert named in json.loads(done.stdout)["error"]
    assert done.stderr == ""


def test_importing_does_nothing_and_a_parent_that_says_nothing_is_left(start):
    done = subprocess.run(
        [sys.executable, "-m", "aca_kernel.localpool"],
        input=b"",
        capture_output=True,
        timeout=20,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
