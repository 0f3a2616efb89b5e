"""A real pool in a process of its own, spoken to over real HTTP."""

import contextlib
import json
import os
import subprocess
import sys
import time

import httpx
import pytest

RUN_PYTHON = "runPythonCodeInRemoteEnvironment"
RUN_SHELL = "runShellCommandInRemoteEnvironment"


class PoolProcess:
    """An embedded pool (`python -m aca_kernel.localpool`) and a client of it.

    within: a command that runs the pool's.
    """

    def __init__(self, *, within=(), **options):
        started = time.monotonic()
        self.process = subprocess.Popen(
            [*within, sys.executable, "-m", "aca_kernel.localpool"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,
            env=options.pop("env", None),
            cwd=options.pop("cwd", None),
        )
        self.process.stdin.write(json.dumps({"faults": True, **options}).encode() + b"\n")
        self.process.stdin.flush()
        self.info = json.loads(self.process.stdout.readline())
        self.started_seconds = time.monotonic() - started
        self.endpoint = self.info.get("endpoint")
        self.http = httpx.Client(
            headers={"x-ms-apikey": self.info.get("api_key", "")},
            timeout=60,
            verify=False,
            trust_env=False,
        )

    @property
    def directory(self):
        """The directory of this pool: the one whose lock it holds."""
        for fd in os.listdir(f"/proc/{self.process.pid}/fd"):
            with contextlib.suppress(OSError):
                target = os.readlink(f"/proc/{self.process.pid}/fd/{fd}")
                if target.endswith("/lock"):
                    return os.path.dirname(target)
        raise AssertionError("the pool holds no lock")

    def sessions(self):
        return sorted(name for name in os.listdir(self.directory) if name.startswith("s"))

    def post(self, message, **kwargs):
        # Not httpx's own encoder: lone surrogates travel as escapes.
        return self.http.post(self.endpoint, content=json.dumps(message), **kwargs)

    def rpc(self, method, params=None, request_id=1):
        message = {"jsonrpc": "2.0", "id": request_id, "method": method}
        if params is not None:
            message["params"] = params
        return self.post(message)

    def call(self, tool, **arguments):
        """Call a tool and return its result."""
        answer = self.rpc("tools/call", {"name": tool, "arguments": arguments}).json()
        assert "result" in answer, answer
        return answer["result"]

    def launch(self):
        return self.call("launchPythonEnvironment")["structuredContent"]["environmentId"]

    def python(self, environment_id, code):
        return self.call(RUN_PYTHON, environmentId=environment_id, pythonCode=code)[
            "structuredContent"
        ]

    def shell(self, environment_id, command):
        key = "shellCommand" if isinstance(command, str) else "execCommandAndArgs"
        return self.call(RUN_SHELL, environmentId=environment_id, **{key: command})[
            "structuredContent"
        ]

    def faults(self, **message):
        url = self.endpoint.removesuffix("/mcp") + "/faults"
        return (self.http.post(url, json=message) if message else self.http.get(url)).json()

    def close(self, timeout=10):
        """End the pool as a parent does, by closing its stdin; return the exit code."""
        self.http.close()
        with contextlib.suppress(BrokenPipeError):
            self.process.stdin.close()
        code = self.process.wait(timeout)
        self.process.stdout.close()
        return code


def wait_until(condition, seconds=5):
    """Wait for a condition under a bound; returns its value."""
    deadline = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < deadline, "it did not come true"
        time.sleep(0.02)
    return value


def processes_with(text):
    """Process ids whose environment holds this text, sandboxed ones included."""
    found = []
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            with contextlib.suppress(OSError), open(f"/proc/{entry}/environ", "rb") as file:
                if text.encode() in file.read():
                    found.append(int(entry))
    return found


class Helpers:
    wait_until = staticmethod(wait_until)
    processes_with = staticmethod(processes_with)


@pytest.fixture(scope="session")
def helpers():
    return Helpers


@pytest.fixture
def start():
    """Start pools with options of their own; they end with the test."""
    pools = []

    def start_pool(**options):
        pools.append(PoolProcess(**options))
        return pools[-1]

    yield start_pool
    for pool in pools:
        pool.close()


@pytest.fixture(scope="session")
def pool():
    """One pool that most tests share, with room for their sessions."""
    shared = PoolProcess(ready_sessions=1, max_concurrent_sessions=200)
    yield shared
    assert shared.close() == 0


@pytest.fixture
def environment(pool):
    """A fresh environment of the shared pool; it ends with the test."""
    environment_id = pool.launch()
    yield environment_id
    pool.faults(expire=environment_id)


@pytest.fixture
def python(pool, environment):
    return lambda code: pool.python(environment, code)


@pytest.fixture
def shell(pool, environment):
    return lambda command: pool.shell(environment, command)
