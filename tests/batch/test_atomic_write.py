"""Atomic replacement of a file: modes, symlinks, leftovers, several writers."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from aca_kernel.batch.atomic_write import _make_scratch, write_whole

from .support import TIMEOUT

# Writes a file again and again, with a text of its own.
WRITER = """
import sys
from aca_kernel.batch.atomic_write import write_whole
for _ in range(300):
    write_whole(sys.argv[1], sys.argv[2] * 20000, is_final=False)
"""

# Is killed while it writes.
KILLED = """
import os, signal, sys
from aca_kernel.batch.atomic_write import write_whole
os.replace = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
write_whole(sys.argv[1], "half")
"""


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.mark.parametrize(("before", "given"), [(0o600, None), (0o644, 0o600), (None, 0o600)])
def test_the_scratch_file_is_as_private_as_the_file_from_the_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, before: int | None, given: int | None
) -> None:
    path, seen = tmp_path / "mcp.json", []
    if before is not None:
        path.touch()
        path.chmod(before)
    made = os.open

    def opened(name: str, flags: int, mode: int = 0o777, **options: int | None) -> int:
        number = made(name, flags, mode, **options)
        if str(name).endswith(".mcp.json.tmp"):
            seen.append(stat.S_IMODE(os.fstat(number).st_mode))
        return number

    monkeypatch.setattr(os, "open", opened)
    write_whole(path, "a key", mode=given)
    assert seen == [0o600]
    assert mode_of(path) == 0o600


def test_a_new_file_has_the_mode_of_the_umask(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        write_whole(tmp_path / "new", "text")
    finally:
        os.umask(before)
    assert mode_of(tmp_path / "new") == 0o640


def test_a_leftover_is_replaced_and_a_symlink_in_its_place_not_followed(tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.write_text("other", encoding="utf-8")
    (tmp_path / ".file.tmp").symlink_to(other)
    write_whole(tmp_path / "file", "text")
    assert (tmp_path / "file").read_text(encoding="utf-8") == "text"
    assert other.read_text(encoding="utf-8") == "other"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "other"]


def test_two_writers_of_one_file_both_end_well_and_leave_one_whole_text(tmp_path: Path) -> None:
    path = tmp_path / "file"
    writers = [
        subprocess.Popen(
            [sys.executable, "-c", WRITER, str(path), letter], stderr=subprocess.PIPE, text=True
        )
        for letter in "ab"
    ]
    seen = set()
    while any(writer.poll() is None for writer in writers):
        if path.exists():
            seen.add(path.read_text(encoding="utf-8"))
    ends = [(writer.communicate(timeout=TIMEOUT)[1], writer.returncode) for writer in writers]
    assert ends == [("", 0), ("", 0)]
    assert seen <= {"a" * 20000, "b" * 20000}
    assert [one.name for one in tmp_path.iterdir()] == ["file"]


@pytest.mark.parametrize("mode", [0o644, 0o444])
def test_what_killed_writers_leave_is_removed_and_what_a_living_one_has_is_not(
    tmp_path: Path, mode: int
) -> None:
    path = tmp_path / "file"
    path.touch()
    path.chmod(mode)
    killed = [sys.executable, "-c", KILLED, str(path)]
    # Stands for a writer at the same time: the killed one takes another name.
    scratch, descriptor = _make_scratch(str(path), 0o644)
    subprocess.run(killed, check=False, timeout=TIMEOUT)
    assert len(list(tmp_path.iterdir())) == 3
    write_whole(path, "text")
    assert sorted(one.name for one in tmp_path.iterdir()) == [Path(scratch).name, "file"]
    os.close(descriptor)
    write_whole(path, "other")
    assert [one.name for one in tmp_path.iterdir()] == ["file"]
    assert path.read_text(encoding="utf-8") == "other"


def test_a_name_as_long_as_names_can_be_has_a_scratch_file_too(tmp_path: Path) -> None:
    path = tmp_path / ("ü" * 124 + ".ipynb")
    write_whole(path, "text")
    assert [one.name for one in tmp_path.iterdir()] == [path.name]
