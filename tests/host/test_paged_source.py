"""Pages of files that lie beside the answers, in a folder that the environment only reads."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest

from aca_kernel.host import paged_source
from aca_kernel.host.paged_source import NEAR_PAGE_BYTES, PagedSource
from aca_kernel.pool.backend import NearFolder
from aca_kernel.remote.paged_files import SourceFile

from ..support import running_kernel
from .conftest import inside


@pytest.fixture
def near(tmp_path: Path) -> NearFolder:
    (tmp_path / "near").mkdir()
    return NearFolder(str(tmp_path / "near"), "/inside")


def source(folder: Path, data: bytes, near: NearFolder | None) -> PagedSource[SourceFile]:
    (folder / "data").write_bytes(data)
    return PagedSource(SourceFile(str(folder / "data"), "data"), near)


def test_pages_lie_in_the_folder_until_the_next_but_one_is_read(
    tmp_path: Path, near: NearFolder
) -> None:
    data = os.urandom(3 * NEAR_PAGE_BYTES + 5)
    paged = source(tmp_path, data, near)
    found = b""
    while paged.file.sent != paged.file.size:
        head, parts = paged.read()
        assert parts == ()
        assert head["near"].startswith("/inside/")
        found += (Path(near.here) / head["near"].rpartition("/")[2]).read_bytes()
        assert len(os.listdir(near.here)) <= 2
    assert found == data
    assert head["digest"] == hashlib.sha256(data).hexdigest()
    assert not paged.has_ended
    paged.close()
    paged.close()
    assert os.listdir(near.here) == []
    assert near.used_bytes == 0


def test_what_finds_no_room_goes_in_the_answer(
    tmp_path: Path, near: NearFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(paged_source, "_MOST_BYTES", 3)
    assert source(tmp_path, b"four", near).read()[1] == (b"four",)
    assert source(tmp_path, b"two", near).read()[1] == ()
    gone = NearFolder(str(tmp_path / "gone"), "/inside")
    assert source(tmp_path, b"one", gone).read()[1] == (b"one",)
    assert source(tmp_path, b"one", None).read()[1] == (b"one",)


def test_the_environment_cannot_write_there_and_finds_nothing_afterwards(tmp_path: Path) -> None:
    (tmp_path / "large.bin").write_bytes(os.urandom(20_000_000))
    (tmp_path / "other.bin").write_bytes(os.urandom(20_000_000))
    with inside(tmp_path), running_kernel() as kernel:
        code = "len(open('large.bin', 'rb').read())"
        assert kernel.run(code).result == "20000000"
        assert kernel.run("%aca upload other.bin").status == "ok"
        code = (
            "import os\nfound = os.listdir('/run/aca-near')\n"
            "try: open('/run/aca-near/x', 'w')\n"
            "except OSError as error: print(found, error.strerror)"
        )
        assert kernel.run(code).text.strip() == "[] Read-only file system"


def test_without_a_sandbox_the_folder_is_the_pools_own(tmp_path: Path) -> None:
    (tmp_path / "large.bin").write_bytes(os.urandom(20_000_000))
    arguments = ("--AcaKernel.isolation=process",)
    with inside(tmp_path), running_kernel(arguments=arguments) as kernel:
        assert kernel.run("%aca upload large.bin there.bin").status == "ok"
        code = "open('there.bin', 'rb').read() == open('large.bin', 'rb').read()"
        assert kernel.run(code).result == "True"
