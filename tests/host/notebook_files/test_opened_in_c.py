"""Files that are opened in C, where no audit event tells of it."""

from __future__ import annotations

import ast
import shutil
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from aca_kernel.remote.notebook_files import c_readers, cell_text

from ...in_turn import Turns, turns
from ...support import Client, running_kernel, running_pool
from ..conftest import kernel_in
from .conftest import DECOYS, SECRET

# A library that opens in C; it takes the place of one that is wrapped.
LIBRARY = """
import ctypes, os
libc = ctypes.CDLL(None)
libc.fopen.restype = ctypes.c_void_p
def _read(name):
    file = libc.fopen(os.fsencode(name), b"r")
    if not file:
        return None
    buffer = ctypes.create_string_buffer(100)
    size = libc.fread(buffer, 1, 99, ctypes.c_void_p(file))
    libc.fclose(ctypes.c_void_p(file))
    return buffer.raw[:size]
def read_csv(source, separator=","):
    return _read(source)
def read_parquet(source):
    import glob
    with_magic = libc  # C again: no function of `os` is asked
    return [_read(one) for one in (source if isinstance(source, list) else [source])]
class DuckDBPyConnection:
    def sql(self, query):
        import sys
        return _read(query.split("'")[1]), "table" in sys._getframe(1).f_locals
def sql(query):
    import sys
    return _read(query.split("'")[1]), "table" in sys._getframe(1).f_locals
class File:
    def __init__(self, name, mode="r"):
        self.text = _read(name)
"""

MADE = f"""
for _name in ("polars", "duckdb", "h5py"):
    with open(_name + ".py", "w") as _file:
        _file.write({LIBRARY!r})
import polars, duckdb, h5py
"""


@pytest.fixture(scope="module")
def place(full_folder: Path) -> Path:
    return full_folder


@pytest.fixture(scope="module")
def shared(place: Path) -> Iterator[Turns]:
    with turns(lambda: kernel_in(place)) as one:
        yield one


@pytest.fixture
def prepared(shared: Turns) -> Client:
    """A kernel with libraries that open in C."""
    return shared.take(MADE)


def test_readers_in_c_find_what_a_variable_names(prepared: Client) -> None:
    run = prepared.run
    assert run("name = 'text' + '.txt'\npolars.read_csv(name)").result == "b'a text\\n'"
    assert run("polars.read_parquet(['sub/' + 'more data.csv'])").result == (
        "[b'a,b\\n1,x\\n2,y\\n3,z\\n']"
    )
    assert run("h5py.File('same' + '.txt').text").result == "b'a text\\n'"


def test_a_query_in_sql_brings_its_files_and_sees_the_tables_of_its_frame(prepared: Client) -> None:
    code = """
def ask(name):
    table = 1
    query = f"select * from '{name}' where a = 'x.y'"
    return duckdb.sql(query), duckdb.DuckDBPyConnection().sql(query)
ask('helper_' + 'module.py')
"""
    found = "(b'VALUE = 5\\n', True)"
    assert prepared.run(code).result == f"({found}, {found})"


def test_a_name_in_the_cells_text_is_found_by_unknown_code_in_c(prepared: Client) -> None:
    code = """
import ctypes
libc = ctypes.CDLL(None)
libc.access(b"package/part.py", 4), libc.access(b"absent.py", 4)
"""
    assert prepared.run(code).result == "(0, -1)"


def test_what_readers_name_is_not_sent_if_it_may_not_be(prepared: Client) -> None:
    code = f"""
got = []
for path in {DECOYS!r}:
    got += [polars.read_csv(path), polars.read_parquet([path, path + "*"]), h5py.File(path).text]
    got += [duckdb.sql(f"select * from '{{path}}'")]
    !cat "{{path}}" 2>/dev/null
!grep -r "nobody may" ; rg "nobody may" . ; grep -r "nobody may" .. sub ignored
got += [polars.libc.fopen(b"id_rsa.pub", b"r")]
got += [polars._read("id_rsa"), polars._read(b"ignored.txt")]
print(got)
"""
    cell = prepared.run(code)
    assert cell.error is None
    assert SECRET not in cell.text


def test_cells_that_name_nothing_ask_nothing(full_folder: Path) -> None:
    """Counted in calls of the pool: a cell that asks for a file needs one more.

    So does one that is heard before its end: what it prints goes nowhere.
    """
    assert full_folder
    code = (
        "polars.read_csv(data)\nprint('ratio 0.5', 'data.frame', len('a.b'), file=nowhere)\n"
        "open('mine.csv','w')"
    )
    with (
        running_pool() as pool,
        running_kernel(pool.env, arguments=("--AcaKernel.files=on-demand",)) as kernel,
    ):
        made = (
            "open('mine.csv', 'w').close(); data = 'mine.csv'\nimport io; nowhere = io.StringIO()"
        )
        kernel.run(MADE + made)
        kernel.run("1")
        kernel.run("1")
        before = sum(pool.calls().values())
        kernel.run("1")
        plain = sum(pool.calls().values()) - before
        before = sum(pool.calls().values())
        assert kernel.run(code).status == "ok"
        assert sum(pool.calls().values()) - before == plain


def names(code: str, **variables: Any) -> list[str]:
    return list(cell_text.names_in(ast.parse(code), variables))


def test_names_in_a_text_are_arguments_of_calls_that_nobody_knows() -> None:
    own = types.FunctionType(compile("0", "", "eval"), {"__name__": "__main__"}, "load")
    assert names("load('a.csv', b'b.bin', ['c.c'], key=('d.d',), x=1)", load=own) == [
        *("a.csv", "b.bin", "c.c", "d.d"),
    ]
    assert names("import ext\next.sub.read('a.csv')") == ["a.csv"]
    # Known to open by Python, wrapped, no names, no call.
    assert not names("import pandas as pd\npd.read_csv('a.csv')")
    assert not names("from polars import scan_csv\nscan_csv('a.csv')")
    assert not names("open('a.csv'), print('a.csv'), ', '.join('a.csv')")
    assert not names("path = 'a.csv'")
    assert not names("load('https://x.org/a.csv', 'two\\nlines.csv', '1.5', 'a', f'{x}.csv')")


def test_readers_take_names_from_arguments_of_every_form() -> None:
    def found(kind: str, *arguments: Any, **named: Any) -> list[str]:
        return list(c_readers._names(kind, arguments, named))

    assert found("paths", Path("a"), ";", ["x"], schema="b.json") == ["a", "b.json"]
    assert found("paths", source=["a.csv", "b.csv"]) == ["a.csv", "b.csv"]
    assert found("paths", b"1,2", 5, None, "https://x.org/a.csv") == []
    sql = "select 'it''s', * from \"a.parquet\" join read_csv('d/*.csv') on 'x' = ''"
    assert found("sql", sql) == ["a.parquet", "d/*.csv"]
    assert found("beside", "zip://a/b.zip!c.shp", "/vsizip/a.zip/c.shp") == ["a/b.zip", "a.zip"]


def test_programs_find_what_their_lines_name(prepared: Client) -> None:
    assert prepared.run("!cat package/*.py | wc -l").text.strip() == "2"


def test_programs_find_what_their_scripts_name(corner: Path, shared: Turns) -> None:
    (corner / "lib").mkdir()
    (corner / "tests").mkdir()
    files = {
        "script.py": "import one, lib.two as t\nprint(one.VALUE, t.VALUE, open('data.txt').read())",
        "one.py": "VALUE = 1",
        "lib/__init__.py": "",
        "lib/two.py": "VALUE = open('deep/more.txt').read()",
        "data.txt": "data",
        "tests/test_a.py": "import one\ndef test_a(): assert open('made.txt').read() == 'm'",
        "made.txt": "m",
        "conftest.py": "",
        "Makefile": "all:\n\t@cat source.txt\n",
        "source.txt": "source",
        "secrets.txt": SECRET,
        "hidden.py": "print(open('secrets.txt').read(), open('ignored.txt').read())",
        "ignored.txt": SECRET,
        ".gitignore": "ignored.txt",
        "unasked.txt": "nobody opens it",
    }
    (corner / "deep").mkdir()
    for name, text in {**files, "deep/more.txt": "more"}.items():
        (corner / name).write_text(text)
    kernel = shared.take(f"%cd -q {corner.name}")
    assert kernel.run("!python script.py").told == "1 more data"
    cell = kernel.run("!python -m pytest -q -p no:cacheprovider tests")
    assert "1 passed" in cell.text, cell.text
    code = "import subprocess, sys\nsubprocess.run([sys.executable, '-c', 'import one'])"
    assert "returncode=0" in kernel.run(code).result
    if shutil.which("make"):
        assert kernel.run("!make").told == "source"
    assert SECRET not in kernel.run("!python hidden.py").text
    assert "unasked" not in kernel.run("%aca files").text
