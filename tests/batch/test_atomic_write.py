"""Atomic replacement of a file: modes, symlinks, leftovers."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from aca_kernel.batch.atomic_write import write_whole


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
