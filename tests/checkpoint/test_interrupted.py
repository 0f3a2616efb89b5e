"""Storing that was interrupted, pieces that are not what they were, and what follows."""

from __future__ import annotations

import hashlib
import re
import sqlite3
import zlib
from collections.abc import Iterator
from contextlib import closing

import pytest

from aca_kernel.checkpoint.intact import is_intact

from ..support import eventually
from .expiring import Notebook, is_running, notebook


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Notebook]:
    with notebook(
        tmp_path_factory.mktemp("shared"),
        "--AcaKernel.checkpoint=on-request",
        pool_options={"ready_sessions": 1},
    ) as one:
        yield one


@pytest.fixture
def one(shared: Notebook) -> Iterator[Notebook]:
    """A notebook that begins anew, and that is stored on request only."""
    yield shared
    shared.begin_anew()


def store(one: Notebook) -> str:
    text = one.run("%aca checkpoint").told
    assert text.startswith("Stored ")
    return text


def interrupt_storing(one: Notebook, argument: str) -> str:
    """Interrupt `%aca checkpoint` when it has started `sleep`; return what the cell says."""
    sent = one.kernel.send("%aca checkpoint")
    assert eventually(lambda: is_running(one.pool, argument))
    one.kernel.interrupt()
    error = one.kernel.collect(sent).error
    assert error is not None
    assert error["ename"] == "KeyboardInterrupt"
    return str(error["evalue"])


SLOW = """
import os, subprocess, zlib
class Slow:
    seconds = '{}'
    def __getstate__(self):
        {}
        sleep = subprocess.Popen(['sleep', self.seconds])
        # What sleeps itself would be taken for hanging.
        while sleep.poll() is None: sum(range(100_000))
        return {{}}
slow = Slow()
"""


def test_the_time_that_is_told_is_the_time_that_it_took(one: Notebook) -> None:
    one.run(SLOW.format("0.7", "pass"))
    (told,) = re.findall(r" in ([\d.]+) s, ", store(one))
    assert float(told) >= 0.7


def test_what_stores_ends_with_the_interrupt(one: Notebook) -> None:
    one.run("x = 1")
    store(one)
    one.run("x = 2" + SLOW.format("61.5", "pass"))
    assert "no checkpoint is stored by this line" in interrupt_storing(one, "61.5")
    # Long before the limit of time for a variable.
    assert eventually(lambda: not is_running(one.pool, "61.5"), timeout=10)
    one.pool.expire()
    assert one.run("x").result == "1"


def test_a_copy_that_lives_on_spoils_no_later_checkpoint(one: Notebook) -> None:
    # In a group of its own it is not found when the others are ended.
    one.run(SLOW.format("2.125", "os.setpgid(0, 0)"))
    one.run("a, b = os.urandom(2_000_000), os.urandom(2_000_000); sums = zlib.crc32(b)")
    interrupt_storing(one, "2.125")
    assert is_running(one.pool, "2.125")
    # The next one is still at work when the first is through.
    one.run("Slow.seconds = '4'; a = os.urandom(6_500_000)")
    store(one)
    assert not is_running(one.pool, "2.125")
    one.run("Slow.seconds = '0'")
    store(one)
    one.pool.expire()
    cell = one.run("zlib.crc32(b) == sums, len(a)")
    assert cell.result == "(True, 6500000)"
    assert "not restored" not in cell.said


ENDING = """
import os
class Ending:
    def __reduce__(self):
        {}
x, ending = 1, Ending()
"""


def test_a_variable_that_ends_the_process_as_if_all_were_well_is_named(one: Notebook) -> None:
    one.run(ENDING.format("os._exit(0)"))
    assert "not stored: ending (storing it ended the process)." in store(one)
    assert "x" in one.stored_names()


@pytest.mark.parametrize("line", ["checkpoint", "restart --keep"])
def test_a_line_that_the_cell_does_not_have_is_called_by_its_name(line: str, one: Notebook) -> None:
    error = one.run(f"get_ipython().run_line_magic('aca', '{line}')").error
    assert error is not None
    name = line.split(maxsplit=1)[0]
    assert f"No line of the running cell begins with `%aca {name}` and says" in error["evalue"]


def test_it_is_told_at_once_if_what_stores_is_killed(one: Notebook) -> None:
    one.run(ENDING.format("os.kill(os.getppid(), 9); os._exit(0)"))
    error = one.run("%aca checkpoint").error
    assert error is not None
    assert "The checkpoint could not be taken: what took it was killed" in error["evalue"]


def test_a_piece_that_was_found_damaged_is_sent_again(one: Notebook) -> None:
    make = "import random; b = random.Random(1).randbytes(2_000_000)"
    one.run(make)
    store(one)
    (path,) = one.files
    with closing(sqlite3.connect(path)) as connection, connection:
        name = "SELECT max(name) FROM pieces WHERE length(data) > 500000"
        connection.execute(f"UPDATE pieces SET data = x'7200' WHERE name = ({name})")
    one.pool.expire()
    assert "not restored: b (DamagedPiece: a part of it is damaged)" in one.run("1").said
    one.run(make)
    store(one)
    one.pool.expire()
    cell = one.run("b == random.Random(1).randbytes(2_000_000)")
    assert cell.result == "True"
    assert "not restored" not in cell.said


@pytest.mark.parametrize("is_removed", [True, False])
def test_a_checkpoint_that_is_lost_on_this_machine_is_told_and_the_next_begins_anew(
    is_removed: bool, one: Notebook
) -> None:
    one.run("x = [1]")
    store(one)
    (path,) = one.files
    if is_removed:
        path.unlink()
        told = "; what was stored is not on your machine any more. This cell runs in a new one."
    else:
        path.write_bytes(b"x" * 20_000)
        told = "; what was stored could not be brought back: The checkpoint in "
    one.pool.expire()
    notice = one.run("1").said
    assert told in notice
    assert "%aca restore" not in notice
    error = one.run("%aca restore").error
    assert error is not None
    assert "There is nothing to restore" in error["evalue"]
    one.run("x = [2]")
    # Between two of them, too.
    for damage in ((lambda: None), path.unlink, (lambda: path.write_bytes(b"x" * 20_000))):
        store(one)
        damage()
        store(one)
    one.pool.expire()
    assert one.run("x").result == "[2]"


def test_a_piece_is_known_by_its_hash_only() -> None:
    def name(data: bytes) -> str:
        return hashlib.blake2b(data, digest_size=20).hexdigest()

    data = bytes(1 << 20)
    assert is_intact(name(b"data"), b"rdata")
    assert is_intact(name(data), b"z" + zlib.compress(data))
    # More than a piece may hold is not unpacked.
    assert not is_intact(name(data * 2), b"z" + zlib.compress(data * 2))
    for stored in (b"", b"r", b"rother", b"zdata", b"xdata"):
        assert not is_intact(name(b"data"), stored)
