"""Names in `!` lines: what is said of them ahead is what an answer would say, and no more."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import Any

import pytest

from aca_kernel.host.notebook_files.folder import Folder
from aca_kernel.host.notebook_files.sending import Sending
from aca_kernel.settings import AcaKernel

from ...support import Client, running_kernel
from .conftest import DECOYS, SECRET, fill


def facts(folder: Folder, *commands: str, files: str = "on-demand") -> dict[str, Any]:
    sending = Sending(AcaKernel(files=files), folder, asyncio.Queue())
    return asyncio.run(sending.facts_ahead(commands))


def test_names_of_files_and_of_none(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "a b.csv").write_text("12345")
    found = facts(Folder(str(tmp_path)), "cat './data/a b.csv' x --in=data | sort")
    is_folder, size, _ = found["data/a b.csv"]
    assert (is_folder, size) == (False, 5)
    assert found["data"][0] is True
    assert found["cat"] is found["x"] is found["sort"] is None


def test_paths_are_seen_from_the_notebook(tmp_path: Path) -> None:
    (tmp_path / "data.csv").write_text("1")
    (tmp_path / "deep").mkdir()
    found = facts(Folder(str(tmp_path), "deep"), "cat ../data.csv ../../data.csv")
    assert found["data.csv"][1] == 1
    assert not [path for path in found if path.startswith("..")]


def test_nothing_is_said_of_what_may_not_leave(tmp_path: Path) -> None:
    folder = tmp_path / "notebooks"
    folder.mkdir()
    fill(folder)
    names = [*DECOYS, str(folder / ".env"), "/etc/passwd"]
    for name in names:
        found = facts(Folder(str(folder)), f"cat '{name}' text.txt")
        assert found.pop("text.txt") is not None
        assert set(found.values()) == {None}


def test_what_the_user_is_told_of_is_asked_for(tmp_path: Path) -> None:
    (tmp_path / "secrets.py").write_text(SECRET)
    (tmp_path / "script.py").write_text("")
    found = facts(Folder(str(tmp_path)), "python secrets.py", "python script.py")
    assert "secrets.py" not in found
    assert found["script.py"] is not None


@pytest.mark.parametrize("files", ["hint", "off"])
def test_nothing_is_said_where_files_are_not_sent(tmp_path: Path, files: str) -> None:
    (tmp_path / "a.txt").write_text("a")
    assert facts(Folder(str(tmp_path)), "cat a.txt", files=files) == {}


def test_there_is_a_limit(tmp_path: Path) -> None:
    folder = Folder(str(tmp_path))
    assert len(facts(folder, *(f"echo {n}" for n in range(1000)))) == 100
    began = time.monotonic()
    assert facts(folder, "echo " + "x " * 1_000_000) == {}
    assert time.monotonic() - began < 5


def test_a_command_sees_what_is_there(folder: Path) -> None:
    """Also where its cell has changed what the kernel knew when it began."""
    (folder / "a.txt").write_text("one\n")
    (folder / "secrets.py").write_text(SECRET)
    with running_kernel() as kernel:
        assert kernel.run("!cat a.txt").text.split() == ["one"]
        (folder / "a.txt").write_text("two\n")
        assert kernel.run("!cat a.txt").text.split() == ["two"]
        (folder / "a.txt").unlink()
        assert "No such file" in kernel.run("!cat a.txt").text
        (folder / "sub").mkdir()
        (folder / "sub" / "a.txt").write_text("three\n")
        assert kernel.run("%cd -q sub\n!cat a.txt").text.split() == ["three"]
        assert _is_removed(kernel)
        assert "secrets.py is not sent" in kernel.run("!python ../secrets.py").said


def _is_removed(kernel: Client) -> bool:
    """Tell whether a copy that the cell has removed stays away from its command."""
    return "No such file" in kernel.run("import os; os.remove('a.txt')\n!cat a.txt").text
