"""Every reader finds what lies beside the notebook, unchanged, and nothing else is sent."""

from __future__ import annotations

import hashlib
import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import nbformat
import psutil
import pytest
from nbclient import NotebookClient

from ...in_turn import Turns, turns
from ...support import Client, Pool
from ..conftest import kernel_in
from ..test_transfer import memory_watched
from .conftest import SECRET

PYTHON = "runPythonCodeInRemoteEnvironment"

ON_DEMAND = ("--AcaKernel.files=on-demand",)


@pytest.fixture(scope="module")
def shared(place: Path) -> Iterator[Turns]:
    with turns(lambda: kernel_in(place)) as one:
        yield one


@pytest.fixture
def kernel(corner: Path, shared: Turns) -> Client:
    """A kernel in a corner of the notebook's folder."""
    return shared.take(f"%cd -q {corner.name}")


@pytest.fixture
def pool(shared_pool: Pool) -> Iterator[Pool]:
    yield shared_pool
    shared_pool.clear_faults()


@pytest.fixture(scope="module")
def shared_far(place: Path, shared_pool: Pool) -> Iterator[Turns]:
    with turns(lambda: kernel_in(place, *ON_DEMAND, env=shared_pool.env)) as one:
        yield one


@pytest.fixture
def far(corner: Path, pool: Pool, shared_far: Turns) -> Client:
    """The same on `pool`."""
    return shared_far.take(f"%cd -q {corner.name}")


# Cells as people write them, and what they show.
READERS = {
    "open('text.txt').read()": "'a text\\n'",
    "from pathlib import Path\nPath('text.txt').read_text()": "'a text\\n'",
    "Path('sub/more data.csv').exists(), Path('sub').is_dir()": "(True, True)",
    "import os\nos.path.getsize('text.txt'), os.access('data.csv', os.R_OK)": "(7, True)",
    "import io\nio.FileIO('same.txt').read()": "b'a text\\n'",
    "os.read(os.open('text.txt', os.O_RDONLY), 6)": "b'a text'",
    "import numpy as np\nnp.load('array.npy').sum()": "np.int64(45)",
    "np.loadtxt('data.csv', delimiter=',', skiprows=1, usecols=0)": "array([1., 2., 3.])",
    "np.load('array.npy', mmap_mode='r').sum()": "np.int64(45)",
    "import pandas as pd\nint(pd.read_csv('data.csv').a.sum())": "6",
    "int(pd.read_csv('sub/more data.csv', engine='pyarrow').a.sum())": "6",
    "int(pd.read_parquet('data.parquet').a.sum())": "6",
    "import pyarrow.csv, pyarrow.parquet\npyarrow.csv.read_csv('data.csv').num_rows": "3",
    "pyarrow.parquet.read_table('data.parquet').num_rows": "3",
    "from PIL import Image\nImage.open('image.png').size": "(3, 2)",
    "import sqlite3\nsqlite3.connect('data.db').execute('select n from numbers').fetchall()": (
        "[(42,)]"
    ),
    "import zipfile\nzipfile.ZipFile('data.zip').read('inner.txt')": "b'zipped'",
    "import helper_module\nhelper_module.VALUE": "5",
    "import package\npackage.VALUE": "6",
    "!cat data.csv | head -1": "a,b\r\n",
    "lines = !wc -l < text.txt\nlines": "['1']",
    "import subprocess\nsubprocess.run(['cat', 'text.txt'], capture_output=True).stdout": (
        "b'a text\\n'"
    ),
    "%cd -q sub\nopen('more data.csv').readline()": "'a,b\\n'",
    "%cd -q ..\nopen('text.txt').read()": "'a text\\n'",
    "import shutil\nshutil.copy('text.txt', 'mine.txt'), open('mine.txt').read()": (
        "('mine.txt', 'a text\\n')"
    ),
}

SHOWN = [
    "array.npy", "data.csv", "data.db", "data.parquet", "data.zip", "helper_module.py", "image.png",
    "package", "same.txt", "sub", "text.txt",
]  # fmt: skip

# First, when nothing has been sent yet.
LISTS = {
    "import glob, os\nsorted(os.listdir())": str(SHOWN),
    "sorted(glob.glob('*.csv') + glob.glob('**/*.csv', recursive=True))": (
        "['data.csv', 'data.csv', 'sub/more data.csv']"
    ),
    "sorted(entry.name for entry in os.scandir() if entry.is_dir())": "['package', 'sub']",
    "os.listdir(b'package'), glob.glob(b's*/*.csv')": (
        "([b'__init__.py', b'part.py'], [b'sub/more data.csv'])"
    ),
    "[(one.name, one.path, one.stat().st_size) for one in os.scandir(b'sub')]": (
        "[(b'more data.csv', b'sub/more data.csv', 16)]"
    ),
    "here = os.open('package', os.O_RDONLY)\nos.listdir(here), os.listdir(path=here)": (
        "(['__init__.py', 'part.py'], ['__init__.py', 'part.py'])"
    ),
    "[(one.name, one.path, one.stat().st_size) for one in os.scandir(here)]": (
        "[('__init__.py', '__init__.py', 24), ('part.py', 'part.py', 10)]"
    ),
    "os.access('part.py', os.R_OK, dir_fd=here), os.access('none.py', os.R_OK, dir_fd=here)": (
        "(True, False)"
    ),
    "top = os.open('.', os.O_RDONLY)\nsorted(e.name for e in os.scandir(top) if e.is_dir())": (
        "['package', 'sub']"
    ),
    "sorted(names for _, inner, names, _ in os.fwalk('.') if not inner)": (
        "[['__init__.py', 'part.py'], ['more data.csv']]"
    ),
    "sorted(str(path) for path in __import__('pathlib').Path().rglob('*.p*'))": (
        "['data.parquet', 'helper_module.py', 'image.png', 'package/__init__.py','package/part.py']"
    ),
    "sorted(name for _, _, names in os.walk('.') for name in names if name.endswith('.txt'))": (
        "['same.txt', 'text.txt']"
    ),
    "from aca_nothing import x": None,
}


def output_of(cell: nbformat.NotebookNode) -> str:
    return "".join(
        output.get("text") or output.get("data", {}).get("text/plain", "")
        for output in cell.outputs
    )


def test_a_notebook_finds_its_files_with_every_reader(full_folder: Path) -> None:
    notebook = nbformat.v4.new_notebook()
    cells = {**LISTS, **READERS}
    notebook.cells = [nbformat.v4.new_code_cell(code) for code in [*cells, "%aca files"]]
    client = NotebookClient(
        notebook,
        kernel_name="aca",
        resources={"metadata": {"path": str(full_folder)}},
        allow_errors=True,
    )
    client.execute()
    found = {cell.source: output_of(cell) for cell in notebook.cells}
    for code, shown in cells.items():
        if shown is not None:
            normal = "".join(found[code].split()) if code in LISTS else found[code]
            assert normal == ("".join(shown.split()) if code in LISTS else shown), code
    *_, last = notebook.cells
    assert SECRET not in str(notebook)
    assert [line.split("  ")[1] for line in output_of(last).splitlines() if line[:2] == "  "] == [
        *["array.npy", "data.csv", "data.db", "data.parquet", "data.zip", "helper_module.py"],
        *["image.png", "package/__init__.py", "package/part.py", "same.txt"],
        *["sub/more data.csv", "text.txt", "mine.txt"],
    ]


def test_a_file_that_is_nowhere_is_missing_as_ever(kernel: Client) -> None:
    cell = kernel.run("open('nowhere.txt')")
    assert cell.error is not None
    assert cell.error["ename"] == "FileNotFoundError"
    assert cell.error["evalue"] == "[Errno 2] No such file or directory: 'nowhere.txt'"
    # None of ours are between the cell and its error.
    assert len(cell.error["traceback"]) <= 4
    assert "beside" not in "".join(cell.error["traceback"])
    cell = kernel.run("import aca_nowhere")
    assert cell.error is not None
    assert cell.error["evalue"] == "No module named 'aca_nowhere'"


def test_threads_and_forked_processes_find_files(corner: Path, kernel: Client) -> None:
    (corner / "text.txt").write_text("a text\n")
    (corner / "same.txt").symlink_to("text.txt")
    code = """
import multiprocessing, threading
def read(name):
    return open(name).read()
taken = []
threads = [threading.Thread(target=lambda: taken.append(read('text.txt'))) for _ in range(8)]
for one in threads: one.start()
for one in threads: one.join()
with multiprocessing.get_context('fork').Pool(2) as pool:
    taken += pool.map(read, ['text.txt', 'same.txt'])
set(taken), len(taken)
"""
    assert kernel.run(code).result == "({'a text\\n'}, 10)"


def test_many_large_files_at_a_time(corner: Path, kernel: Client) -> None:
    for number in range(8):
        (corner / f"{number}.bin").write_bytes(os.urandom(6_000_000))
    code = """
import hashlib
from concurrent.futures import ThreadPoolExecutor
def digest(number):
    return hashlib.sha256(open(f'{number}.bin', 'rb').read()).hexdigest()
with ThreadPoolExecutor(8) as pool:
    found = list(pool.map(digest, range(8)))
found
"""
    found = kernel.run(code).result
    assert eval(found) == [
        hashlib.sha256((corner / f"{number}.bin").read_bytes()).hexdigest() for number in range(8)
    ]


def test_a_thread_that_goes_on_after_its_cell_finds_files(corner: Path, kernel: Client) -> None:
    for number in range(30):
        (corner / f"{number}.txt").write_text("x")
    with open("large.bin", "wb") as file:
        file.truncate(20_000_000)
    code = """
import os, threading
after = threading.Event()
def read():
    after.wait()
    found.append(sum(len(open(f'{n}.txt').read()) for n in range(30)))
    found.append(len(open('large.bin', 'rb').read()))
    print('done')
found = []
threading.Thread(target=read).start()
threading.Timer(0.3, after.set).start()
"""
    msg_id = kernel.send(code)
    kernel.wait_for_stream(msg_id, "done")
    assert kernel.run("found").result == "[30, 20000000]"


def test_what_is_not_asked_for_costs_nothing(corner: Path, pool: Pool, far: Client) -> None:
    for number in range(10_000):
        (corner / f"{number}.txt").touch()
    (corner / "9.txt").write_text("nine")

    def calls_of(code: str) -> int:
        before = pool.calls()[PYTHON]
        assert far.run(code).status == "ok"
        return pool.calls()[PYTHON] - before

    # A machine that is slow at the moment needs more than one for a cell.
    assert min(calls_of("1 + 1") for _ in range(5)) == 1
    mine = "open('mine.txt', 'a').write('x'); open('mine.txt').read()"
    assert min(calls_of(mine) for _ in range(5)) == 1
    assert calls_of("assert open('9.txt').read() == 'nine'") < 10
    # Opened again and again: asked about once.
    assert calls_of("for _ in range(100): open('9.txt').close()") < 10
    # Many of one folder: it is listed.
    assert calls_of("sum(os.path.exists(f'{n}.txt') for n in range(12_000))") < 30
    assert far.run("len(os.listdir())").result == "10001"
    assert far.run("sum(os.path.exists(f'{n}.txt') for n in range(12_000))").result == "10000"


def test_a_large_file_needs_little_memory_and_shows_its_progress(pool: Pool, far: Client) -> None:
    size = 500_000_000
    with open("large.bin", "wb") as file:
        file.truncate(size)
        file.seek(size - 3)
        file.write(b"end")
    pool.fault(kind="delay", seconds=0.05, every=5, tool=PYTHON)
    local = psutil.Process(far.pid)
    pids = [local, *(psutil.Process(pid) for pid in pool.processes())]
    before = [process.memory_info().rss for process in pids]
    with memory_watched(pids[0]) as first, memory_watched(pids[-1]) as last:
        cell = far.run("file = open('large.bin', 'rb'); file.seek(-3, 2); file.read()", 120)
    assert cell.result == "b'end'"
    assert "large.bin: " in cell.text
    assert "of 500.0 MB" in cell.text
    assert first[0] - before[0] < 150_000_000
    assert last[0] - before[-1] < 150_000_000


def test_what_breaks_on_its_way_leaves_no_half_file(corner: Path, pool: Pool, far: Client) -> None:
    with open("large.bin", "wb") as file:
        file.truncate(400_000_000)
    pool.fault(kind="delay", seconds=0.2, every=1, tool=PYTHON)
    msg_id = far.send("open('large.bin')")
    far.wait_for_stream(msg_id, "%")
    far.interrupt()
    cell = far.collect(msg_id)
    assert cell.error is not None
    assert cell.error["ename"] == "KeyboardInterrupt"
    # What is there, not what could be fetched.
    there = "import posix; [one for one in posix.listdir('.') if one != '__pycache__']"
    assert far.run(there).result == "[]"
    msg_id = far.send("open('large.bin')")
    far.wait_for_stream(msg_id, "%")
    pool.kill_environments()
    assert far.collect(msg_id).status == "error"
    os.truncate("large.bin", 5)
    # The next environment begins in the notebook's folder.
    assert far.run(f"len(open('{corner.name}/large.bin').read())").result == "5"


@pytest.mark.parametrize("fault", ["drop_after", "drop_before", "cut"])
def test_a_lost_answer_is_asked_for_again(
    corner: Path, pool: Pool, far: Client, fault: str
) -> None:
    (corner / "data.bin").write_bytes(os.urandom(9_000_000))
    digest = hashlib.sha256((corner / "data.bin").read_bytes()).hexdigest()
    pool.fault(kind=fault, every=3, tool=PYTHON)
    code = "import hashlib; hashlib.sha256(open('data.bin', 'rb').read()).hexdigest()"
    assert far.run(code).result == repr(digest)


def test_a_file_that_is_written_to_meanwhile_is_whole_or_missing(
    corner: Path, kernel: Client
) -> None:
    size = 9_000_000
    (corner / "data.bin").write_bytes(b"0" * size)
    end = threading.Event()

    def rewrite() -> None:
        number = 0
        while not end.wait(0.2):
            number = (number + 1) % 10
            with open("new", "wb") as file:
                file.write(b"%d" % number * size)
            os.replace("new", "data.bin")

    writer = threading.Thread(target=rewrite)
    writer.start()
    try:
        for _ in range(5):
            cell = kernel.run("data = open('data.bin').read(); set(data).__len__(), len(data)")
            assert cell.result == f"(1, {size})"
            time.sleep(0.2)
    finally:
        end.set()
        writer.join()
