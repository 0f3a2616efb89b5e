"""`aca-kernel upload` and `aca-kernel download`: to kernels that run, and by a pool's tools."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from jupyter_client.manager import start_new_kernel

from aca_kernel.cli.files import in_pool
from aca_kernel.remote import wire
from aca_kernel.remote.command_line import Command
from aca_kernel.remote.folder_stream import FolderEntry, pack
from aca_kernel.remote.paged_files import FileProblem

from ..host.notebook_files.conftest import SECRET, fill
from ..support import TIMEOUT, Client, Pool, running_kernel, running_pool

PYTHON = "runPythonCodeInRemoteEnvironment"

TREE = {
    "a.txt": b"a",
    "empty.txt": b"",
    "sub/large.bin": os.urandom(300_000),
    "two words.txt": b"words",
}


@pytest.fixture
def here(tmp_path: Path) -> Path:
    """A folder that the commands run in."""
    path = tmp_path / "here"
    path.mkdir()
    return path


def begin(folder: Path, *words: str, env: dict[str, str] | None = None) -> subprocess.Popen[str]:
    clean = {name: value for name, value in os.environ.items() if not name.startswith("ACA_")}
    return subprocess.Popen(
        [str(Path(sys.executable).parent / "aca-kernel"), *words],
        cwd=folder,
        env={**clean, **(env or {})},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def run(folder: Path, *words: str, env: dict[str, str] | None = None) -> tuple[int, str, str]:
    process = begin(folder, *words, env=env)
    out, err = process.communicate(timeout=TIMEOUT)
    return process.returncode, out, err


def make(folder: Path) -> None:
    for name, data in TREE.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    (folder / ".hidden").write_text("hidden")


def content(folder: Path) -> dict[str, bytes]:
    paths = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in paths}


# -- a kernel that runs --------------------------------------------------------------


@pytest.fixture(scope="module")
def kernel() -> Iterator[Client]:
    with running_kernel(arguments=("--AcaKernel.files=off",)) as client:
        client.run("import os")
        yield client


def existing(kernel: Client) -> tuple[str, str]:
    return "--existing", str(kernel.manager.connection_file)


def test_a_file_and_a_folder_go_through_a_kernel_and_back(here: Path, kernel: Client) -> None:
    make(here / "data")
    status, out, err = run(here, "upload", "data", *existing(kernel))
    assert (status, err) == (0, "")
    assert f"{here / 'data'} →" in out.replace("\n", " ")
    assert "4 files" in out
    assert "1 name is left out" in out.replace("\n", " ")
    assert kernel.run("sorted(os.listdir('data'))").result == str(
        ["a.txt", "empty.txt", "sub", "two words.txt"]
    )
    status, _, err = run(here, "download", "data", "back/", *existing(kernel))
    assert status == 1
    assert "folder that does not exist" in err
    assert run(here, "download", "data", "back", *existing(kernel))[0] == 0
    assert content(here / "back") == TREE
    # Where the command runs, not where the kernel does.
    assert run(here, "download", "data/a.txt", *existing(kernel))[0] == 0
    assert (here / "a.txt").read_bytes() == b"a"
    status, _, err = run(here, "download", "data/a.txt", *existing(kernel))
    assert status == 1
    assert "exists already" in err
    assert run(here, "download", "--force", "data/a.txt", *existing(kernel))[0] == 0


def test_a_name_for_ipython_is_refused_or_taken_as_it_is(here: Path, kernel: Client) -> None:
    (here / "it's.txt").write_text("odd")
    assert run(here, "upload", "it's.txt", *existing(kernel))[0] == 0
    assert kernel.run('open("it\'s.txt").read()').result == "'odd'"
    kernel.run("one = 'two'")
    (here / "{one}.txt").write_text("one")
    (here / "two.txt").write_text("not meant")
    status, _, err = run(here, "upload", "{one}.txt", *existing(kernel))
    assert status == 1
    assert "No line of the running cell" in err
    assert kernel.run("os.path.exists('two.txt')").result == "False"
    status, _, err = run(here, "upload", "a\nb", *existing(kernel))
    assert status == 2
    assert "line break" in err


def test_what_does_not_work_is_one_sentence(here: Path, kernel: Client) -> None:
    for words, code, says in (
        (["upload", "missing.txt", *existing(kernel)], 1, "does not exist"),
        (["upload", "", *existing(kernel)], 2, "the name is empty"),
        (["download", "", *existing(kernel)], 2, "the name is empty"),
        (["upload", "x", "--existing", "no-such-kernel"], 2, "No connection file"),
        (["upload", "x", "--endpoint=https://pool.example/mcp"], 2, "--environment-id"),
        (["upload", "x", "--environment-id", "one"], 2, "--endpoint"),
        (["upload", "x", "--environment-id", "1", "--existing", "2"], 2, "not allowed with"),
    ):
        status, out, err = run(here, *words)
        assert (status, out) == (code, ""), err
        assert says in err
        assert "Traceback" not in err


@pytest.mark.parametrize(
    "text", [b"[]", b"no JSON", b"\xff\xfe", b'{"shell_port": "x"}', b'{"key": 5}']
)
def test_a_file_that_is_no_connection_file_is_one_sentence(here: Path, text: bytes) -> None:
    (here / "other.json").write_bytes(text)
    status, out, err = run(here, "upload", "x", "--existing", "other.json")
    assert (status, out, err.count("\n")) == (2, "", 1), err
    assert "No connection file of a kernel was found by the name other.json" in err


def test_another_kind_of_kernel_is_left_alone(here: Path) -> None:
    (here / "a.txt").write_text("a")
    manager, client = start_new_kernel(kernel_name="python3")
    try:
        status, _, err = run(here, "upload", "a.txt", "--existing", manager.connection_file)
        assert status == 1
        assert "runs on this machine" in err
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)


def test_a_transfer_waits_for_the_cell_that_runs_and_leaves_it_alone(
    here: Path, kernel: Client
) -> None:
    (here / "a.txt").write_text("a")
    kernel.run("if os.path.exists('go'): os.unlink('go')")
    msg_id = kernel.send(
        "print('begun', flush=True)\nimport time\nwhile not os.path.exists('go'): time.sleep(0.1)"
    )
    kernel.wait_for_stream(msg_id, "begun")
    process = begin(here, "upload", "a.txt", "late.txt", *existing(kernel))
    assert process.stderr is not None
    assert "Waiting for the cell" in process.stderr.readline()
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=TIMEOUT)
    assert "when its cell has ended" in err
    assert process.returncode == 130
    kernel.interrupt()
    cell = kernel.collect(msg_id)
    assert cell.error is not None
    assert cell.error["ename"] == "KeyboardInterrupt"


def test_a_cell_that_fails_does_not_take_the_transfer_behind_it_along(
    here: Path, kernel: Client
) -> None:
    (here / "behind.txt").write_text("b")
    msg_id = kernel.send("print('begun', flush=True)\nimport time\ntime.sleep(600)")
    kernel.wait_for_stream(msg_id, "begun")
    process = begin(here, "upload", "behind.txt", *existing(kernel))
    assert process.stderr is not None
    assert "Waiting for the cell" in process.stderr.readline()
    # An error, as any other, aborts what waits behind it.
    kernel.interrupt()
    out, err = process.communicate(timeout=TIMEOUT)
    assert process.returncode == 0, err
    assert "behind.txt" in out
    assert kernel.run("open('behind.txt').read()").result == "'b'"


def test_code_in_an_environment_says_nothing_to_the_terminal(here: Path) -> None:
    (here / "a.txt").write_text("a")
    title = "'\\x1b]0;owned\\x07'"
    with running_kernel() as kernel:
        kernel.run(f"get_ipython().magics_manager.magics['line']['aca'] = lambda _: print({title})")
        status, out, _ = run(here, "upload", "a.txt", *existing(kernel))
        assert (status, out) == (0, "\n")
        kernel.run(
            f"def fail(_): raise ValueError({title})\n"
            "get_ipython().magics_manager.magics['line']['aca'] = fail"
        )
        status, _, err = run(here, "upload", "a.txt", *existing(kernel))
        assert (status, err) == (1, "aca-kernel: \n")
    with environment() as (pool, environment_id):
        evaluate(pool, environment_id, f"import os; os.path.abspath = lambda _: {title}")
        ways = ("--environment-id", environment_id)
        status, out, err = run(here, "upload", "a.txt", *ways, env=pool.env)
        assert "\x1b" not in out + err


def test_an_interrupt_ends_a_transfer_through_a_kernel(here: Path) -> None:
    (here / "large.bin").write_bytes(os.urandom(40_000_000))
    with running_pool() as pool, running_kernel(pool.env) as kernel:
        kernel.run("import os")
        pool.fault(kind="delay", seconds=0.3, every=1, tool=PYTHON)
        before = pool.calls()[PYTHON]
        process = begin(here, "upload", "large.bin", *existing(kernel))
        deadline = time.monotonic() + TIMEOUT
        while pool.calls()[PYTHON] < before + 3 and time.monotonic() < deadline:
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=TIMEOUT)
        assert process.returncode == 130
        pool.clear_faults()
        assert kernel.run("os.listdir()").result == "[]"


# -- an environment of a pool --------------------------------------------------------


@contextmanager
def environment(**options: Any) -> Iterator[tuple[Pool, str]]:
    with running_pool(**options) as pool:
        yield pool, str(pool.call("launchShell")["environmentId"])


def evaluate(pool: Pool, environment_id: str, code: str) -> str:
    return str(pool.call(PYTHON, environmentId=environment_id, pythonCode=code)["stdout"])


@pytest.mark.parametrize(
    "options", [{}, {"output_limit": 4096}, {"interpreter": "ipykernel"}], ids=str
)
def test_a_folder_goes_into_an_environment_and_back(here: Path, options: dict[str, Any]) -> None:
    make(here / "data")
    with environment(**options) as (pool, environment_id):
        ways = ("--endpoint", pool.endpoint, "--environment-id", environment_id)
        status, out, err = run(here, "upload", "data", *ways, env=pool.env)
        assert (status, err) == (0, "")
        assert "4 files" in out
        assert "1 name is left out" in out
        code = "import os; print(sorted(os.listdir('data')))"
        found = evaluate(pool, environment_id, code).strip()
        assert found == str(["a.txt", "empty.txt", "sub", "two words.txt"])
        evaluate(pool, environment_id, "os.mkdir('data/.git'); open('data/.git/x', 'w').close()")
        status, out, err = run(here, "download", "data", "back", *ways, env=pool.env)
        assert (status, err) == (0, "")
        assert "left out" in out
        assert content(here / "back") == TREE
        status, _, err = run(here, "download", "data", "back", *ways, env=pool.env)
        assert status == 0  # into it, by its own name
        assert content(here / "back" / "data") == TREE
        status, _, err = run(here, "download", "data/a.txt", "back", *ways, env=pool.env)
        assert status == 1
        assert "exists already" in err
        assert run(here, "download", "--force", "data/a.txt", "back", *ways, env=pool.env)[0] == 0
        assert "_aca_files" not in evaluate(pool, environment_id, "print(os.listdir())")


def test_decoys_do_not_go_into_an_environment(here: Path) -> None:
    (here / "data").mkdir()
    fill(here / "data")
    with environment() as (pool, environment_id):
        ways = ("--environment-id", environment_id)
        assert run(here, "upload", "data", *ways, env=pool.env)[0] == 0
        code = (
            "import os\nfor place, _, names in os.walk('data'):\n"
            "    for name in names: print(name, open(os.path.join(place, name), 'rb').read())"
        )
        said = evaluate(pool, environment_id, code)
        assert said.count("\n") == 12
        assert SECRET not in said


def test_a_lost_answer_is_asked_for_again_and_an_end_leaves_nothing(here: Path) -> None:
    data = os.urandom(9_000_000)
    (here / "large.bin").write_bytes(data)
    with environment() as (pool, environment_id):
        ways = ("--environment-id", environment_id)
        pool.fault(kind="drop_after", every=2, tool=PYTHON)
        assert run(here, "upload", "large.bin", "there.bin", *ways, env=pool.env)[0] == 0
        status, _, err = run(here, "download", "there.bin", *ways, env=pool.env)
        assert (status, err) == (0, "")
        assert (here / "there.bin").read_bytes() == data
        pool.clear_faults()
        pool.fault(kind="delay", seconds=0.3, every=1, tool=PYTHON)
        before = pool.calls()[PYTHON]
        process = begin(here, "upload", "large.bin", "other.bin", *ways, env=pool.env)
        deadline = time.monotonic() + TIMEOUT
        while pool.calls()[PYTHON] < before + 4 and time.monotonic() < deadline:
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=TIMEOUT)
        assert process.returncode == 130
        pool.clear_faults()
        said = evaluate(pool, environment_id, "import os; print(os.listdir())").strip()
        assert said == "['there.bin']"


class OddFarEnd:
    """An environment that has a folder, and then something in the way."""

    def __init__(self, listing: bytes, announced: int) -> None:
        self._listing = listing
        self._announced = announced

    async def ask(self, op: str, _head: dict[str, Any]) -> wire.Page:
        if op != "get":
            raise FileProblem("It was lost.")
        return wire.Page({"is_folder": True, "size": 1, "listing": self._announced}, b"")

    async def read(self, _op: str, offset: int) -> wire.Page:
        return wire.Page({}, self._listing[offset:] or b"x" * 1000)


@pytest.mark.parametrize(
    ("announced", "says"), [(0, "It was lost."), (10**12, "more than 100000 files")]
)
def test_a_folder_that_does_not_come_leaves_nothing(here: Path, announced: int, says: str) -> None:
    listing = pack([FolderEntry("a.txt", is_folder=False, size=1)])
    far: Any = OddFarEnd(listing, announced or len(listing))
    command = Command("download", "data", str(here / "data"))
    with pytest.raises(FileProblem, match=says):
        asyncio.run(in_pool._bring(far, command))
    assert list(here.iterdir()) == []


def test_an_environment_that_is_not_there_is_named(here: Path) -> None:
    (here / "a.txt").write_text("a")
    with running_pool() as pool:
        status, _, err = run(here, "upload", "a.txt", "--environment-id", "0" * 32, env=pool.env)
        assert status == 1
        assert "no longer exists" in err
