"""Failures on demand, which other tests rely on."""

import time
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from ..support import eventually, local_http

RUN_PYTHON = "runPythonCodeInRemoteEnvironment"


def _bump(pool, environment_id):
    return pool.python(environment_id, "count = globals().get('count', 0) + 1\ncount")


@pytest.fixture
def faulty(start):
    return start()


def test_a_dropped_answer_has_run_and_a_dropped_request_has_not(faulty):
    environment_id = faulty.launch()
    faulty.faults(kind="drop_after", tool=RUN_PYTHON)
    with pytest.raises(httpx.RemoteProtocolError):
        _bump(faulty, environment_id)
    assert _bump(faulty, environment_id)["executionResult"] == 2
    faulty.faults(kind="drop_before", count=1)
    with pytest.raises(httpx.RemoteProtocolError):
        _bump(faulty, environment_id)
    assert _bump(faulty, environment_id)["executionResult"] == 3


def test_every_third_call(faulty):
    environment_id = faulty.launch()
    faulty.faults(kind="drop_after", every=3, tool=RUN_PYTHON)
    lost = 0
    for _ in range(9):
        try:
            _bump(faulty, environment_id)
        except httpx.RemoteProtocolError:
            lost += 1
    assert lost == 3
    faulty.http.delete(faulty.endpoint.removesuffix("/mcp") + "/faults")
    assert _bump(faulty, environment_id)["executionResult"] == 10
    assert faulty.faults()["toolCalls"][RUN_PYTHON] == 10


def test_what_waits_for_an_answer_is_counted(faulty):
    environment_id = faulty.launch()
    assert faulty.faults()["unanswered"] == 0
    code = "import os, time\nwhile not os.path.exists('gate'): time.sleep(0.02)"
    with ThreadPoolExecutor() as threads:
        call = threads.submit(faulty.python, environment_id, code)
        try:
            assert eventually(lambda: faulty.faults()["unanswered"] == 1)
        finally:
            faulty.shell(environment_id, "touch gate")
        call.result()
    assert faulty.faults()["unanswered"] == 0


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
def test_a_status(pool, environment, status):
    pool.faults(kind="status", status=status, retry_after=3, tool=RUN_PYTHON)
    arguments = {"environmentId": environment, "pythonCode": "1"}
    answer = pool.rpc("tools/call", {"name": RUN_PYTHON, "arguments": arguments})
    assert (answer.status_code, answer.headers["retry-after"]) == (status, "3")


def test_other_failures(pool, environment):
    arguments = {"environmentId": environment, "pythonCode": "1"}

    def call():
        return pool.rpc("tools/call", {"name": RUN_PYTHON, "arguments": arguments})

    pool.faults(kind="garbage")
    with pytest.raises(ValueError):
        call().json()
    pool.faults(kind="cut")
    with pytest.raises(httpx.RemoteProtocolError):
        call()
    pool.faults(kind="unauthorized")
    assert call().status_code == 401
    pool.faults(kind="delay", seconds=0.3)
    started = time.monotonic()
    assert call().status_code == 200
    assert time.monotonic() - started >= 0.3


def test_expiry_on_demand(pool):
    environment_id = pool.launch()
    pool.python(environment_id, "1")
    assert pool.faults(expire=environment_id) == {"expired": True}
    assert pool.faults(expire=environment_id) == {"expired": False}
    assert pool.call(RUN_PYTHON, environmentId=environment_id, pythonCode="1")["isError"]


@pytest.mark.parametrize("rule", [{"kind": "x"}, {"every": 2}, {"kind": "cut", "bad": 1}])
def test_rules_that_make_no_sense(pool, rule):
    assert pool.faults(**rule)["error"]["code"] == "InvalidFault"


def test_faults_need_the_key_and_the_switch(start, pool):
    url = pool.endpoint.removesuffix("/mcp") + "/faults"
    assert local_http("GET", url).status_code == 401
    closed = start(faults=False)
    assert closed.http.get(closed.endpoint.removesuffix("/mcp") + "/faults").status_code == 404
