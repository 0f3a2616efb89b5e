"""Files both ways: whole or absent, in bounded memory, and only those that the cell names."""

from __future__ import annotations

import hashlib
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from aca_kernel.host.transfer import PAGE_BYTES
from aca_kernel.remote import paged_files

from ..in_turn import Turns, turns
from ..support import Client, Pool, eventually, running_kernel, running_pool
from .conftest import kernel_in
from .test_magic import sentence_of

PYTHON = "runPythonCodeInRemoteEnvironment"

# Lets a cell speak to the kernel as `%aca` does, as any package in the environment could.
HOSTILE = """
import glob, threading, time
from _aca_remote import asking as asks
from _aca_remote.paged_files import FileProblem
[calls_path] = glob.glob('/tmp/aca-*/calls')
parent = get_ipython().kernel.get_parent('shell')['header']['msg_id']
def asking():
    return asks.asking(calls_path, parent)
def attempt(op, **arguments):
    try:
        with asking() as kernel:
            return kernel.ask(op, **arguments).head
    except FileProblem as error:
        return 'refused: ' + str(error)
"""


@pytest.fixture
def folder(bare: Path) -> Path:
    """The notebook's folder: empty, and the working directory of kernels that are started."""
    return bare


@pytest.fixture(scope="module")
def turns_here(place: Path) -> Iterator[Turns]:
    with turns(lambda: kernel_in(place, "--AcaKernel.files=off")) as one:
        yield one


@pytest.fixture
def here(folder: Path, turns_here: Turns) -> Client:
    """A kernel on its embedded pool, in `folder`, whose files it does not see by itself."""
    return turns_here.take()


@pytest.fixture
def pool(shared_pool: Pool) -> Iterator[Pool]:
    """A pool of its own process, without faults before and after."""
    yield shared_pool
    shared_pool.clear_faults()


@pytest.fixture(scope="module")
def turns_far(place: Path, shared_pool: Pool) -> Iterator[Turns]:
    with turns(lambda: kernel_in(place, env=shared_pool.env)) as one:
        yield one


@pytest.fixture
def far(folder: Path, pool: Pool, turns_far: Turns) -> Client:
    """A kernel on `pool`, in `folder`."""
    return turns_far.take()


@pytest.fixture(scope="module")
def turns_cut(place: Path) -> Iterator[Turns]:
    @contextmanager
    def start() -> Iterator[Client]:
        with running_pool(output_limit=4096) as pool, kernel_in(place, env=pool.env) as client:
            yield client

    with turns(start) as one:
        yield one


def remote_digest(kernel: Client, path: str) -> str:
    code = f"import hashlib\nhashlib.file_digest(open({path!r}, 'rb'), 'sha256').hexdigest()"
    if not hasattr(hashlib, "file_digest"):  # before Python 3.11
        code = f"import hashlib\nhashlib.sha256(open({path!r}, 'rb').read()).hexdigest()"
    return str(kernel.run(code).result).strip("'")


# -- there and back ----------------------------------------------------------------


@pytest.mark.parametrize("size", [0, 1, PAGE_BYTES - 1, PAGE_BYTES, 3 * PAGE_BYTES + 1])
def test_a_file_arrives_as_it_was(folder: Path, here: Client, size: int) -> None:
    data = os.urandom(size)
    (folder / "data.bin").write_bytes(data)
    cell = here.run("%aca upload data.bin")
    assert cell.status == "ok"
    assert cell.text.splitlines()[-1].endswith("MB/s")
    assert remote_digest(here, "data.bin") == hashlib.sha256(data).hexdigest()
    cell = here.run("%aca download data.bin back.bin")
    assert cell.status == "ok"
    assert (folder / "back.bin").read_bytes() == data
    assert sorted(os.listdir(folder)) == ["back.bin", "data.bin"]
    assert here.run("import os; os.listdir()").result == "['data.bin']"


def test_paths_are_as_a_user_expects_them(folder: Path, here: Client) -> None:
    (folder / "two words.txt").write_text("text")
    (folder / "results").mkdir()
    here.run("import os\nos.mkdir('sub')\nos.mkdir('other')\n%cd -q other")
    assert here.run("for n in range(2):\n    %aca upload 'two words.txt'").status == "ok"
    assert here.run("open('two words.txt').read()").result == "'text'"
    assert here.run("%aca upload 'two words.txt' new.txt").status == "ok"
    assert here.run("open('new.txt').read()").result == "'text'"
    here.run("name = '../sub'\nopen('new.txt', 'w').write('changed')")
    assert here.run("%aca upload 'two words.txt' {name}").status == "ok"
    assert here.run("open('../sub/two words.txt').read()").result == "'text'"
    assert here.run("%aca download new.txt results").status == "ok"
    assert here.run("folder = '.'\n%aca download {folder}/new.txt").status == "ok"
    for path in (folder / "results" / "new.txt", folder / "new.txt"):
        assert path.read_text() == "changed"
        assert path.stat().st_mode & 0o777 == 0o666 & ~current_umask()


def current_umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def test_a_file_of_the_user_is_overwritten_only_by_force(folder: Path, here: Client) -> None:
    (folder / "mine.txt").write_text("mine")
    here.run("open('mine.txt', 'w').write('theirs')")
    assert "exists already" in sentence_of(here, "%aca download mine.txt")
    assert (folder / "mine.txt").read_text() == "mine"
    assert here.run("%aca download --force mine.txt").status == "ok"
    assert (folder / "mine.txt").read_text() == "theirs"


FILES = ["data.txt", "folder", "mine.txt", "named.txt", "pipe", "secret.txt"]


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("upload missing.txt", "does not exist"),
        ("upload pipe", "pipe"),
        ("upload data.txt /nowhere/x", "folder that does not exist"),
        ("upload data.txt /etc/hostname/x", "does not exist"),
        ("upload data.txt /usr/data.txt", "permission"),
        ("download missing.txt", "does not exist"),
        ("download .", "exists already"),
        ("download there.txt nowhere/x", "folder that does not exist"),
        ("download there.txt data.txt/x", "folder that does not exist"),
        ("download --force there.txt pipe", "pipe"),
    ],
)
def test_what_cannot_be_done_is_one_sentence(
    shared_folder: Path, shared_here: Client, line: str, says: str
) -> None:
    assert says in sentence_of(shared_here, f"%aca {line}")
    assert sorted(os.listdir(shared_folder)) == FILES


@pytest.fixture(scope="module")
def shared_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of `shared_here`."""
    return tmp_path_factory.mktemp("shared")


@pytest.fixture(scope="module")
def shared_here(shared_folder: Path) -> Iterator[Client]:
    """One kernel in a folder with some files, for the tests that leave them as they are."""
    for name in ("data", "mine", "named", "secret"):
        (shared_folder / f"{name}.txt").write_text(name)
    (shared_folder / "folder").mkdir()
    os.mkfifo(shared_folder / "pipe")
    with kernel_in(shared_folder) as client:
        client.run("open('there.txt', 'w').write('there')")
        yield client


def test_a_full_disk_is_a_sentence_and_leaves_nothing(tmp_path: Path) -> None:
    enormous = 1 << 60
    with pytest.raises(paged_files.FileProblem, match="not enough space"):
        paged_files.PartialFile(str(tmp_path / "x"), "x", enormous, may_replace=False)
    assert os.listdir(tmp_path) == []


def test_a_disk_that_fills_up_on_the_way_is_a_sentence_too(tmp_path: Path) -> None:
    file = paged_files.PartialFile(str(tmp_path / "x"), "x", 10, may_replace=False)
    os.dup2(full := os.open("/dev/full", os.O_WRONLY), file._fd)
    os.close(full)
    with pytest.raises(paged_files.FileProblem, match="not enough space"):
        file.write(b"0123456789")
    file.discard()
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("is_unnamed", [True, False])
def test_a_part_has_no_name_where_that_can_be(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_unnamed: bool
) -> None:
    if not is_unnamed:
        monkeypatch.delattr(os, "O_TMPFILE")
    (tmp_path / "old").write_text("old")
    for name in ("new", "old"):
        file = paged_files.PartialFile(
            str(tmp_path / name), name, 4, may_replace=name == "old", has_name=False
        )
        file.write(b"mine")
        shown = [one for one in os.listdir(tmp_path) if one.endswith(".part")]
        assert len(shown) == (0 if is_unnamed else 1)
        if name == "old":
            file.make_executable()
        file.commit(hashlib.sha256(b"mine").hexdigest())
        assert (tmp_path / name).read_text() == "mine"
    assert sorted(os.listdir(tmp_path)) == ["new", "old"]
    assert not os.access(tmp_path / "new", os.X_OK)
    assert os.access(tmp_path / "old", os.X_OK)


def test_a_name_that_is_taken_meanwhile_is_not_overwritten(tmp_path: Path) -> None:
    file = paged_files.PartialFile(str(tmp_path / "x"), "x", 4, may_replace=False)
    file.write(b"mine")
    (tmp_path / "x").write_text("other")
    with pytest.raises(paged_files.FileProblem, match="exists already"):
        file.commit(hashlib.sha256(b"mine").hexdigest())
    assert (tmp_path / "x").read_text() == "other"
    assert os.listdir(tmp_path) == ["x"]


@pytest.mark.parametrize(("before", "after"), [("longer than", "short"), ("short", "now longer")])
def test_a_file_that_changes_while_it_is_read_is_not_sent(
    tmp_path: Path, before: str, after: str
) -> None:
    path = tmp_path / "x"
    path.write_text(before)
    file = paged_files.SourceFile(str(path), "x")
    path.write_text(after)
    with pytest.raises(paged_files.FileProblem, match="while it was read"):
        file.read(100)
    file.close()


# -- size and speed ----------------------------------------------------------------


@contextmanager
def memory_watched(process: psutil.Process) -> Iterator[list[int]]:
    """Measure the resident memory of a process all the while; the largest is the item."""
    largest, is_over = [process.memory_info().rss], threading.Event()

    def watch() -> None:
        while not is_over.wait(0.02):
            largest[0] = max(largest[0], process.memory_info().rss)

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield largest
    finally:
        is_over.set()
        thread.join()


@pytest.mark.parametrize(("size", "is_random"), [(500_000_000, False), (160_000_000, True)])
def test_large_files_go_both_ways_in_bounded_memory(
    folder: Path, here: Client, size: int, is_random: bool
) -> None:
    here.run("1")
    process = psutil.Process(here.pid)
    with open("large", "wb") as file:
        if is_random:
            file.write(os.urandom(size))
        else:
            file.truncate(size)
    before = process.memory_info().rss
    with memory_watched(process) as largest:
        assert here.run("%aca upload large", timeout=120).status == "ok"
        cell = here.run("%aca download large back", timeout=120)
        assert cell.status == "ok"
    # Some copies of a page, whatever the size: a file is larger than this.
    assert largest[0] - before < 24 * PAGE_BYTES < size
    with open("large", "rb") as sent, open("back", "rb") as back:
        assert os.fstat(back.fileno()).st_size == size
        while data := sent.read(1 << 24):
            assert back.read(1 << 24) == data


def test_progress_is_one_line_and_other_output_streams(folder: Path, turns_cut: Turns) -> None:
    # Answers in small pieces are slow enough to be watched.
    kernel = turns_cut.take()
    kernel.run(
        "import os, threading, time\nopen('data', 'wb').write(os.urandom(1_500_000))\n"
        "ticks = [0]\ndef tick():\n    while ticks[0] >= 0:\n"
        "        ticks[0] += 1\n        print('tick', flush=True)\n        time.sleep(0.1)"
    )
    cell = kernel.run(
        "threading.Thread(target=tick).start()\n%aca download data\nticks[0] = -9", timeout=120
    )
    assert cell.status == "ok"
    assert cell.text.count("tick") >= 3
    assert (folder / "data").stat().st_size == 1_500_000


def test_long_transfers_show_how_far_they_are(pool: Pool, far: Client) -> None:
    with open("large", "wb") as file:
        file.truncate(10 * PAGE_BYTES)
    pool.fault(kind="delay", seconds=0.3, every=1, tool=PYTHON)
    text = far.run("%aca upload large").text
    updates = text.split("\r")
    assert len(updates) > 3
    assert any("%" in one and "MB/s" in one for one in updates[1:-1])
    # The line is taken back, and what stays is one line.
    assert updates[-2].strip() == ""
    assert updates[-1].count("\n") == 1
    assert "41.9 MB in" in updates[-1]


# -- trouble -----------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["drop_after", "drop_before", "cut", "garbage"])
def test_lost_and_cut_answers_cost_nothing(
    folder: Path, pool: Pool, far: Client, kind: str
) -> None:
    data = os.urandom(12_000_000)
    (folder / "data").write_bytes(data)
    pool.fault(kind=kind, every=3, tool=PYTHON)
    assert far.run("%aca upload data").status == "ok"
    assert far.run("%aca download data back").status == "ok"
    assert (folder / "back").read_bytes() == data


def check_both_ways(folder: Path, kernel: Client) -> None:
    data = os.urandom(400_000)
    (folder / "data").write_bytes(data)
    assert kernel.run("%aca upload data").status == "ok"
    assert kernel.run("%aca download data back").status == "ok"
    assert (folder / "back").read_bytes() == data


def test_a_service_that_cuts_answers_short_transfers_files_too(
    folder: Path, turns_cut: Turns
) -> None:
    check_both_ways(folder, turns_cut.take())


def test_an_ipython_that_cuts_answers_short_transfers_files_too(folder: Path) -> None:
    with (
        running_pool(output_limit=4096, interpreter="ipykernel") as pool,
        running_kernel(pool.env) as kernel,
    ):
        check_both_ways(folder, kernel)


def test_an_ipython_as_session_interpreter_keeps_nothing_of_what_is_sent(folder: Path) -> None:
    with open("large", "wb") as file:
        file.write(os.urandom(40_000_000))
    with running_pool(interpreter="ipykernel") as pool, running_kernel(pool.env) as kernel:
        kernel.run("1")
        started = time.monotonic()
        assert kernel.run("%aca upload large").status == "ok"
        assert time.monotonic() - started < 20  # through IPython's transformers: a second a page
        # The allocator's reserve for calls of this size is there.
        before = {pid: psutil.Process(pid).memory_info().rss for pid in pool.processes()}
        for _ in range(3):
            kernel.run("%aca upload large\n1")
        grown = [psutil.Process(pid).memory_info().rss - rss for pid, rss in before.items()]
        # 160 MB of base64 have passed.
        assert max(grown) < 80_000_000


def test_an_interrupt_stops_it_and_removes_the_part(pool: Pool, far: Client) -> None:
    with open("large", "wb") as file:
        file.truncate(100 * PAGE_BYTES)
    far.run("import os\nwith open('there', 'wb') as file: file.truncate(400_000_000)")
    pool.fault(kind="delay", seconds=0.2, every=1, tool=PYTHON)
    for line in ("%aca upload large", "%aca download there"):
        msg_id = far.send(line)
        far.wait_for_stream(msg_id, "%")
        before = pool.calls()[PYTHON]
        far.interrupt()
        cell = far.collect(msg_id)
        # Of the hundred pages most have never left.
        assert pool.calls()[PYTHON] - before < 20
        assert cell.error is not None
        assert cell.error["ename"] == "KeyboardInterrupt"
        assert len(cell.error["traceback"]) == 1
        # The kernel closes the file when it has seen the cell's end.
        assert eventually(lambda: os.listdir() == ["large"])
        assert far.run("sorted(os.listdir())").result == "['there']"


def test_an_environment_that_ends_half_way_is_one_sentence_and_leaves_nothing(
    folder: Path,
) -> None:
    with running_pool(isolation="process") as pool, running_kernel(pool.env) as kernel:
        kernel.run("with open('there', 'wb') as file: file.truncate(400_000_000)")
        pool.fault(kind="delay", seconds=0.2, every=1, tool=PYTHON)
        msg_id = kernel.send("%aca download there")
        kernel.wait_for_stream(msg_id, "%")
        pool.kill_environments()
        cell = kernel.collect(msg_id)
        assert cell.error is not None
        assert "environment ended" in cell.error["evalue"]
        assert len(cell.error["traceback"]) == 1
        assert eventually(lambda: os.listdir() == [])
        assert kernel.run("6 * 7").result == "42"


def test_the_kernels_end_removes_the_part(folder: Path, pool: Pool) -> None:
    with running_kernel(pool.env) as kernel:
        kernel.run("with open('there', 'wb') as file: file.truncate(400_000_000)")
        pool.fault(kind="delay", seconds=0.2, every=1, tool=PYTHON)
        msg_id = kernel.send("%aca download there")
        kernel.wait_for_stream(msg_id, "%")
    assert os.listdir() == []


# -- what the environment may not do -------------------------------------------------


def refused(kernel: Client, code: str) -> str:
    """Run hostile code; what it prints says that it was refused."""
    text = kernel.run(HOSTILE + code).text
    assert "refused: " in text, text
    return text


@pytest.mark.parametrize(
    "path", ["secret.txt", "./secret.txt", "/etc/hostname", "~/.bashrc", "named.txt/../secret.txt"]
)
@pytest.mark.parametrize(
    "line",
    [
        "",
        "# %aca upload secret.txt",
        "text = '%aca upload secret.txt'",
        "if False:\n    pass\n%aca upload named.txt",
        "%aca download secret.txt",
    ],
)
def test_a_file_that_no_line_names_cannot_be_read(
    shared_here: Client, path: str, line: str
) -> None:
    text = refused(shared_here, f"print(attempt('upload', path={path!r}))\n{line}")
    assert "No line of the running cell" in text


def test_neither_variables_nor_functions_nor_later_cells_name_a_file(
    folder: Path, here: Client
) -> None:
    (folder / "secret.txt").write_text("secret")
    assert "No line" in sentence_of(here, "name = 'secret.txt'\n%aca upload {name}")
    code = "get_ipython().run_line_magic('aca', 'upload secret.txt')"
    assert "No line" in sentence_of(here, code)
    assert "No line" in sentence_of(
        here, "get_ipython().run_cell('%aca upload secret.txt');" + code
    )
    # The line stands in a cell that waits its turn.
    hostile = here.send(
        HOSTILE + "for _ in range(5):\n    print(attempt('upload', path='secret.txt'))\n"
        "    time.sleep(0.1)"
    )
    later = here.send("%aca upload secret.txt")
    cell = here.collect(hostile)
    assert cell.text.count("refused") == 5
    assert "transfer" not in cell.text
    assert here.collect(later).status == "ok"


def test_a_permission_ends_with_its_cell(folder: Path, here: Client) -> None:
    (folder / "named.txt").write_text("named")
    late = (
        "def late():\n    time.sleep(0.5)\n    found.append(attempt('upload', path='named.txt'))\n"
        "found = []\nthread = threading.Thread(target=late)\nthread.start()\n"
    )
    assert here.run(HOSTILE + late + "%aca upload named.txt").status == "ok"
    assert here.run("thread.join(); print(found[0])").text.startswith("refused")


@pytest.mark.parametrize(
    ("line", "arguments"),
    [
        ("", {"path": "new.txt", "destination": ""}),
        ("%aca download x new.txt", {"path": "x", "destination": "other.txt"}),
        ("%aca download x new.txt", {"path": "new.txt", "destination": ""}),
        ("%aca download x new.txt", {"path": "x", "destination": "new.txt", "force": True}),
        ("%aca download x", {"path": "../x", "destination": "."}),
        ("%aca download x folder", {"path": "y", "destination": "folder"}),
        ("%aca download x folder", {"path": "..", "destination": "folder"}),
        ("%aca download {name}", {"path": "y", "destination": ""}),
    ],
)
def test_a_file_that_no_line_names_cannot_be_written(
    shared_folder: Path, shared_here: Client, line: str, arguments: dict[str, object]
) -> None:
    text = refused(shared_here, f"print(attempt('download', size=1, **{arguments!r}))\n{line}")
    assert "No line" in text
    assert sorted(os.listdir(shared_folder)) == FILES
    assert os.listdir(shared_folder / "folder") == []
    assert (shared_folder / "mine.txt").read_text() == "mine"


def test_what_is_not_what_was_announced_is_not_kept(folder: Path, here: Client) -> None:
    code = """
def send(announced, data, digest):
    with asking() as kernel:
        try:
            begun = kernel.ask('download', path='x', destination='', size=announced).head
            kernel.send('download_page', data, transfer=begun['transfer'])
            kernel.receive()
            kernel.ask('download_end', transfer=begun['transfer'], digest=digest)
        except FileProblem as error:
            print('refused:', error)
send(3, b'1234', '')
send(4, b'1234', 'nonsense')
send(5, b'1234', hashlib.sha256(b'1234').hexdigest())
"""
    cell = here.run(HOSTILE + "import hashlib" + code + "raise SystemExit\n%aca download x")
    assert cell.text.count("refused: ") == 3
    assert "More came" in cell.text
    assert cell.text.count("did not arrive as it was sent") == 2
    assert eventually(lambda: os.listdir() == [])


def test_malformed_calls_do_no_harm(folder: Path, here: Client) -> None:
    code = """
import socket
for head in ({'op': 5}, {}, {'op': 'nonsense'}, {'op': 'upload'}, {'op': 'upload', 'path': 7},
             {'op': 'upload', 'path': 'a\\0b'}, {'op': 'upload_page', 'transfer': []},
             {'op': 'download', 'path': 'x', 'destination': '', 'size': -1},
             {'op': 'download', 'path': 'x', 'destination': '\\ud800\\0', 'size': True},
             {'op': 'shell', 'script': None}):
    with asking() as kernel:
        kernel._connection.send({'id': 'one', **head})
        try:
            kernel.receive()
        except FileProblem as error:
            print('refused:', error)
for data in (b'not a record at all', b'00000002[]', b'ffffffff', b'00000004nullxx'):
    with socket.socket(socket.AF_UNIX) as stream:
        stream.connect(calls_path)
        stream.sendall(data)
"""
    assert here.run(HOSTILE + code).text.count("refused: ") == 10
    assert here.run("!echo still here").text == "still here\r\n"


@pytest.mark.parametrize("which", ["here", "far"])
def test_asking_for_everything_at_once_fills_no_memory(
    request: pytest.FixtureRequest, folder: Path, which: str
) -> None:
    kernel: Client = request.getfixturevalue(which)
    with open("named", "wb") as file:
        file.truncate(500_000_000)
    code = """
with asking() as kernel:
    begun = kernel.ask('upload', path='named').head
    for _ in range(100):
        kernel.send('upload_page', transfer=begun['transfer'])
    try:
        for _ in range(100):
            kernel.receive()
    except FileProblem as error:
        print('refused:', error)
raise SystemExit
%aca upload named
"""
    kernel.run("1")
    process = psutil.Process(kernel.pid)
    before = process.memory_info().rss
    with memory_watched(process) as largest:
        said = kernel.run(HOSTILE + code).text
    assert largest[0] - before < 24 * PAGE_BYTES
    # On the embedded pool pages go beside the answers, two at a time.
    assert ("at a time" in said) == (which == "far"), said


def test_a_shared_pool_serves_transfers_of_several_kernels(
    folder: Path, pool: Pool, far: Client
) -> None:
    (folder / "data").write_bytes(os.urandom(10_000_000))
    with running_kernel(pool.env) as other:
        ids = [kernel.send("%aca upload data") for kernel in (far, other)]
        assert far.collect(ids[0]).status == other.collect(ids[1]).status == "ok"
        assert remote_digest(far, "data") == remote_digest(other, "data")
