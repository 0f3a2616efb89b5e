"""The embedded pool with what macOS has: isolation by process, and a long TMPDIR.

Nobody has tried macOS itself. Here, what Linux alone has is hidden from all processes
(as_on_macos/sitecustomize.py).
"""

from __future__ import annotations

import ast
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from ..support import Client, eventually, running_kernel

HIDING = Path(__file__).with_name("as_on_macos")

# Those of macOS that are asked for; of bubblewrap there is none.
PROGRAMS = ("sh", "bash", "ps", "kill", "cat", "sleep", "env", "rm", "mkdir", "ls", "git")

# As long as /var/folders/zz/zyxvpxvq6csfxvn_n0000000000000/T.
LENGTH = 48


@pytest.fixture(scope="module")
def variables(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    programs = tmp_path_factory.mktemp("bin")
    for name in PROGRAMS:
        found = shutil.which(name)
        if found:
            (programs / name).symlink_to(found)
    with tempfile.TemporaryDirectory(dir="/tmp") as short:
        temporary = short + "/" + "T" * (LENGTH - len(short) - 1)
        os.mkdir(temporary)
        yield {"PYTHONPATH": str(HIDING), "PATH": str(programs), "TMPDIR": temporary}


@pytest.fixture(scope="module")
def kernel(variables: dict[str, str]) -> Iterator[Client]:
    with running_kernel(variables) as one:
        yield one


def test_it_is_hidden_where_cells_run(kernel: Client, variables: dict[str, str]) -> None:
    code = "import os; os.path.exists('/proc'), hasattr(os, 'memfd_create'), os.environ['HOME']"
    exists, has_memfd, home = ast.literal_eval(kernel.run(code).result)
    assert not exists
    assert not has_memfd
    # By process: in its own folder of the pool, and not in that of a sandbox.
    assert home.startswith(variables["TMPDIR"])


def test_the_paths_of_sockets_are_short_enough(kernel: Client) -> None:
    kernel.run("import json; from ipykernel.connect import get_connection_info")
    base = kernel.run("json.loads(get_connection_info())['ip']").result
    assert len(ast.literal_eval(base) + "-5") <= 103, base


def test_cells_run(kernel: Client) -> None:
    assert kernel.run("print(6 * 7)").text == "42\n"
    assert kernel.run("!echo $((6 * 7))").text.strip() == "42"
    kernel.run("import subprocess")
    code = "subprocess.run(['echo', 'x'], capture_output=True).stdout"
    assert kernel.run(code).result == "b'x\\n'"
    assert kernel.run("1 / 0").error["ename"] == "ZeroDivisionError"


def test_a_cell_is_interrupted(kernel: Client) -> None:
    msg_id = kernel.send("print('begun', flush=True)\nimport time\ntime.sleep(600)")
    kernel.wait_for_stream(msg_id, "begun")
    kernel.interrupt()
    assert kernel.collect(msg_id).error["ename"] == "KeyboardInterrupt"


def test_a_state_comes_back_after_a_restart_of_the_environment(kernel: Client) -> None:
    kernel.run("kept = 8\n%aca restart --keep")
    assert kernel.run("kept").result == "8"


def test_nothing_is_left_of_a_kernel_that_ends(variables: dict[str, str]) -> None:
    before, files = _processes(variables["TMPDIR"]), set(os.listdir("/tmp"))
    with running_kernel(variables) as one:
        one.run("%aca restart")
        ours = {name for name in set(os.listdir("/tmp")) - files if _leads_to(variables, name)}
        # A process that has left its group.
        one.run("import subprocess; subprocess.Popen(['sleep', '6543'], start_new_session=True)")
        assert _processes(variables["TMPDIR"]) - before
    assert eventually(lambda: not _processes(variables["TMPDIR"]) - before)
    # A link, so that the paths of sockets are short; the files are with the session's others.
    assert len(ours) == 1
    assert eventually(lambda: not ours & set(os.listdir("/tmp")))


def test_files_of_the_agent_are_with_those_of_its_session(
    kernel: Client, variables: dict[str, str]
) -> None:
    kernel.run("import json, os; from ipykernel.connect import get_connection_info")
    path = kernel.run("os.path.realpath(json.loads(get_connection_info())['ip'])").result
    assert ast.literal_eval(path).startswith(variables["TMPDIR"])


def _leads_to(variables: dict[str, str], name: str) -> bool:
    return os.path.realpath(os.path.join("/tmp", name)).startswith(variables["TMPDIR"] + "/")


def _processes(folder: str) -> set[int]:
    """Return the processes whose home lies in a folder: those of sessions in it."""
    found = set()
    for process in psutil.process_iter():
        try:
            if process.environ().get("HOME", "").startswith(folder):
                found.add(process.pid)
        except psutil.Error:
            continue
    return found
