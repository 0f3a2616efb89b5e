"""`!ls` shows what lies beside the notebook, and brings what is small."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from aca_kernel.remote.notebook_files.command_words import words_of
from aca_kernel.remote.notebook_files.listing import is_deep

from ...in_turn import Turns, turns
from ...support import Client
from ..conftest import kernel_in
from .conftest import SECRET, fill
from .test_many_files import COUNTING


@pytest.fixture(scope="module")
def shared(place: Path) -> Iterator[Turns]:
    with turns(lambda: kernel_in(place)) as one:
        yield one


@pytest.fixture
def kernel(corner: Path, shared: Turns) -> Client:
    """A kernel that counts, in a corner of the notebook's folder."""
    return shared.take(f"{COUNTING}\n%cd -q {corner.name}")


NOT_LISTED = "Beside the notebook on your machine, and not in this list until they are opened: "


def test_a_list_has_the_names_of_the_folder_and_nothing_that_is_withheld(
    bare: Path, shared: Turns
) -> None:
    fill(bare)
    (bare / "large.bin").write_bytes(bytes(3_000_000))
    (bare / "sub" / "deeper").mkdir()
    kernel = shared.take_anew()
    kernel.run("open('mine.txt', 'w').close()")
    cell = kernel.run("!ls")
    names = (
        "array.npy data.csv data.db data.parquet data.zip helper_module.py image.png mine.txt "
        "package same.txt sub text.txt"
    )
    assert set(cell.stream("stdout").split()) == set(names.split())
    assert cell.said == f"{NOT_LISTED}large.bin."
    found = kernel.run("names = !ls -A sub\nlist(names), open('sub/more data.csv').read(4)")
    assert found.result == "(['deeper', 'more data.csv'], 'a,b\\n')"
    # The path of a folder, another working directory, and other ways to run it.
    for code in ("!ls ./sub/", "!cd sub && ls .", "%ls sub", "import os\nos.system('ls sub')"):
        assert "more data.csv" in kernel.run(code).stream("stdout"), code
    listed = kernel.run("import os\nos.chdir('sub')\nx = !ls\nos.chdir('..')\nlist(x)")
    assert listed.result == "['deeper', 'more data.csv']"
    assert SECRET not in kernel.run("!cat $(find . -type f)").stream("stdout")
    # It is said once, and what has been opened stands in the list.
    assert kernel.run("open('large.bin').close()\n!ls").said == ""
    assert "large.bin" in kernel.run("!ls").stream("stdout").split()


def test_a_list_of_many_names_brings_so_many_bytes(corner: Path, kernel: Client) -> None:
    for number in range(14):
        (corner / f"{number:02}.bin").write_bytes(bytes(900_000))
    cell = kernel.run("!ls")
    assert len(cell.stream("stdout").split()) == 11
    left = ", ".join(f"{corner.name}/{number}.bin" for number in (11, 12, 13))
    assert cell.said == f"{NOT_LISTED}{left}."
    # Known by now, and not asked for again.
    kernel.run("asked.clear()")
    assert len(kernel.run("!ls").stream("stdout").split()) == 11
    assert "files_open" not in kernel.run("asked").text


def test_lists_of_all_levels_have_what_is_in_the_folders_in_it(
    corner: Path, kernel: Client
) -> None:
    # Of each folder only what one list brings is there.
    for top in ("one", "two", "three", "four"):
        for place in ("a/b/c", "d"):
            (corner / top / place).mkdir(parents=True)
            (corner / top / place / "leaf.txt").write_text(place)
        (corner / top / "d" / "large.bin").write_bytes(bytes(3_000_000))
        (corner / top / "d" / ".hidden.txt").write_text(SECRET)
        (corner / top / "more data.csv").write_text("a")
        (corner / top / "up").symlink_to("..")
    wanted = {"./a/b/c/leaf.txt", "./d/leaf.txt", "./more data.csv"}
    run = "import subprocess\nprint(subprocess.run('find . -type f', shell=True, cwd='two'))"
    for code in ("!cd one && find . -type f", run):
        lines = kernel.run(code).stream("stdout").splitlines()
        assert wanted <= set(lines), code
        assert not [one for one in lines if "hidden" in one or "large" in one]
    cell = kernel.run("!ls -R three")
    assert cell.stream("stdout").count("leaf.txt") == 2
    assert cell.said == f"{NOT_LISTED}{corner.name}/three/d/large.bin."
    assert kernel.run("!find three -name 'l*'").stream("stdout").count("leaf.txt") == 2
    # In reverse is another option: one level, as of all lists that do not say more.
    kernel.run("asked.clear()")
    assert "four" in kernel.run("!ls -r").stream("stdout").split()
    assert kernel.run("asked.count('files_list')").result == "1"


@pytest.mark.parametrize(
    ("arguments", "deep"),
    [
        (["ls"], False),
        (["ls -lR data"], True),
        (["ls --recursive"], True),
        ([b"cd data; /usr/bin/find . -name x | wc -l"], True),
        ([None, ["find", ".", "-type", "f"]], True),
        (["/bin/sh", ["/bin/sh", "-c", "LC_ALL=C sudo tree"], "data"], True),
        (["x=$(du -s)"], True),
        (["if true; then fd csv; fi"], True),
        (["echo find it in ls"], None),
        (["git find; git ls-files; finder; ./find.py; ls-R"], None),
        (["/bin/grep", ["grep", "find", "du"]], None),
    ],
)
def test_what_lists_is_told_by_the_command_that_a_line_begins_with(
    arguments: list[Any], deep: bool | None
) -> None:
    assert is_deep(arguments, list(words_of(arguments))) is deep
