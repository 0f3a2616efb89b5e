"""A file that has gone both ways is one: what the user changes in it, the next cell sees."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from ...in_turn import Turns, turns
from ...support import Client, running_kernel
from ..conftest import kernel_in
from .test_write_back import BACK, write


@pytest.fixture(scope="module")
def shared(place: Path) -> Iterator[Turns]:
    with turns(lambda: kernel_in(place, *BACK)) as one:
        yield one


@pytest.fixture
def kernel(corner: Path, shared: Turns) -> Client:
    """A kernel in a corner of the notebook's folder."""
    return shared.take(f"%cd -q {corner.name}")


def test_what_has_come_back_is_read_as_the_user_has_edited_it(corner: Path, kernel: Client) -> None:
    kernel.run(write("cfg.txt", "one"))
    (corner / "cfg.txt").write_text("edited")
    cell = kernel.run("open('cfg.txt').read()")
    assert (cell.result, cell.said) == ("'edited'", "")
    # And goes on being the user's.
    assert "cfg.txt does not come back" in kernel.run(write("cfg.txt", "x")).said
    assert (corner / "cfg.txt").read_text() == "edited"

    kernel.run("%%writefile module.py\nVALUE = 1")
    (corner / "module.py").write_text("VALUE = 20\n")
    assert kernel.run("import module\nmodule.VALUE").result == "20"

    # A large one, which comes in pages.
    kernel.run("open('large.bin', 'wb').write(bytes(9_000_000));")
    (corner / "large.bin").write_bytes(b"small")
    assert kernel.run("open('large.bin', 'rb').read()").result == "b'small'"


def test_what_was_uploaded_is_read_as_the_user_has_edited_it(place: Path, shared: Turns) -> None:
    kernel = shared.take("")
    (place / "u.csv").write_text("one")
    cell = kernel.run("%aca upload u.csv\nopen('u.csv').read()")
    assert (cell.result, cell.said) == ("'one'", "")
    (place / "u.csv").write_text("edited")
    assert kernel.run("open('u.csv').read()").result == "'edited'"
    # A key that was sent by the user's will does not come back, and nothing is said of it.
    (place / "a.pem").write_text("key")
    cell = kernel.run("%aca upload a.pem\nopen('a.pem').read()")
    assert (cell.result, cell.said) == ("'key'", "")
    # Under another name it is another file.
    kernel.run("%aca upload u.csv v.csv")
    assert (place / "v.csv").read_text() == "edited"


def test_what_the_code_has_written_stays_when_the_user_takes_it_away(
    corner: Path, kernel: Client
) -> None:
    (corner / ".gitignore").write_text("ignored.txt\n")
    kernel.run(write("result.txt", "mine") + "\n" + write("ignored.txt", "mine"))
    (corner / "result.txt").unlink()
    cell = kernel.run("open('result.txt').read(), open('ignored.txt').read()")
    assert (cell.result, cell.said) == ("('mine', 'mine')", "")
    assert os.path.exists("ignored.txt")


def test_an_upload_does_not_come_back_where_files_are_not_sent_by_themselves(
    folder: Path,
) -> None:
    (folder / "u.csv").write_text("one")
    arguments = ("--AcaKernel.files_back=True", "--AcaKernel.files=hint")
    with running_kernel(arguments=arguments) as kernel:
        assert kernel.run("%aca upload u.csv").said == ""
        assert "u.csv" in kernel.run("%aca files").text
