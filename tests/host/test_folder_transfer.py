"""`%aca upload` and `%aca download` of folders: whole or not at all, and nothing that is hidden."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from aca_kernel.host.folder_transfer import open_folder, take_folder
from aca_kernel.remote.folder_stream import FolderEntry, PartialFolder, entries_of, pack
from aca_kernel.remote.paged_files import FileProblem

from ..in_turn import EMPTY, Turns, turns
from ..support import Client, running_kernel, running_pool
from .conftest import kernel_in
from .notebook_files.conftest import SECRET, fill
from .test_magic import sentence_of
from .test_transfer import HOSTILE, PYTHON

TREE = {
    "a.txt": b"a",
    "empty.txt": b"",
    "sub/large.bin": os.urandom(9_000_000),
    "sub/deeper/b.txt": b"b" * 5000,
    "two words.txt": b"words",
}


@pytest.fixture
def folder(bare: Path) -> Path:
    return bare


@pytest.fixture(scope="module")
def shared(place: Path) -> Iterator[Turns]:
    with turns(lambda: kernel_in(place, "--AcaKernel.files=off")) as one:
        yield one


@pytest.fixture
def here(folder: Path, shared: Turns) -> Client:
    """A kernel that gets no files by itself."""
    return shared.take(f"{EMPTY}\nimport os, shutil")


def make(folder: Path) -> None:
    for name, data in TREE.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    (folder / "nothing in it").mkdir()
    (folder / "a.txt").chmod(0o755)


def content(folder: Path) -> dict[str, bytes]:
    paths = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in paths}


def test_a_folder_goes_there_and_back(folder: Path, here: Client) -> None:
    make(folder / "data")
    cell = here.run("%aca upload data")
    assert cell.status == "ok", cell.text
    assert "data: 5 files: 9.0 MB in" in cell.text.replace("\n", " ")
    assert here.run("sorted(os.listdir('data'))").result == str(
        ["a.txt", "empty.txt", "nothing in it", "sub", "two words.txt"]
    )
    assert here.run("os.access('data/a.txt', os.X_OK)").result == "True"
    assert here.run("%aca download data/ back").status == "ok"
    assert content(folder / "back") == TREE
    assert (folder / "back" / "nothing in it").is_dir()
    assert os.access(folder / "back" / "a.txt", os.X_OK)
    # Into a folder that is there, under its own name.
    (folder / "results").mkdir()
    assert here.run("%aca download data results").status == "ok"
    assert content(folder / "results" / "data") == TREE
    assert sorted(os.listdir(folder)) == ["back", "data", "results"]


def test_a_folder_that_is_there_gets_files_replaced_only_by_force(
    folder: Path, here: Client
) -> None:
    (folder / "data").mkdir()
    (folder / "data" / "mine.txt").write_text("mine")
    (folder / "data" / "a.txt").write_text("old")
    here.run("os.makedirs('data/sub'); open('data/a.txt', 'w').write('new')")
    here.run("open('data/sub/b.txt', 'w').write('b')")
    assert "exists already" in sentence_of(here, "%aca download data")
    assert here.run("%aca download --force data").status == "ok"
    assert content(folder / "data") == {"mine.txt": b"mine", "a.txt": b"new", "sub/b.txt": b"b"}
    # What goes there replaces files, as a single one does.
    (folder / "data" / "a.txt").write_text("newer")
    here.run("open('data/theirs.txt', 'w').write('theirs')")
    assert here.run("%aca upload data").status == "ok"
    code = "open('data/a.txt').read(), open('data/theirs.txt').read()"
    assert here.run(code).result == "('newer', 'theirs')"


def test_no_link_in_a_folder_that_is_there_is_followed(folder: Path, here: Client) -> None:
    outside = folder.parent / "outside"
    outside.mkdir()
    (folder / "data").mkdir()
    (folder / "data" / "sub").symlink_to(outside)
    here.run("os.makedirs('data/sub'); open('data/sub/b.txt', 'w').write('b')")
    assert "in the way" in sentence_of(here, "%aca download --force data")
    assert os.listdir(outside) == []
    assert sorted(os.listdir(folder)) == ["data"]


def test_nothing_hidden_secret_ignored_or_linked_goes_along(folder: Path, here: Client) -> None:
    data = folder / "data"
    data.mkdir()
    fill(data)
    cell = here.run("%aca upload data")
    assert cell.status == "ok"
    assert "left out: hidden, ignored" in cell.text.replace("\n", " ")
    code = (
        "found = {}\nfor place, _, names in os.walk('data'):\n"
        "    for name in names: found[os.path.join(place, name)] = open("
        "os.path.join(place, name), 'rb').read()\n"
        f"[{SECRET!r}.encode() in one for one in found.values()].count(True), len(found)"
    )
    assert here.run(code).result == "(0, 12)"


def test_what_the_environment_calls_a_path_is_checked(folder: Path, here: Client) -> None:
    here.run("os.makedirs('data/.git/hooks')")
    for name in (".git/hooks/post-commit", ".env", "id_rsa", "fine.txt"):
        here.run(f"open('data/{name}', 'w').write('{name}')")
    cell = here.run("%aca download data")
    assert cell.status == "ok"
    assert "left out" in cell.text
    assert content(folder / "data") == {"fine.txt": b"fine.txt"}
    names = ["../out.txt", "/tmp/out.txt", "a/../../out.txt", "", ".", "a//b", "a\\b", "a\0b"]
    listing = json.dumps([[name, False, 1, 0, False] for name in [*names, "b"]])
    code = f"""
with asking() as kernel:
    kernel.send("download", {listing!r}.encode(), path="data", destination="x", force=False,
                size=1, is_folder=True)
    print(kernel.receive().head["without"])
for listing in ("5", "[5]", '[["a", false, -1, 0, false]]', "x", "[[1, 2, 3, 4, 5]]"):
    with asking() as kernel:
        kernel.send("download", listing.encode(), path="data", destination="y", force=False,
                    size=1, is_folder=True)
        try:
            print(kernel.receive().head)
        except FileProblem as error:
            print("refused:", error)
"""
    lines = "%aca download data x\n%aca download data y\n"
    text = here.run(f"import contextlib\n{HOSTILE}{code}\nif False:\n    pass\n{lines}").text
    assert str(list(range(len(names)))) in text
    assert text.count("refused: The list") == 5
    assert "out.txt" not in {path.name for path in folder.parent.rglob("*")}


def test_a_line_that_names_another_folder_permits_nothing(folder: Path, here: Client) -> None:
    make(folder / "data")
    make(folder / "other")
    code = "print(attempt('upload', path='data'), attempt('upload', path='other/../data'))\n"
    text = here.run(HOSTILE + code + "%aca upload other").text
    assert text.count("refused: ") == 2


def test_an_interrupt_leaves_nothing(folder: Path) -> None:
    make(folder / "data")
    (folder / "data" / "large.bin").write_bytes(os.urandom(40_000_000))
    with running_pool() as pool, running_kernel(pool.env) as kernel:
        kernel.run("import os")
        pool.fault(kind="delay", seconds=0.3, every=1, tool=PYTHON)
        msg_id = kernel.send("%aca upload data")
        kernel.wait_for_stream(msg_id, "%")
        kernel.interrupt()
        cell = kernel.collect(msg_id)
        assert cell.error is not None
        assert cell.error["ename"] == "KeyboardInterrupt"
        pool.clear_faults()
        assert kernel.run("os.listdir()").result == "[]"


# -- without a kernel ----------------------------------------------------------------


def test_a_file_that_changes_while_it_is_read_is_not_sent(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "a.txt").write_text("a")
    source, _ = open_folder(str(tmp_path / "data"), "data")
    (tmp_path / "data" / "a.txt").write_text("longer")
    with pytest.raises(FileProblem, match="has changed while"):
        source.read(100)
    source.close()


def test_what_is_not_as_announced_leaves_nothing(tmp_path: Path) -> None:
    entries = [FolderEntry("a", is_folder=False, size=3), FolderEntry("b", is_folder=True)]
    for data, says in ((b"ab", "did not arrive"), (b"abcd", "More came"), (b"abc", "did not")):
        target = PartialFolder(str(tmp_path / "x"), "x", entries, may_replace=False)
        with pytest.raises(FileProblem, match=says):
            _fill_and_commit(target, data)
        target.discard()
        assert os.listdir(tmp_path) == []


def _fill_and_commit(target: PartialFolder, data: bytes) -> None:
    target.write(data)
    target.commit("0" * 64)


def test_a_name_twice_or_a_file_for_a_folder_is_refused(tmp_path: Path) -> None:
    for names in (("a", "a"), ("a", "a/b")):
        entries = [FolderEntry(name, is_folder=False, size=0) for name in names]
        with pytest.raises(FileProblem):
            take_folder(str(tmp_path / "x"), pack(entries), may_replace=False)
        assert os.listdir(tmp_path) == []


def test_what_is_no_file_is_not_listed(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to("/etc/hostname")
    (tmp_path / "a").write_text("a")
    assert [one.path for one in entries_of(str(tmp_path))] == ["a"]
