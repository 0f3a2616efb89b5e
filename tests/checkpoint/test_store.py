"""Where checkpoints are kept, and the commands that list and delete them."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import stat
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from aca_kernel.checkpoint import store
from aca_kernel.checkpoint.place import directory
from aca_kernel.checkpoint.store import Store, entries
from aca_kernel.errors import CheckpointDamaged, CheckpointFailed

MANIFEST: dict[str, Any] = {"taken": 1_700_000_000.0, "named": 3}


@pytest.fixture(autouse=True)
def _data_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JUPYTER_DATA_DIR", str(tmp_path))


def stored(name: str = "one", notebook: str = "/a/b.ipynb") -> Store:
    made = Store(name, notebook)
    made.add([("p", b"1"), ("q", b"2")])
    made.commit(MANIFEST, {"p", "q"})
    return made


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(Path(sys.executable).with_name("aca-kernel")), "checkpoints", *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def test_what_was_stored_is_there_and_what_is_not_needed_any_more_is_gone() -> None:
    one = stored()
    assert one.manifest() == MANIFEST
    one.add([("r", b"3")])
    one.commit({**MANIFEST, "named": 4}, {"p", "r"})
    assert sorted(one.names()) == ["p", "r"]
    assert list(one.pieces(["r", "p"])) == [("r", b"3"), ("p", b"1")]
    one.close(keep=False)
    assert list(one.path.parent.iterdir()) == []


def test_a_checkpoint_that_is_not_whole_leaves_the_one_before() -> None:
    one = stored()
    with pytest.raises(CheckpointFailed, match="did not arrive"):
        one.commit({**MANIFEST, "named": 9}, {"p", "never came"})
    assert one.manifest() == MANIFEST
    assert sorted(one.names()) == ["p", "q"]


def test_a_file_is_at_most_twice_as_large_as_what_is_in_it() -> None:
    piece = bytes(1 << 20)
    one = stored()
    for generation in range(3):
        names = {f"{generation}-{number}" for number in range(40)}
        one.add((name, piece) for name in names)
        one.commit(MANIFEST, names)
        assert one.path.stat().st_size < 2.1 * 40 * len(piece)
        assert sorted(one.names()) == sorted(names)
    one.commit(MANIFEST, {"2-0"})
    assert one.path.stat().st_size < 2 * len(piece)
    assert list(one.pieces(["2-0"])) == [("2-0", piece)]


def test_the_disk_is_waited_for_as_long_as_a_file_is_kept_for_another_kernel() -> None:
    def waits(one: Store) -> bool:
        with one._open(create=False) as connection:
            assert connection is not None
            return bool(connection.execute("PRAGMA synchronous").fetchone()[0])

    own = stored()
    assert not waits(own)
    own.close(keep=True)
    following = Store("two", "/a/b.ipynb")
    assert following.adopt()
    assert waits(following)
    following.add([("r", b"3")])
    assert waits(following)
    following.commit(MANIFEST, {"p", "r"})
    assert not waits(following)


def test_a_file_of_the_format_before_is_read_and_written_to() -> None:
    with closing(sqlite3.connect(_folder() / "one.sqlite")) as connection, connection:
        connection.executescript(
            "PRAGMA auto_vacuum = FULL;"
            "CREATE TABLE about (key TEXT PRIMARY KEY, value TEXT);"
            "CREATE TABLE pieces (name TEXT PRIMARY KEY, data BLOB) WITHOUT ROWID;"
        )
        connection.execute("INSERT INTO pieces VALUES ('p', x'31')")
    one = Store("one", "")
    one.add([("q", bytes(1 << 20))])
    one.commit(MANIFEST, {"p", "q"})
    assert dict(one.pieces(["p", "q"])) == {"p": b"1", "q": bytes(1 << 20)}
    one.commit(MANIFEST, {"p"})
    assert one.path.stat().st_size < 1 << 18


def _folder() -> Path:
    folder = directory()
    folder.mkdir(parents=True)
    return folder


def test_a_piece_that_is_missing_is_told() -> None:
    with pytest.raises(CheckpointFailed, match="missing on this machine"):
        list(stored().pieces(["x"]))


def test_only_the_user_can_read_it() -> None:
    before = os.umask(0)
    try:
        one = stored()
    finally:
        os.umask(before)
    assert stat.S_IMODE(one.path.stat().st_mode) == 0o600
    assert stat.S_IMODE(one.path.parent.stat().st_mode) == 0o700


def test_nothing_is_made_before_there_is_something_to_keep() -> None:
    one = Store("one", "")
    assert one.manifest() is None
    assert one.names() == []
    assert not one.path.parent.exists()


def test_a_kept_checkpoint_is_for_the_next_kernel_of_its_notebook() -> None:
    stored().close(keep=True)
    assert not Store("other", "/another.ipynb").adopt()
    following = Store("two", "/a/b.ipynb")
    assert following.adopt()
    assert following.manifest() == MANIFEST
    assert [entry.path.stem for entry in entries()] == ["two"]


def test_what_a_killed_kernel_has_left_is_removed_and_what_is_kept_is_not() -> None:
    stored("kept").close(keep=True)
    one = stored("killed")
    with one._open(create=False) as connection:
        assert connection is not None
        store._describe(connection, process=f"{os.uname().nodename} 999999999")
    stored("running")
    store.remove_abandoned(Path("another"))
    assert [entry.path.stem for entry in entries()] == ["kept", "running"]


def test_a_directory_that_cannot_be_written_is_told_in_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "aca-kernel").write_text("in the way")
    with pytest.raises(CheckpointFailed, match=r"cannot be kept in .* JUPYTER_DATA_DIR"):
        stored()


def in_tables(statement: str) -> Callable[[Path], None]:
    def damage(path: Path) -> None:
        with closing(sqlite3.connect(path)) as connection, connection:
            connection.execute(statement)

    return damage


def by_another_file(path: Path) -> None:
    path.unlink()
    path.write_bytes(bytes(5000))


DAMAGES: dict[str, Callable[[Path], None]] = {
    "removed": lambda path: path.unlink(),
    "removed with its folder": lambda path: shutil.rmtree(path.parent),
    "replaced": by_another_file,
    "overwritten": lambda path: path.write_bytes(b"x" * 20_000) and None,
    "cut": lambda path: os.truncate(path, path.stat().st_size // 2),
    "empty": lambda path: os.truncate(path, 0),
    "no tables": in_tables("DROP TABLE pieces"),
    "no manifest": in_tables("UPDATE about SET value = '{' WHERE key = 'manifest'"),
}


@pytest.mark.parametrize("name", DAMAGES)
def test_the_next_checkpoint_begins_anew_if_the_file_is_lost(name: str) -> None:
    one = stored()
    # More than a page of the file, so that there is something to cut off.
    one.add([("large", bytes(20_000))])
    DAMAGES[name](one.path)
    if name.startswith(("removed", "replaced")):
        one.names()
    else:
        with pytest.raises(CheckpointDamaged, match="was damaged"):
            one.manifest(), one.add([("s", b"4")]), list(one.pieces(["large"]))
    assert one.manifest() is None
    assert one.names() == []
    one.add([("r", b"3")])
    one.commit(MANIFEST, {"r"})
    assert list(one.pieces(["r"])) == [("r", b"3")]
    assert stat.S_IMODE(one.path.stat().st_mode) == 0o600
    one.close(keep=False)
    assert list(one.path.parent.iterdir()) == []


def test_a_kernel_ends_quietly_though_its_folder_has_gone() -> None:
    one = stored()
    shutil.rmtree(one.path.parent)
    one.path.parent.write_text("in the way")
    with pytest.raises(CheckpointFailed, match="cannot be kept in"):
        one.add([("r", b"3")])
    one.clear()
    one.close(keep=True)


def test_the_commands_list_and_delete() -> None:
    assert run("list").stdout == "There are no checkpoints.\n"
    stored("kept").close(keep=True)
    stored("running", "")
    (shown, running) = json.loads(run("list", "--json").stdout)
    assert (shown["id"], shown["notebook"], shown["kept"]) == ("kept", "/a/b.ipynb", True)
    assert running["running"]
    assert "/a/b.ipynb" in run("list").stdout
    stored("odd", "/a/\x1b[2Jb\n.ipynb").close(keep=True)
    assert "/a/b\ufffd.ipynb" in run("list").stdout
    assert run("delete", "odd").returncode == 0
    for arguments in (["delete"], ["delete", "none"], ["delete", "running"]):
        refused = run(*arguments)
        assert refused.returncode == 2
        assert refused.stderr.count("\n") == 1
    assert run("delete", "--all").stdout == "Deleted 1 checkpoint.\n"
    assert [entry.path.stem for entry in entries()] == ["running"]
