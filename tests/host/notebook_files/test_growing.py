"""Files that are written to on the user's machine while they are on their way."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from aca_kernel.remote.paged_files import FileProblem, SourceFile

from ...support import running_kernel

SIZE = 20_000_000


@contextmanager
def repeated(action: Callable[[], object], seconds: float) -> Iterator[None]:
    """Do something again and again for as long as the block lasts."""
    end = threading.Event()

    def work() -> None:
        while not end.wait(seconds):
            action()

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield
    finally:
        end.set()
        thread.join()


def test_a_file_that_grows_is_read_as_far_as_it_was(folder: Path) -> None:
    line = b"a line of 20 bytes.\n"
    (folder / "log.txt").write_bytes(line * (SIZE // 20))
    with running_kernel() as kernel, open("log.txt", "ab", buffering=0) as log:
        kernel.run("1")
        with repeated(lambda: log.write(line), 0.002):
            cell = kernel.run("text = open('log.txt').read(); set(text.splitlines()), len(text)")
        assert cell.result is not None, cell.error
        lines, size = eval(cell.result)
        assert lines == {"a line of 20 bytes."}
        assert SIZE <= size <= os.path.getsize("log.txt")
        # It is as long as it is.
        assert kernel.run("len(open('log.txt').read())").result == str(os.path.getsize("log.txt"))


def test_a_file_that_is_changed_in_its_place_is_not_taken(folder: Path) -> None:
    (folder / "data.bin").write_bytes(bytes(SIZE))
    with running_kernel() as kernel, open("data.bin", "r+b", buffering=0) as file:
        kernel.run("1")
        count = iter(range(1, 1_000_000))

        def scribble() -> None:
            for place in range(0, SIZE, 1_000_000):
                os.pwrite(file.fileno(), next(count).to_bytes(8, "big"), place)

        with repeated(scribble, 0.002):
            cell = kernel.run("open('data.bin', 'rb').read(1)")
        assert cell.error is not None
        assert "data.bin goes on changing on your machine" in cell.evalue


def test_a_file_begins_as_it_was_read_or_not(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"12345678")
    file = SourceFile(str(path), "file", may_grow=True)
    assert file.read(4) == b"1234"
    with open(path, "ab") as appended:
        appended.write(b"9")
    assert file.read(100) == b"5678"
    assert file.begins_as_read()
    with open(path, "r+b") as changed:
        changed.write(b"x")
    os.utime(path, ns=(0, 0))
    assert not file.begins_as_read()
    file.close()
    strict = SourceFile(str(path), "file")
    with open(path, "ab") as appended:
        appended.write(b"9")
    with pytest.raises(FileProblem, match="became longer"):
        strict.read(100)
    strict.close()
