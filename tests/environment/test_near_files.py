"""Files of an agent's folder beside the calls: nothing that is in it leads elsewhere."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from aca_kernel.environment.near_files import NearFiles
from aca_kernel.pool.backend import NearFolder

if sys.platform == "win32":
    pytest.skip("There are no session pools on Windows", allow_module_level=True)

FOLDER = "/tmp/aca-one_2"


@pytest.fixture
def pool(tmp_path: Path) -> Path:
    for name in ("etc", "s1/tmp/aca-other", "s2/tmp/aca-one_2/state/1"):
        (tmp_path / "pool" / name).mkdir(parents=True)
    (tmp_path / "pool" / "lock").touch()
    (tmp_path / "secret").write_bytes(b"secret")
    return tmp_path / "pool"


@pytest.fixture
def agents(pool: Path) -> Path:
    return pool / "s2" / "tmp" / "aca-one_2"


def files(pool: Path, folder: str = FOLDER) -> NearFiles:
    return NearFiles(NearFolder(str(pool / "near"), "/inside", str(pool)), folder)


def test_parts_are_read_in_the_session_that_has_the_folder(pool: Path, agents: Path) -> None:
    (agents / "state" / "1" / "pack").write_bytes(b"0123456789")
    read = files(pool).read
    assert read("state/1/pack", [(8, 2), (0, 3)]) == [b"89", b"012"]
    assert read("state/1/pack", []) == []
    assert read("state/1/pack", [(0, 1), (8, 3)]) is None
    assert read("state/2/pack", [(0, 1)]) is None
    assert read("state/1", [(0, 1)]) is None


@pytest.mark.parametrize("folder", ["", "/tmp", "/tmp/..", "/tmp/aca-", "aca-one_2/../..", "/s2"])
def test_only_a_folder_of_an_agents_name_is_looked_into(pool: Path, folder: str) -> None:
    (pool / "s2" / "tmp" / "pack").touch()
    assert files(pool, folder).read("pack", []) is None
    assert files(pool, folder).create("pack") is None


def test_without_such_a_pool_there_is_nothing(pool: Path, tmp_path: Path) -> None:
    for near in (None, NearFolder(str(pool / "near"), "/inside")):
        assert NearFiles(near, FOLDER).read("state/1/pack", []) is None
        assert NearFiles(near, FOLDER).create("pack") is None
    assert files(tmp_path / "gone").read("state/1/pack", []) is None
    assert files(tmp_path / "gone").create("pack") is None


def test_no_link_is_followed(pool: Path, agents: Path, tmp_path: Path) -> None:
    (agents / "link").symlink_to(tmp_path / "secret")
    (agents / "state" / "1" / "folder").symlink_to(tmp_path)
    assert files(pool).read("link", [(0, 6)]) is None
    assert files(pool).read("state/1/folder/secret", [(0, 6)]) is None
    agents.rename(pool / "moved")
    agents.symlink_to(tmp_path)
    assert files(pool).read("secret", [(0, 6)]) is None
    assert files(pool).create("secret") is None
    assert (tmp_path / "secret").read_bytes() == b"secret"


def test_a_pipe_is_not_waited_for(pool: Path, agents: Path) -> None:
    os.mkfifo(agents / "pipe")
    assert files(pool).read("pipe", [(0, 1)]) is None


def test_what_is_written_is_a_new_file(pool: Path, agents: Path, tmp_path: Path) -> None:
    (agents / "pack").symlink_to(tmp_path / "secret")
    for text in (b"one", b"two"):
        file = files(pool).create("pack")
        assert file is not None
        with file:
            file.write(text)
        assert (agents / "pack").read_bytes() == text
        assert not (agents / "pack").is_symlink()
        assert (agents / "pack").stat().st_mode & 0o777 == 0o600
        # A hard link to something of the environment's own.
        os.link(agents / "pack", agents / f"kept-{text.decode()}")
    assert (tmp_path / "secret").read_bytes() == b"secret"
    assert (agents / "kept-one").read_bytes() == b"one"
    (agents / "folder").mkdir()
    assert files(pool).create("folder") is None
