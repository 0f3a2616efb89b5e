"""Files that change: on the user's machine, in the environment, on both sides; and its end."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from ...in_turn import Turns, turns
from ...support import Client, running_kernel, running_pool
from ..conftest import kernel_in

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
def fresh_kernel(bare: Path, shared: Turns) -> Client:
    """A kernel to which nothing was sent."""
    return shared.take_anew()


def test_the_next_cell_sees_what_has_changed_on_the_users_machine(
    corner: Path, kernel: Client
) -> None:
    (corner / "data.txt").write_text("one")
    (corner / "helper.py").write_text("VALUE = 1\n")
    kernel.run("import helper, importlib, os")
    assert kernel.run("open('data.txt').read(), helper.VALUE").result == "('one', 1)"
    (corner / "data.txt").write_text("longer")
    (corner / "helper.py").write_text("VALUE = 1000\n")
    assert kernel.run("os.path.getsize('data.txt'), open('data.txt').read()").result == (
        "(6, 'longer')"
    )
    assert kernel.run("importlib.reload(helper).VALUE").result == "1000"
    (corner / "helper.py").write_text("VALUE = 10\n")
    reload = "%load_ext autoreload\n%autoreload 2"
    kernel.run(reload)
    (corner / "helper.py").write_text("VALUE = 20000\n")
    assert kernel.run("helper.VALUE").result == "20000"
    # In a cell that goes on, within a second or so.
    (corner / "data.txt").write_text("a")
    code = (
        "import time\nopen('data.txt').read()\nprint('begun')\ndeadline = time.time() + 20\n"
        "while open('data.txt').read() != 'b' and time.time() < deadline: time.sleep(0.05)\n"
        "open('data.txt').read()"
    )
    msg_id = kernel.send(code)
    kernel.wait_for_stream(msg_id, "begun")
    (corner / "data.txt").write_text("b")
    assert kernel.collect(msg_id).result == "'b'"


def test_a_file_that_is_gone_is_gone(corner: Path, kernel: Client) -> None:
    (corner / "data.txt").write_text("one")
    (corner / "moved.txt").write_text("two")
    assert kernel.run("open('data.txt').read() + open('moved.txt').read()").result == "'onetwo'"
    os.unlink("data.txt")
    (corner / ".gitignore").write_text("moved.txt\n")
    cell = kernel.run("open('data.txt')")
    assert cell.error is not None
    assert cell.error["evalue"] == "[Errno 2] No such file or directory: 'data.txt'"
    assert kernel.run("import os; os.path.exists('moved.txt'), os.listdir()").result == (
        "(False, [])"
    )


def test_a_copy_that_code_has_written_to_is_the_codes(place: Path, shared: Turns) -> None:
    (place / "kept.txt").write_text("mine")
    (place / "log.txt").write_text("mine\n")
    kernel = shared.take("")
    kernel.run("open('kept.txt').read()\nwith open('kept.txt', 'w') as f: f.write('theirs')")
    kernel.run("with open('log.txt', 'a') as f: f.write('theirs\\n')")
    assert kernel.run("open('log.txt').read()").result == "'mine\\ntheirs\\n'"
    assert kernel.run("open('kept.txt').read()").said == ""
    (place / "kept.txt").write_text("mine again")
    cell = kernel.run("open('kept.txt').read()")
    assert cell.result == "'theirs'"
    assert cell.said == (
        "kept.txt has changed on your machine, and the code has changed its copy here: the "
        "copy is kept. `%aca upload kept.txt` replaces it by yours."
    )
    cell = kernel.run("open('kept.txt').read()")
    assert (cell.result, cell.said) == ("'theirs'", "")
    assert kernel.run("%aca upload kept.txt\nopen('kept.txt').read()").result == "'mine again'"
    assert (place / "kept.txt").read_text() == "mine again"
    assert (place / "log.txt").read_text() == "mine\n"


def test_code_removes_and_renames_as_if_the_files_were_here(corner: Path, kernel: Client) -> None:
    (corner / "sub").mkdir()
    for name in ("one.txt", "two.txt", "three.txt", "sub/four.txt"):
        (corner / name).write_text(name)
    code = """
import os, shutil
os.remove('one.txt')
os.rename('two.txt', 'renamed.txt')
open('three.txt').read()
os.unlink('three.txt')
shutil.rmtree('sub')
os.makedirs('made/of')
os.path.exists('one.txt'), open('renamed.txt').read(), sorted(os.listdir())
"""
    assert kernel.run(code).result == "(False, 'two.txt', ['made', 'renamed.txt'])"
    for name in ("one.txt", "two.txt", "three.txt", "sub/four.txt"):
        cell = kernel.run(f"open({name!r})")
        assert cell.error is not None
        assert cell.error["ename"] == "FileNotFoundError"
    # Written anew, it is the code's.
    assert kernel.run("open('one.txt', 'w').write('x'); open('one.txt').read()").result == "'x'"
    assert sorted(os.listdir()) == ["one.txt", "sub", "three.txt", "two.txt"]
    assert (corner / "one.txt").read_text() == "one.txt"


def test_code_writes_into_a_folder_that_is_only_there(corner: Path, kernel: Client) -> None:
    (corner / "results").mkdir()
    code = "open('results/x.txt', 'w').write('x'); import os; os.listdir('results')"
    assert kernel.run(code).result == "['x.txt']"
    assert kernel.run("os.mkdir('results/deeper'); os.listdir('results')").status == "ok"
    assert os.listdir("results") == []


def test_another_environment_gets_files_again(folder: Path) -> None:
    (folder / "data.txt").write_text("mine")
    with (
        running_pool(isolation="process") as pool,
        running_kernel(pool.env, arguments=ON_DEMAND) as kernel,
    ):
        read = "open('data.txt').read()"
        assert kernel.run(read).result == "'mine'"
        pool.kill_environments()
        kernel.run("1")  # its end may be what this finds out
        assert kernel.run(read).result == "'mine'"
        # A new process in the same environment knows what is a copy.
        kernel.run("import os; os.kill(os.getpid(), 9)")
        (folder / "data.txt").write_text("mine, later")
        assert kernel.run(read).result == "'mine, later'"


def test_a_checkpoint_has_what_code_has_changed_and_no_copies(
    bare: Path, fresh_kernel: Client
) -> None:
    (bare / "copy.txt").write_text("mine")
    (bare / "changed.txt").write_text("mine")
    with open("large.bin", "wb") as file:
        file.truncate(3_000_000)
    fresh_kernel.run("data = open('copy.txt').read(), len(open('large.bin', 'rb').read())")
    fresh_kernel.run("with open('changed.txt', 'a') as f: f.write(', theirs')")
    fresh_kernel.run("with open('new.txt', 'w') as f: f.write('theirs')")
    told = fresh_kernel.run("%aca restart --keep").text
    assert "2 files" in told, told
    (bare / "copy.txt").write_text("mine, later")
    (bare / "changed.txt").write_text("changed meanwhile")
    code = "data, [open(n + '.txt').read() for n in ('copy', 'changed', 'new')]"
    assert fresh_kernel.run(code).result == (
        "(('mine', 3000000), ['mine, later', 'mine, theirs', 'theirs'])"
    )


def test_a_checkpoint_has_no_folders_and_links_that_are_there(
    bare: Path, fresh_kernel: Client
) -> None:
    (bare / "data" / "v1").mkdir(parents=True)
    (bare / "data" / "v1" / "a.txt").write_text("one")
    (bare / "empty").mkdir()
    (bare / "data" / "latest").symlink_to("v1")
    fresh_kernel.run("import os; found = sorted(os.walk('.')), open('data/latest/a.txt').read()")
    told = fresh_kernel.run("%aca restart --keep").text
    assert " and 0 files " in told, told
    os.unlink("data/latest")
    os.rename("data/v1", "data/v2")
    os.symlink("v2", "data/latest")
    code = "os.path.exists('data/v1'), open('data/latest/a.txt').read(), os.listdir('empty')"
    assert fresh_kernel.run(code).result == "(False, 'one', [])"


def test_the_list_tells_what_was_sent_and_what_was_written(
    bare: Path, fresh_kernel: Client
) -> None:
    (bare / "data.txt").write_text("mine")
    (bare / "changed.txt").write_text("mine")
    assert fresh_kernel.run("%aca files").text == (
        "Sent from your machine: nothing (files = on-demand)\n"
        "Written here: nothing (`%aca download PATH` brings one)\n"
    )
    fresh_kernel.run("open('data.txt').read()\nwith open('changed.txt', 'a') as f: f.write('!')")
    fresh_kernel.run("with open('new.bin', 'wb') as f: f.write(bytes(1500))")
    assert fresh_kernel.run("%aca files").text == (
        "Sent from your machine: 2 files, 8 bytes (files = on-demand)\n"
        "  changed.txt  4 bytes\n"
        "  data.txt     4 bytes\n"
        "Written here: 2 files, 1.5 kB (`%aca download PATH` brings one)\n"
        "  changed.txt  5 bytes\n"
        "  new.bin      1.5 kB\n"
    )


def test_what_was_sent_is_known_after_the_journal_was_removed_and_a_death(
    bare: Path, fresh_kernel: Client
) -> None:
    for name in ("data.txt", "changed.txt", "removed.txt"):
        (bare / name).write_text("mine")
    fresh_kernel.run("open('data.txt').read()\nwith open('changed.txt', 'a') as f: f.write('!')")
    fresh_kernel.run("import os; os.remove('removed.txt')")
    # The folder of what runs in the environment, by its own name.
    own = "os.path.dirname(sys.modules['_aca_remote'].__path__[0])"
    fresh_kernel.run(f"import shutil, sys\nshutil.rmtree({own})")
    fresh_kernel.run("import os; os._exit(1)")
    (bare / "data.txt").write_text("mine, later")
    found = "[os.path.exists(one + '.txt') for one in ('data', 'changed', 'removed')]"
    assert fresh_kernel.run(f"import os; {found}").result == "[True, True, False]"
    assert fresh_kernel.run("open('data.txt').read()").result == "'mine, later'"
    written = fresh_kernel.run("%aca files").text.partition("Written here")[2]
    assert "changed.txt" in written
    assert "data.txt" not in written
