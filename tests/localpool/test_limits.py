"""Limits: a session that takes too much hurts itself only."""

import os

import pytest


def test_a_greedy_cell_gets_a_memory_error(start):
    pool = start(memory_mib=256)
    environment_id = pool.launch()
    answer = pool.python(environment_id, "x = 1\nbytearray(400 << 20)")
    assert answer["error"]["name"] == "MemoryError"
    assert pool.python(environment_id, "x")["executionResult"] == 1


def test_memory_of_all_processes_counts_together(start):
    pool = start(memory_mib=128)
    other = pool.launch()
    pool.python(other, "y = 5")
    environment_id = pool.launch()
    hog = "import time; x = bytearray(b'1') * (90 << 20); time.sleep(5)"
    answer = pool.python(
        environment_id,
        "import subprocess, sys\n"
        f"many = [subprocess.Popen([sys.executable, '-c', {hog!r}]) for _ in range(4)]\n"
        "import time\n"
        "deadline = time.monotonic() + 4\n"
        "while time.monotonic() < deadline and not any(p.poll() for p in many): time.sleep(0.01)\n"
        "result = [p.poll() for p in many]\n"
        "for p in many: p.kill()\n"
        "result",
    )
    if not _has_cgroup("memory"):
        pytest.skip("no control group for memory is writable here")
    # One of them was killed, or the interpreter itself.
    killed = answer.get("executionResult") or [-9 if "SIGKILL" in str(answer) else None]
    assert -9 in killed
    assert pool.python(other, "y")["executionResult"] == 5


def test_a_fork_bomb_is_bounded(start):
    if not _has_cgroup("pids") and os.getuid() == 0:
        pytest.skip("no control group for processes is writable, and root has no other limit")
    pool = start(max_processes=60)
    environment_id = pool.launch()
    code = """
import os, time
started = []
try:
    for _ in range(2000):
        pid = os.fork()
        if pid == 0:
            time.sleep(20)
            os._exit(0)
        started.append(pid)
except BlockingIOError as error:
    failure = error
import signal
for pid in started: os.kill(pid, signal.SIGKILL)
for pid in started: os.waitpid(pid, 0)
len(started), type(failure).__name__
"""
    count, name = pool.python(environment_id, code)["executionResult"]
    assert 30 < count < 60
    assert name == "BlockingIOError"
    assert pool.shell(environment_id, "echo fine")["stdout"] == "fine\n"


def test_control_groups_go_with_their_sessions(start, helpers):
    pool = start()
    environment_id = pool.launch()
    pool.python(environment_id, "1")
    name = "aca-" + "-".join(pool.directory.split("/")[-1:]) + "-s1"
    groups = list(_walk(name))
    assert groups or not _has_cgroup("pids")
    pool.faults(expire=environment_id)
    helpers.wait_until(lambda: not any(os.path.exists(path) for path in groups))


def _walk(name):
    for root, directories, _ in os.walk("/sys/fs/cgroup"):
        if name in directories:
            yield os.path.join(root, name)


def _has_cgroup(controller):
    with open("/proc/self/cgroup") as file:
        for line in file:
            _, controllers, path = line.strip().split(":", 2)
            root = f"/sys/fs/cgroup/{controller}" if controllers else "/sys/fs/cgroup"
            if controller in controllers.split(",") or not controllers:
                parent = root + (path if controllers else os.path.dirname(path))
                limit = "pids.max" if controller == "pids" else "memory.max"
                is_there = controllers or os.path.exists(os.path.join(parent, limit))
                if is_there and os.access(parent, os.W_OK):
                    return True
    return False
