"""A file is held as long as its process lives, seen by nobody before, and removed by one only."""

from __future__ import annotations

import fcntl
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from aca_kernel.environment.lock_files import LockFile

HOLD = """\
import sys
from pathlib import Path
from aca_kernel.environment.lock_files import LockFile
held = LockFile.create(Path(sys.argv[1]), b"held")
print("held", flush=True)
sys.stdin.read()
"""


def test_a_file_is_held_until_its_process_is_killed(tmp_path: Path) -> None:
    path = tmp_path / "folder" / "file"
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, path], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"held\n"
        with pytest.raises(BlockingIOError):
            LockFile.take(path, 3)
        assert path.read_bytes() == b"held"
        process.kill()
        process.wait()
    taken = LockFile.take(path)
    assert path.read_bytes() == b"held"
    taken.release(remove=True)
    taken.release(remove=True)
    assert list(path.parent.iterdir()) == []


def test_looking_makes_no_file_and_takes_nothing_away(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        LockFile.take(tmp_path / "file")
    assert list(tmp_path.iterdir()) == []
    LockFile.create(tmp_path / "file", b"content").release(remove=False)
    LockFile.take(tmp_path / "file").release(remove=False)
    assert (tmp_path / "file").read_bytes() == b"content"
    assert stat.S_IMODE((tmp_path / "file").stat().st_mode) == 0o600


def test_who_holds_a_file_only_somebody_looks_at_gets_it_with_another_attempt(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "file"
    held = LockFile.create(path)
    monkeypatch.setattr(
        "aca_kernel.environment.lock_files.time.sleep", lambda _: held.release(remove=False)
    )
    LockFile.take(path, 2).release(remove=False)


def test_a_file_that_was_removed_between_opening_and_locking_is_gone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "file"
    LockFile.create(path).release(remove=False)
    lock = fcntl.flock

    def replace_and_lock(descriptor: int, operation: int) -> None:
        monkeypatch.undo()
        LockFile.take(path).release(remove=True)
        LockFile.create(path).release(remove=False)
        lock(descriptor, operation)

    monkeypatch.setattr(fcntl, "flock", replace_and_lock)
    with pytest.raises(FileNotFoundError):
        LockFile.take(path)
    assert path.exists()


def test_writing_keeps_the_files_time(tmp_path: Path) -> None:
    held = LockFile.create(tmp_path / "file", b"a long content")
    os.utime(held.path, ns=(5, 5))
    held.write(b"short")
    assert held.path.read_bytes() == b"short"
    assert held.path.stat().st_mtime_ns == 5
    held.release(remove=True)


def test_what_cannot_be_made_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError("no locks")

    monkeypatch.setattr(fcntl, "flock", refuse)
    with pytest.raises(OSError, match="no locks"):
        LockFile.create(tmp_path / "file")
    assert list(tmp_path.iterdir()) == []
