"""What code does to files that have not been sent: the same as in ipykernel, where they lie."""

from __future__ import annotations

import os
import shutil
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from ...support import Cell, Client, running_kernel
from ..conftest import inside

# A cell, or what the user does to the folder meanwhile.
Step = str | Callable[[], object]


class Pair:
    """Two kernels in folders with the same files: one of ours, and ipykernel."""

    def __init__(self, kernels: dict[Path, Client]) -> None:
        self.kernels = kernels

    def fill(self, name: str, files: dict[str, str]) -> None:
        """Put files into a folder below the notebook's, and work in it."""
        for root in self.kernels:
            for path, text in files.items():
                whole = root / name / path
                if path.endswith("/"):
                    whole.mkdir(parents=True)
                    continue
                whole.parent.mkdir(parents=True, exist_ok=True)
                if text.startswith("-> "):
                    whole.symlink_to(text[3:])
                else:
                    whole.write_text(text)

    def check(self, name: str, *steps: Step) -> list[Any]:
        """Run cells in both, in a folder of this name; return what they have shown."""
        self.run(f"os.chdir(os.path.join(ROOT, {name!r}))")
        return [self.run(step) if isinstance(step, str) else self.do(name, step) for step in steps]

    def do(self, name: str, step: Callable[[], object]) -> None:
        for root in self.kernels:
            with inside(root / name):
                step()

    def run(self, code: str) -> Any:
        shown = [_shown(kernel.run(code)) for kernel in self.kernels.values()]
        assert shown[0] == shown[1], code
        return shown[0]


def _shown(cell: Cell) -> Any:
    error = cell.error or {}
    return cell.result, cell.text, error.get("ename"), error.get("evalue")


BEGIN = """
import glob, os, shutil
from pathlib import Path
ROOT = os.getcwd()
def tree(path):
    return sorted((one, sorted(folders), sorted(names)) for one, folders, names in os.walk(path))
def read(path):
    with open(path) as file:
        return file.read()
"""


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    """Kernels for the tests of this module, each of which has a folder of its own."""
    ours, theirs = (tmp_path_factory.mktemp(name) for name in ("ours", "theirs"))
    with inside(ours), running_kernel(arguments=("--AcaKernel.files=on-demand",)) as first:
        os.chdir(theirs)
        with running_kernel(name="python3") as second:
            found = Pair({ours: first, theirs: second})
            found.run(BEGIN)
            yield found


def test_a_folder_is_read_by_a_library_that_lists_it_in_c(pair: Pair) -> None:
    import pandas as pd

    frame = pd.DataFrame({"a": [1, 2, 3], "b": ["x", "y", "z"]})
    for root in pair.kernels:
        for name in "abcd":
            for year in (1, 2):
                folder = root / "sets" / name / f"y={year}"
                folder.mkdir(parents=True)
                frame.to_parquet(folder / "p.parquet")
    shown = pair.check(
        "sets",
        "import pandas, pyarrow.dataset, pyarrow.parquet",
        "pandas.read_parquet('a').shape",
        "pyarrow.dataset.dataset('b').to_table().shape",
        # Of a folder that has been looked at.
        "os.path.isdir('c'), tree('c')",
        "pyarrow.parquet.read_table('c/').shape",
        "pyarrow.parquet.ParquetDataset('d').read().shape",
        lambda: frame.to_parquet("d/y=2/q.parquet"),
        "pyarrow.parquet.ParquetDataset('d').read().shape",
        "pandas.read_parquet('none')",
    )
    assert [one[0] for one in shown[-4:] if one] == ["(6, 3)", "(9, 3)", None]
    assert shown[1][0] == "(6, 3)"


def test_a_folder_is_moved_with_what_is_in_it(pair: Pair) -> None:
    files = {f"{name}/{path}": path for name in "abcd" for path in ("1.txt", "in/2.txt")}
    pair.fill("moved", {**files, "out/": ""})
    pair.check(
        "moved",
        "shutil.move('a', 'out/a'), tree('out'), read('out/a/in/2.txt')",
        "os.rename('b', 'bb'); tree('bb'), read('bb/1.txt')",
        "sorted(os.listdir('c')); Path('c').rename('cc'); tree('cc'), read('cc/in/2.txt')",
        "os.path.exists('a'), os.path.exists('b/1.txt'), sorted(os.listdir())",
        "os.makedirs('b'); os.listdir('b')",
        "sorted(os.listdir())",
    )


def test_a_removal_that_fails_removes_nothing(pair: Pair) -> None:
    files = {f"{name}/{path}.txt": path for name in "abcdef" for path in "xy"}
    pair.fill("failing", {**files, **{f"{one}.csv": one for one in "stuv"}, "empty/": ""})
    pair.check(
        "failing",
        "os.remove('a')",
        "read('a/x.txt'), os.listdir('b') and os.rmdir('b')",
        "read('b/y.txt')",
        "os.rmdir('c')",
        "read('c/x.txt'); os.remove('c/x.txt'); os.rmdir('c')",
        "os.remove('c/y.txt'); os.rmdir('c'); os.path.exists('c')",
        "os.mkdir('c'); os.listdir('c')",
        "os.rmdir('empty'); os.path.exists('empty'), sorted(os.listdir())",
        "os.remove('none')",
        "read('s.csv')",
        "os.rename('s.csv', 'none/s.csv')",
        lambda: Path("s.csv").write_text("edited"),
        "read('s.csv')",
        "os.rename('t.csv', 'none/t.csv')",
        "read('t.csv')",
        "os.rename('u.csv', 'd')",
        "read('u.csv'), sorted(os.listdir('d'))",
        "os.rename('d', 'e')",
        "os.rename('d', 'v.csv')",
        "sorted(os.listdir('e')), read('e/x.txt'), read('v.csv')",
        "shutil.rmtree('u.csv')",
        "read('u.csv')",
        "shutil.rmtree('f'); os.path.exists('f/x.txt'), sorted(os.listdir())",
        "os.makedirs('f/g'); tree('f')",
    )


def test_a_wrong_call_is_told_as_by_the_function_itself(pair: Pair) -> None:
    pair.fill("wrong", {"a.txt": "a"})
    shown = pair.check(
        "wrong",
        "os.stat()",
        "os.stat('a.txt', 2, 3)",
        "os.lstat(3.5)",
        "os.listdir('.', 2)",
        "os.scandir('.', 2)",
        "os.access('a.txt')",
        "os.access('a.txt', 0, to=1)",
        "os.readlink()",
        "os.open('a.txt')",
        "os.remove()",
        "os.rename('a.txt')",
        "os.rmdir('.', to=1)",
        "os.mkdir()",
    )
    assert {error for _, _, error, _ in shown} == {"TypeError"}


def test_two_files_are_not_the_same(pair: Pair) -> None:
    pair.fill("same", {"a.txt": "a", "b.txt": "b", "c.txt": "c", "d.txt": "d"})
    pair.check(
        "same",
        "os.path.samefile('a.txt', 'b.txt'), os.path.samefile('a.txt', './a.txt')",
        "shutil.copy('a.txt', 'b.txt'), read('b.txt')",
        "len({one.inode() for one in os.scandir()}), os.stat('c.txt').st_ino != 0",
        "os.stat('d.txt').st_dev == os.stat('.').st_dev",
        "shutil.copyfile('c.txt', 'd.txt'), read('d.txt')",
    )


def test_what_a_command_removes_stays_away(pair: Pair) -> None:
    pair.fill("shell", {"a.txt": "a", "b.txt": "b", "c/x.txt": "x", "c/y.txt": "y"})
    pair.check(
        "shell",
        "!rm a.txt",
        "os.path.exists('a.txt'), 'a.txt' in os.listdir()",
        "open('a.txt')",
        "!mv b.txt bb.txt\nos.path.exists('b.txt'), read('bb.txt')",
        "read('c/x.txt')",
        "!rm -r c",
        "os.path.exists('c/y.txt'), os.path.isdir('c'), sorted(os.listdir())",
        "open('a.txt', 'w').write('new'); read('a.txt'), os.path.getsize('a.txt')",
    )


def test_commands_that_take_folders_get_all_of_them(pair: Pair) -> None:
    files = {f"{name}/{path}": path for name in "abc" for path in ("1.txt", "in/2.txt")}
    pair.fill("commands", files)
    pair.check(
        "commands",
        "!cp -r a aa && cat aa/in/2.txt",
        "!tar cf b.tar b && tar tf b.tar | sort",
        "!mv c cc; cat cc/1.txt",
        "tree('cc'), os.path.exists('c')",
    )


def test_commands_that_search_folders_read_all_of_them(pair: Pair) -> None:
    files = {f"{name}/{path}": path for name in "abc" for path in ("1.txt", "in/2.txt")}
    pair.fill("searching", {**files, "top.txt": "2.txt"})
    pair.check(
        "searching",
        "!grep -r 1.txt a | sort",
        "!grep -rl 2.txt | sort",
        "!diff -r a b && echo same",
    )
    pair.fill("packing", files)
    pair.check("packing", "!tar cf ../whole.tar . && tar tf ../whole.tar | grep txt | sort")


def test_modules_are_found_where_python_is_told_to_look(pair: Pair) -> None:
    pair.fill("modules", {"lib/in_lib.py": "VALUE = 1", "lib/in_pack/__init__.py": "VALUE = 2"})
    for root in pair.kernels:
        with zipfile.ZipFile(root / "modules" / "packed.zip", "w") as archive:
            archive.writestr("in_zip.py", "VALUE = 3")
    pair.check(
        "modules",
        "import sys; sys.path.insert(0, 'lib'); sys.path.insert(0, 'packed.zip')",
        "import in_lib, in_pack, in_zip; in_lib.VALUE, in_pack.VALUE, in_zip.VALUE",
        lambda: Path("lib/later.py").write_text("VALUE = 4"),
        "import later; later.VALUE",
        "import in_none",
        "sys.path.append('nowhere'); import colorsys",
    )


def test_what_is_there_is_not_made_again(pair: Pair) -> None:
    pair.fill("there", {"a.txt": "a", "b.txt": "b", "c.txt": "c", "d/x": "x", "e/x": "x"})
    pair.check(
        "there",
        "open('a.txt', 'x')",
        "os.open('b.txt', os.O_CREAT | os.O_EXCL)",
        "Path('c.txt').touch(exist_ok=False)",
        "os.mkdir('d')",
        "os.makedirs('e')",
        "Path('c.txt').mkdir()",
        "Path('d').mkdir()",
        "os.makedirs('d', exist_ok=True); Path('e').mkdir(exist_ok=True); tree('.')",
        "os.link('a.txt', 'b.txt')",
        "os.symlink('a.txt', 'c.txt')",
        "open('new.txt', 'x').close(); os.mkdir('new')",
        "os.open('newer', os.O_CREAT | os.O_EXCL) > 0",
        "read('a.txt'), read('b.txt'), sorted(os.listdir())",
    )


def test_what_the_user_removes_and_replaces(pair: Pair) -> None:
    files = {f"g/{n}.csv": str(n) for n in range(4)} | {"deep/er/x.txt": "x", "kept/x.txt": "x"}
    pair.fill("followed", {**files, "file": "a file", "folder/x.txt": "x", "into": "a file"})

    def replace() -> None:
        os.unlink("file")
        os.mkdir("file")
        Path("file/new.txt").write_text("new")
        os.unlink("into")
        os.mkdir("into")
        Path("into/new.txt").write_text("new")
        shutil.rmtree("folder")
        Path("folder").write_text("now a file")

    pair.check(
        "followed",
        "[read(path) for path in sorted(glob.glob('g/*.csv'))]",
        lambda: os.unlink("g/2.csv"),
        "[read(path) for path in sorted(glob.glob('g/*.csv'))]",
        lambda: os.unlink("g/1.csv"),
        "tree('g'), sorted(map(str, Path('g').iterdir()))",
        lambda: Path("g/3.csv").write_text("longer"),
        "sorted((one.name, one.stat().st_size) for one in os.scandir('g'))",
        lambda: shutil.rmtree("g"),
        "os.path.exists('g'), os.path.isdir('g')",
        "os.listdir('g')",
        "tree('deep'), read('deep/er/x.txt')",
        lambda: shutil.rmtree("deep"),
        "os.path.exists('deep/er'), glob.glob('deep/**', recursive=True), 'deep' in os.listdir()",
        "read('file'), read('folder/x.txt'), read('into')",
        replace,
        "os.listdir('file'), read('file/new.txt')",
        "read('folder')",
        "read('into/new.txt')",
        "[(os.path.isdir(one), os.path.isfile(one)) for one in ('file', 'folder', 'into')]",
    )
    # What the code has put into a folder stays in it.
    ours = next(iter(pair.kernels.values()))
    ours.run("read('kept/x.txt'), open('kept/mine.txt', 'w').write('mine')")
    pair.do("followed", lambda: shutil.rmtree("kept"))
    assert ours.run("os.listdir('kept'), read('kept/mine.txt')").result == "(['mine.txt'], 'mine')"


def test_links_to_folders_are_links(pair: Pair) -> None:
    files = {f"run{n}/root": "-> .." for n in range(3)}
    files |= {f"run{n}/next": f"-> ../run{(n + 1) % 3}" for n in range(3)}
    files |= {"data/v1/a.csv": "1", "data/v1/in/b.csv": "2", "data/latest": "-> v1"}
    pair.fill("links", {**files, "data/v2/a.csv": "3", "other": "-> data/v2"})

    def turn() -> None:
        os.unlink("data/latest")
        os.symlink("v2", "data/latest")

    pair.check(
        "links",
        "os.readlink('run1/root'), Path('run1/next').readlink()",
        "os.readlink('data')",
        "os.readlink('none')",
        "sum(1 for _ in os.walk('.'))",
        "sorted((one.name, one.is_symlink(), one.is_dir(), one.is_dir(follow_symlinks=False)) "
        "for one in os.scandir('run0'))",
        "tree('data'), sorted(map(str, Path('data').rglob('*.csv')))",
        "read('data/latest/in/b.csv'), sorted(os.listdir('data/latest'))",
        "os.path.islink('run1/next'), Path('other').is_symlink(), os.readlink('data/latest')",
        "os.path.realpath('other') == os.path.realpath('data/v2'), os.path.isdir('run2/root')",
        "read('run0/next/root/other/a.csv'), read('run2/root/data/latest/a.csv')",
        turn,
        "read('data/latest/a.csv'), os.path.exists('data/latest/in/b.csv')",
        "os.unlink('other'); os.path.lexists('other'), read('data/v2/a.csv')",
        "shutil.copytree('data', 'copied', symlinks=True); tree('copied')",
        "sorted(os.listdir('copied'))",
        "shutil.copytree('data', 'double'); tree('double')",
        "shutil.rmtree('data/latest')",
        "open('data/latest/mine.txt', 'w').write('x'); sorted(os.listdir('data/v2'))",
    )


def test_smaller_things(pair: Pair) -> None:
    pair.fill("small", {"a.txt": "a", "b.txt": "b", "d/x": "x", "e/x": "x", "empty/": ""})
    pair.check(
        "small",
        "os.access('a.txt', os.W_OK), os.access('a.txt', os.X_OK), os.access('e', os.X_OK)",
        "os.path.exists('a.txt/'), os.path.isdir('d/'), os.path.isdir('empty/')",
        "os.stat('a.txt/')",
        "open('a.txt/')",
        "os.symlink('b.txt', 'soft'); os.path.exists('soft'), read('soft')",
        "os.symlink('../small/a.txt', 'd/soft'); read('d/soft')",
        "open('empty')",
        "open('e')",
        "os.chmod('empty', 0o755); os.listdir('empty')",
    )


def test_names_in_another_directory_are_none_of_the_notebooks(pair: Pair) -> None:
    pair.fill("elsewhere", {**dict.fromkeys("abcdefghi", "theirs"), "sub/x": "x"})
    pair.check(
        "elsewhere",
        "import tempfile; other = tempfile.mkdtemp(); fd = os.open(other, os.O_RDONLY)",
        "new = os.O_CREAT | os.O_EXCL; os.close(os.open('a', new, dir_fd=fd)); os.listdir(fd)",
        "os.open('b', os.O_RDONLY, dir_fd=fd)",
        "os.mkdir('sub', dir_fd=fd); os.rmdir('sub', dir_fd=fd); os.listdir(fd)",
        "os.rename('a', 'c', src_dir_fd=fd, dst_dir_fd=fd); os.listdir(fd)",
        "os.replace('c', 'd', src_dir_fd=fd, dst_dir_fd=fd); os.unlink('d', dir_fd=fd)",
        "os.symlink('nowhere', 'e', dir_fd=fd); os.readlink('e', dir_fd=fd)",
        "os.link('e', 'f', src_dir_fd=fd, dst_dir_fd=fd, follow_symlinks=False); os.listdir(fd)",
        "os.unlink('e', dir_fd=fd); os.unlink('f', dir_fd=fd); os.unlink('g', dir_fd=fd)",
        "os.stat('g', dir_fd=fd)",
        "os.chmod('h', 0o600, dir_fd=fd)",
        "os.utime('h', dir_fd=fd)",
        "os.access('h', os.R_OK, dir_fd=fd), os.listdir(fd)",
        "os.makedirs(other + '/sub/x'); shutil.rmtree(other); os.path.exists(other)",
        # Nothing of it was about the notebook's.
        "read('a'), read('sub/x'), sorted(os.listdir())",
    )


def test_names_in_the_open_folder_of_the_notebook_are(pair: Pair) -> None:
    pair.fill("opened", {**dict.fromkeys("abcdefghi", "theirs"), "sub/x": "x"})
    pair.check(
        "opened",
        "fd, root = os.open('.', os.O_RDONLY), os.open(ROOT, os.O_RDONLY); os.chdir('/')",
        "os.read(os.open('a', os.O_RDONLY, dir_fd=fd), 9)",
        "os.read(os.open('opened/sub/x', os.O_RDONLY, dir_fd=root), 9)",
        "os.open('b', os.O_CREAT | os.O_EXCL, dir_fd=fd)",
        "os.mkdir('sub', dir_fd=fd)",
        "os.stat('c', dir_fd=fd).st_size, os.lstat('c', dir_fd=fd).st_size",
        "os.rename('d', 'dd', src_dir_fd=fd, dst_dir_fd=fd); os.stat('dd', dir_fd=fd).st_size",
        "os.link('e', 'b', src_dir_fd=fd, dst_dir_fd=fd)",
        "os.symlink('e', 'b', dir_fd=fd)",
        "os.chmod('f', 0o600, dir_fd=fd)",
        "os.unlink('opened/g', dir_fd=root); os.stat('g', dir_fd=fd)",
        # A directory does not matter for a whole path.
        "os.stat(ROOT + '/opened/h', dir_fd=root).st_size",
        # A number that no thread opens something under meanwhile.
        "os.dup2(fd, 900); os.close(fd), os.close(root), os.close(900)",
        "os.stat('i', dir_fd=900)",
    )
