"""A kernel on Windows Python under Wine, driven from Linux, against a pool on loopback."""

from __future__ import annotations

import contextlib
import os
import re
import signal
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from ..checkpoint.expiring import AFTER_EACH_CELL, RELEASED, Notebook
from ..support import AT_ONCE, TIMEOUT, Client, eventually, running_kernel, running_pool
from .conftest import Windows, WindowsKernel, connected, windows_kernel

ARGUMENTS = (*AFTER_EACH_CELL, "--AcaKernel.files=on-demand", "--AcaKernel.files_back=True")

# As a front end on Windows starts a kernel: with a handle of its own process.
FRONT_END = """\
import os, subprocess, sys
from jupyter_client.launcher import launch_kernel
command = [sys.executable, "-m", "aca_kernel", "-f", sys.argv[1]]
process = launch_kernel(command, stdin=subprocess.DEVNULL)
print("started", flush=True)
process.wait()
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The notebook's folder."""
    return tmp_path_factory.mktemp("notebook")


@pytest.fixture(scope="module")
def notebook(
    windows: Windows, folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Notebook]:
    data = tmp_path_factory.mktemp("data")
    with (
        running_pool(max_concurrent_sessions=2, ready_sessions=1) as pool,
        windows_kernel(windows, folder, data, pool.env, *ARGUMENTS) as kernel,
    ):
        yield Notebook(kernel, pool, data)


@pytest.fixture
def kernel(notebook: Notebook) -> Client:
    return notebook.kernel


def test_it_says_what_it_is(kernel: Client) -> None:
    content = kernel.ask("kernel_info_request", {})["content"]
    assert (content["status"], content["language_info"]["name"]) == ("ok", "python")


def test_cells_run_in_the_environment(kernel: Client) -> None:
    assert kernel.run("6 * 7").result == "42"
    assert kernel.run("import sys; sys.platform").result == "'linux'"
    assert kernel.run("1 / 0").evalue == "division by zero"


def test_output_is_live(kernel: Client) -> None:
    msg_id = kernel.send("import time\nprint('first', flush=True)\ntime.sleep(600)")
    kernel.wait_for_stream(msg_id, "first")
    kernel.interrupt()
    assert kernel.collect(msg_id, AT_ONCE).reply["content"]["ename"] == "KeyboardInterrupt"
    assert kernel.run("'and goes on'").result == "'and goes on'"


def test_a_shell_command_runs_and_is_interrupted(kernel: Client) -> None:
    assert kernel.run("!echo Grüße").text.split() == ["Grüße"]
    msg_id = kernel.send("!echo first; sleep 600")
    kernel.wait_for_stream(msg_id, "first")
    kernel.interrupt()
    kernel.collect(msg_id, AT_ONCE)


def test_input_is_asked_at_the_front_end(kernel: Client) -> None:
    msg_id = kernel.send("print('Hello', input('name? '))", allow_stdin=True)
    assert kernel.client.get_stdin_msg(timeout=TIMEOUT)["content"]["prompt"] == "name? "
    kernel.client.input("Ada")
    assert kernel.collect(msg_id).text == "Hello Ada\n"


def test_names_are_completed(kernel: Client) -> None:
    kernel.run("some_long_name = 1")
    content = kernel.ask("complete_request", {"code": "some_lo", "cursor_pos": 7})["content"]
    assert "some_long_name" in content["matches"]


def test_files_go_both_ways_by_their_windows_paths(
    windows: Windows, kernel: Client, folder: Path
) -> None:
    # Line ends are nobody's business, and large files come in pages.
    data = b"a\r\nb\n\x1a" * 1_500_000
    place = windows.drive_c / "my data"
    place.mkdir(exist_ok=True)
    (place / "1.bin").write_bytes(data)
    cell = kernel.run('%aca upload "C:\\my data\\1.bin"\nlen(open("1.bin", "rb").read())')
    assert (cell.result, cell.error) == (str(len(data)), None)
    assert "C:\\my data\\1.bin → " in cell.text
    (place / "2.bin").unlink(missing_ok=True)
    cell = kernel.run('%aca download 1.bin "C:\\my data\\2.bin"')
    assert cell.error is None
    assert (place / "2.bin").read_bytes() == data
    kernel.run("%aca download 1.bin back.bin")
    assert (folder / "back.bin").read_bytes() == data
    assert "exists already" in kernel.run("%aca download 1.bin back.bin").evalue
    assert kernel.run("%aca download --force 1.bin back.bin").error is None


@pytest.mark.parametrize(
    ("folder_name", "name"),
    [("Büro & Pläne (2)", "Größe 1.csv"), ("日本", "データ.csv"), ("a%20b", "x'y.csv")],
)
def test_names_of_files_are_in_any_language(
    windows: Windows, kernel: Client, folder_name: str, name: str
) -> None:
    place = windows.drive_c / folder_name
    place.mkdir(exist_ok=True)
    (place / name).write_bytes(b"1")
    path = f"C:\\{folder_name}\\{name}"
    cell = kernel.run(f'%aca upload "{path}"\nopen({name!r}).read()')
    assert (cell.result, cell.error) == ("'1'", None)
    assert path in cell.text
    (place / f"2 {name}").unlink(missing_ok=True)
    cell = kernel.run(f'%aca download "{name}" "C:\\{folder_name}\\2 {name}"')
    assert cell.error is None
    assert (place / f"2 {name}").read_bytes() == b"1"


@pytest.mark.parametrize("name", ["CON", "nul.txt", "1.bin:stream", "'C:\\a.'", "\\\\.\\pipe\\a"])
def test_devices_and_streams_are_no_files(kernel: Client, name: str) -> None:
    kernel.run("open('1.bin', 'wb').write(b'1');")
    assert "no name for a file" in kernel.run(f"%aca download --force 1.bin {name}").evalue
    assert "no name for a file" in kernel.run(f"%aca upload {name}").evalue


def test_a_file_beside_the_notebook_is_found(kernel: Client, folder: Path) -> None:
    (folder / "sub").mkdir()
    (folder / "sub" / "data.csv").write_bytes(b"a,b\r\n1,2\r\n")
    (folder / "helper.py").write_text("VALUE = 'from Windows'\n")
    assert kernel.run("open('sub/data.csv', 'rb').read()").result == r"b'a,b\r\n1,2\r\n'"
    assert kernel.run("import helper; helper.VALUE").result == "'from Windows'"
    assert kernel.run("import os; sorted(os.listdir('sub'))").result == "['data.csv']"


def test_other_names_of_files_find_nothing(kernel: Client, folder: Path) -> None:
    (folder / ".gitignore").write_text("private.csv\n")
    (folder / "private.csv").write_text("private")
    for name in ("PRIVATE.CSV", "private.csv", "private.csv::$DATA", "private.csv.", "nul.txt"):
        error = kernel.run(f"open({name!r}).read()").error
        assert error is not None, name
        assert error["ename"] == "FileNotFoundError", name


def test_a_file_that_a_cell_writes_comes_back(kernel: Client, folder: Path) -> None:
    code = "os.makedirs('made', exist_ok=True)\nopen('made/result.txt', 'w').write('1\\n2\\n');"
    assert kernel.run("import os\n" + code).error is None
    assert eventually((folder / "made" / "result.txt").exists)
    assert (folder / "made" / "result.txt").read_bytes() == b"1\n2\n"
    # It may be replaced, as nobody has changed it.
    kernel.run("open('made/result.txt', 'w').write('3');")
    assert eventually(lambda: (folder / "made" / "result.txt").read_bytes() == b"3")
    (folder / "made" / "result.txt").write_text("mine")
    assert "is your own" in kernel.run("open('made/result.txt', 'w').write('4');").said
    # Not even with the end of a folder's name that Windows drops.
    said = kernel.run(
        "open('made/nul.txt', 'w').write('4'); open('made/a:b', 'w').write('5');"
    ).said
    assert sorted(os.listdir(folder / "made")) == ["result.txt"], said


def test_variables_outlive_their_environment(notebook: Notebook) -> None:
    notebook.run("kept = list(range(1000))")
    notebook.expire_when_stored()
    cell = notebook.run("sum(kept)")
    assert cell.result == "499500"
    assert re.search(RELEASED, cell.said)


def test_a_refused_key_is_one_sentence(notebook: Notebook) -> None:
    notebook.pool.fault(kind="unauthorized", every=1)
    error = notebook.run("1").error
    notebook.pool.clear_faults()
    assert error is not None
    assert error["ename"] in ("AccessDenied", "KeyRefused")
    assert notebook.run("1 + 1").result == "2"


def test_a_full_pool_is_waited_for(notebook: Notebook) -> None:
    with running_kernel(notebook.pool.env) as holder:
        holder.run("1")
        # The environment that it leaves has the other place until its cooldown has passed.
        notebook.run("%aca restart")
        msg_id = notebook.kernel.send("6 * 7")
        notebook.kernel.wait_for_stream(msg_id, "Waiting")
        notebook.pool.expire()
        assert notebook.kernel.collect(msg_id).result == "42"


def test_a_shutdown_leaves_no_process(notebook: Notebook) -> None:
    kernel = notebook.kernel
    assert isinstance(kernel, WindowsKernel)
    assert len(processes_with(kernel.file.parent.name)) == 1
    kernel.client.shutdown()
    assert kernel.process.wait(TIMEOUT) == 0
    assert processes_with(kernel.file.parent.name) == []


def processes_with(argument: str) -> list[int]:
    """The processes whose command line has an argument."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if any(argument in word for word in process.cmdline()):
                found.append(process.pid)
    return found


def test_without_a_pool_it_says_what_to_do_and_ends_with_its_parent(
    windows: Windows, tmp_path: Path
) -> None:
    file = tmp_path / "connection.json"
    env = {"JUPYTER_RUNTIME_DIR": windows.path(tmp_path / "runtime")}
    parent = windows.start("-c", FRONT_END, windows.path(file), env=env)
    assert parent.stdout is not None
    assert parent.stdin is not None
    try:
        assert parent.stdout.readline().strip() == b"started"
        with connected(file, parent) as client:
            cell = WindowsKernel(client, parent, file).run("1")
        assert cell.error is not None
        assert cell.error["ename"] == "PoolNotStarted"
        assert "needs Linux or macOS" in cell.evalue
        assert "WSL" in cell.evalue
        # pytest's folder of this test tells them from all others.
        name = file.parent.name
        assert len(processes_with(name)) == 2
        os.kill(parent.pid, signal.SIGKILL)
        parent.wait(TIMEOUT)
        assert eventually(lambda: processes_with(name) == [], TIMEOUT)
    finally:
        if parent.poll() is None:
            parent.kill()
            parent.wait(TIMEOUT)
        parent.stdin.close()
        parent.stdout.close()
