"""Where files are not sent by themselves, the error says that one is there and what sends it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from ...support import Client, Pool, running_kernel
from .conftest import SECRET
from .test_opened_in_c import MADE


def hint(path: str, line: str) -> str:
    return (
        f"{path} exists beside the notebook on your machine: `{line}` sends it, and with the "
        'setting files = "on-demand" such files are sent when they are opened.'
    )


def in_folder(path: str) -> str:
    return (
        f"{path} is a folder beside the notebook on your machine: with the setting "
        'files = "on-demand" its files are sent when they are opened, and `%aca upload` sends one.'
    )


DATA = hint("data.csv", "%aca upload data.csv")


# As h5py says it.
IN_C = "Unable to open file (name = 'data.csv', error message = 'No such file or directory')"


@pytest.fixture(scope="module")
def hinting_kernel(full_folder: Path) -> Iterator[Client]:
    with running_kernel(arguments=("--AcaKernel.files=hint",)) as client:
        yield client


@pytest.mark.parametrize(
    ("code", "evalue"),
    [
        ("open('data.csv')", f"[Errno 2] No such file or directory: 'data.csv'. {DATA}"),
        (
            "import pathlib; pathlib.Path('data.csv').read_text()",
            f"[Errno 2] No such file or directory: 'data.csv'. {DATA}",
        ),
        (
            "import pandas; pandas.read_csv('data.csv')",
            f"[Errno 2] No such file or directory: 'data.csv'. {DATA}",
        ),
        ("import numpy; numpy.loadtxt('data.csv')", f"data.csv not found. {DATA}"),
        (
            "open('sub/more data.csv')",
            "[Errno 2] No such file or directory: 'sub/more data.csv'. "
            + hint("sub/more data.csv", "%aca upload 'sub/more data.csv' sub/"),
        ),
        (
            "import helper_module",
            "No module named 'helper_module'. "
            + hint("helper_module.py", "%aca upload helper_module.py"),
        ),
        (
            "import package",
            "No module named 'package'. " + in_folder("package"),
        ),
        ("import sub.part", "No module named 'sub'. " + in_folder("sub")),
        (
            "import pathlib; pathlib.Path('data.csv').stat()",
            f"[Errno 2] No such file or directory: 'data.csv'. {DATA}",
        ),
        (
            "import os; os.rename('data.csv', 'other.csv')",
            f"[Errno 2] No such file or directory: 'data.csv' -> 'other.csv'. {DATA}",
        ),
        (
            "import os; os.listdir('package')",
            "[Errno 2] No such file or directory: 'package'. " + in_folder("package"),
        ),
        ("import pandas; pandas.read_parquet('package')", "package. " + in_folder("package")),
        (
            "%load helper_module.py",
            "'helper_module.py' was not found in history, as a file, url, nor in the user "
            "namespace. " + hint("helper_module.py", "%aca upload helper_module.py"),
        ),
        (
            f"raise OSError({IN_C!r})",
            f"{IN_C}. {DATA}",
        ),
        (
            "raise FileNotFoundError('No such file or directory (os error 2): data.csv')",
            f"No such file or directory (os error 2): data.csv. {DATA}",
        ),
        # Of other files than those that are there.
        (
            "import os; os.path.exists('data.csv'); open('backup/data.csv')",
            "[Errno 2] No such file or directory: 'backup/data.csv'",
        ),
        (
            "import os; os.path.exists('data.csv'); raise FileNotFoundError('No data.csv.gz here')",
            "No data.csv.gz here",
        ),
        (
            "import os; os.path.exists('sub'); raise FileNotFoundError('no subject available')",
            "no subject available",
        ),
        ("open('nowhere.csv')", "[Errno 2] No such file or directory: 'nowhere.csv'"),
        ("open('.env')", "[Errno 2] No such file or directory: '.env'"),
        ("open('ignored.txt')", "[Errno 2] No such file or directory: 'ignored.txt'"),
        ("open('link.txt')", "[Errno 2] No such file or directory: 'link.txt'"),
        ("open('id_rsa')", "[Errno 2] No such file or directory: 'id_rsa'"),
    ],
)
def test_the_error_carries_one_sentence_more(
    hinting_kernel: Client, code: str, evalue: str
) -> None:
    cell = hinting_kernel.run(code)
    assert cell.error is not None
    if not code.startswith(("raise OSError", "%load")):
        assert cell.error["ename"] in ("FileNotFoundError", "ModuleNotFoundError")
    assert cell.evalue == evalue
    assert "notebook_files/" not in "".join(cell.error["traceback"])


def test_the_line_sends_it_to_its_place_from_another_directory(hinting_kernel: Client) -> None:
    hinting_kernel.run("import os; os.makedirs('sub', exist_ok=True); os.chdir('sub')")
    try:
        line = "%aca upload 'sub/more data.csv' ../sub/"
        evalue = hinting_kernel.run("open('more data.csv')").evalue
        assert evalue.endswith(f"'more data.csv'. {hint('sub/more data.csv', line)}")
        assert hinting_kernel.run(f"{line}\nopen('more data.csv').close()").status == "ok"
    finally:
        hinting_kernel.run("import shutil; os.chdir('..'); shutil.rmtree('sub')")


def test_who_opens_in_c_gets_it_too(hinting_kernel: Client) -> None:
    cell = hinting_kernel.run("import pyarrow.csv; pyarrow.csv.read_csv('data.csv')")
    assert cell.error is not None
    assert cell.error["ename"] == "FileNotFoundError"
    assert DATA in cell.evalue


def test_a_hint_names_what_a_reader_in_c_misses(hinting_kernel: Client) -> None:
    hinting_kernel.run(MADE)
    cell = hinting_kernel.run("polars.read_csv('text.' + 'txt')")
    assert cell.error is None
    assert "`%aca upload text.txt`" in cell.said


def test_what_run_does_not_find_is_told_beside_its_error(hinting_kernel: Client) -> None:
    cell = hinting_kernel.run("%run helper_module.py")
    assert cell.error is not None
    assert cell.evalue == "File `'helper_module.py'` not found."
    told = hint("helper_module.py", "%aca upload helper_module.py")
    assert cell.said == told


def test_who_asks_for_a_module_or_has_an_opener_gets_what_is_due_elsewhere(
    hinting_kernel: Client,
) -> None:
    code = """
import importlib.util, io, os
fd = os.open('/etc', os.O_RDONLY)
def at_etc(path, flags):
    return os.open('passwd', flags, dir_fd=fd)
with open('data.csv', opener=at_etc) as one, io.open('data.csv', opener=at_etc) as other:
    print(importlib.util.find_spec('helper_module'), one.read() == other.read() != '')
"""
    cell = hinting_kernel.run(code)
    assert (cell.text, cell.error) == ("None True\n", None)


def test_a_thread_shows_the_sentence_and_no_frame_of_ours(hinting_kernel: Client) -> None:
    code = """
import threading
thread = threading.Thread(target=lambda: open('data.csv'))
thread.start()
thread.join()
"""
    shown = hinting_kernel.run(code).said
    assert f"No such file or directory: 'data.csv'. {DATA}" in shown
    assert "_aca_remote" not in shown


def test_an_error_of_another_process_gets_its_hint(hinting_kernel: Client) -> None:
    code = """
import multiprocessing
def read(path):
    return io.open(path).read()
with multiprocessing.get_context('fork').Pool(1) as pool:
    pool.map(read, ['data.csv'])
"""
    cell = hinting_kernel.run("import io\n" + code)
    assert cell.error is not None
    assert cell.evalue == f"[Errno 2] No such file or directory: 'data.csv'. {DATA}"


def test_a_new_database_is_not_mistaken_for_the_users(hinting_kernel: Client) -> None:
    cell = hinting_kernel.run("import sqlite3; sqlite3.connect('data.db').close()")
    assert cell.error is None
    assert cell.said == hint("data.db", "%aca upload data.db")


def test_code_that_handles_the_error_sees_the_sentence_and_the_usual_type(
    hinting_kernel: Client,
) -> None:
    code = """
import pickle
try:
    open('text.txt')
except FileNotFoundError as error:
    found = error
found.errno, found.filename, str(found).endswith('opened.'), type(pickle.loads(pickle.dumps(found)))
"""
    assert hinting_kernel.run(code).result == "(2, 'text.txt', True, FileNotFoundError)"


def test_writing_is_no_reason_for_a_hint(hinting_kernel: Client) -> None:
    code = """
import pandas, os
open('image.png', 'w').close()
pandas.DataFrame({'a': [1]}).to_parquet('data.parquet')
os.path.exists('data.csv'), os.path.exists('data.parquet')
"""
    cell = hinting_kernel.run(code)
    assert cell.result == "(False, True)"
    assert cell.said == ""


def test_the_line_of_the_hint_sends_the_file(hinting_kernel: Client) -> None:
    code = "%aca upload 'sub/more data.csv' sub/\nopen('sub/more data.csv').readline()"
    assert hinting_kernel.run(code).result == "'a,b\\n'"
    assert hinting_kernel.run("import shutil; shutil.rmtree('sub')").error is None


def test_it_is_the_default_for_pools_that_are_not_embedded(full_folder: Path, pool: Pool) -> None:
    with running_kernel(pool.env) as kernel:
        cell = kernel.run("open('data.csv')")
        assert cell.error is not None
        assert cell.evalue.endswith(DATA)
        assert "files = hint" in kernel.run("%aca files").text


def test_nothing_is_said_with_files_off(full_folder: Path) -> None:
    with running_kernel(arguments=("--AcaKernel.files=off",)) as kernel:
        cell = kernel.run("open('data.csv')")
        assert cell.error is not None
        assert cell.evalue == "[Errno 2] No such file or directory: 'data.csv'"
        assert SECRET not in kernel.run("!cat .env data.csv").text
        listing = kernel.run("%aca files").text
        assert listing.startswith("Sent from your machine: nothing (files = off)\n")
